"""Lead sheets and arrangements of the service: found, given, changed in a region, written in any format.

Audio goes in and out as files or packed (`jobs/serving/packed_audio.py`), lead sheets as JSON.
"""

import hashlib
import io
import json
import tempfile
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jobs.serving.packed_audio import pack, unpack
from jobs.serving.sheet_options import SheetOptions, in_fields
from samuel.arranging import Arrangement, render, write_midi, write_stems
from samuel.audio import write
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import Directed, Direction, Director, Generator, Material, Region, pieces
from samuel.generation.generator import guides_of
from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.files import FORMATS, click, read_lead_sheet, write_lead_sheet
from samuel.lead_sheet.frames import sheet_frames
from samuel.lead_sheet.text import sheet_text
from samuel.vocals import VocalFeatures, Voice

KEPT_FEATURES = 4
"""Of the voices heard last: whoever changes a chord does so again."""

MOST_ENTRIES = 20_000
"""Beats, or chords, or points of energy in a lead sheet in JSON: those of half a day."""

RUN_UP = 2 * SAMPLE_RATE
"""Samples before a region that are played, too, so that what rings into it is there."""

SUFFIXES = {
    "json": ".json", "midi": ".mid", "musicxml": ".musicxml", "lab": ".lab", "chordpro": ".cho", "txt": ".txt"
}  # fmt: skip


@dataclass(frozen=True)
class Played:
    """What a variation is played from."""

    sheet: str | None
    """JSON; None where nothing was found to go by."""
    seed: int
    """Of the arrangement."""
    parts: tuple[str, ...] = ()
    levels: dict[str, float] = field(default_factory=dict)
    """Decibels by player."""


@dataclass(frozen=True)
class Found:
    """The answer to a question for a lead sheet."""

    sheet: str
    text: str
    seconds: float
    melody: list[list[list[float]]]
    """Lines of [second, MIDI pitch], one for each stretch that is sung without a break."""
    remarks: tuple[str, ...]


class Arranger:
    """Holds the instruments, and what it heard in the last voices."""

    def __init__(self, generator: Generator):
        self.generator = generator
        self.director = Director(Direction())
        self.known: OrderedDict[bytes, VocalFeatures] = OrderedDict()

    def voice(self, vocals: Tensor) -> Voice:
        """With its features, which were found before or are kept from now on."""
        key = hashlib.sha256(np.ascontiguousarray(vocals.numpy()).data).digest()
        voice = Voice(vocals, self.known.pop(key, None))
        self.known[key] = voice.features
        while len(self.known) > KEPT_FEATURES:
            self.known.popitem(last=False)
        return voice

    def direct(self, voice: Voice, options: SheetOptions, seed: int, variation: int) -> Directed:
        """As the command line does. Raises LeadSheetError in a client's words."""
        director = self.director.directed_by(options.direction())
        try:
            return director.direct(voice.recording, seed, variation, voice=voice)
        except LeadSheetError as error:
            raise LeadSheetError(in_fields(str(error))) from None

    def play(self, directed: Directed, samples: int) -> Tensor | None:
        """The sound of an arrangement."""
        if directed.arrangement is None:
            return None
        return self.director.play(directed.arrangement, samples)

    def find(self, vocals: Tensor, options: SheetOptions) -> Found:
        """The lead sheet of a voice, without playing anything."""
        voice = self.voice(vocals)
        directed = self.direct(voice, options, 0, 0)
        assert directed.sheet is not None  # something is found in every voice
        seconds = vocals.shape[-1] / SAMPLE_RATE
        sheet = directed.sheet
        return Found(sheet.to_json(), sheet_text(sheet), seconds, melody_of(voice.features), directed.remarks)

    def rearrange(
        self,
        vocals: bytes,
        region: Region,
        before: Played,
        touched: list[bytes],
        material: Material,
        options: SheetOptions,
    ) -> tuple[Played, list[bytes], Material, tuple[str, ...]]:
        """A region with other chords, style, energy, players or levels: the rest stays as it is.

        `touched` are the arrangement's pieces that the region is heard in; so are those that come back. The players
        stay the same. Raises LeadSheetError.
        """
        voice = self.voice(unpack(vocals))
        earlier = LeadSheet.from_json(before.sheet) if before.sheet else None
        direction = options.direction(earlier, before.parts, before.levels)
        if earlier and direction.lead_sheet and not direction.lead_sheet.style:
            style = replace(direction.lead_sheet, style=earlier.style)
            direction = replace(direction, lead_sheet=style)
        asked = self.director.directed_by(direction)
        try:
            new = asked.direct(voice.recording, before.seed, voice=voice)
        except LeadSheetError as error:
            raise LeadSheetError(in_fields(str(error))) from None
        if new.sheet is None or new.arrangement is None:
            raise LeadSheetError("; ".join(new.remarks) or "there is nothing to play here")
        sheet = within_region(earlier or new.sheet, new.sheet, region)
        directed = replace(direction, locks=type(direction.locks)(), lead_sheet=sheet)
        new = self.director.directed_by(directed).direct(voice.recording, before.seed, voice=voice)
        assert new.arrangement is not None
        place = touched_pieces(region)
        start, stop = place[0][0] * FRAME_SAMPLES, min(place[-1][1] * FRAME_SAMPLES, region.total)
        sound = self._excerpt(new.arrangement, start, stop, region)
        sound = region.blend(torch.cat([unpack(one) for one in touched], dim=1), sound, start)
        material = self._with_sound(material, sound, start, region, sheet, voice.features)
        made = [pack(sound[:, a * FRAME_SAMPLES - start : b * FRAME_SAMPLES - start]) for a, b in place]
        played = Played(sheet.to_json(), before.seed, direction.parts, dict(direction.levels))
        return played, made, material, new.remarks

    def _excerpt(self, arrangement: Arrangement, start: int, stop: int, region: Region) -> Tensor:
        """What the players play in samples `start` to `stop`, as far as it is heard in the region; silence beside it."""
        begin, end = region.audible
        begin, first = max(0, begin - RUN_UP), begin
        offset, length = begin / SAMPLE_RATE, (end - begin) / SAMPLE_RATE
        parts = tuple(
            replace(
                part,
                notes=[
                    replace(note, start=max(0.0, note.start - offset), end=min(note.end - offset, length))
                    for note in part.notes
                    if note.end > offset and note.start < offset + length
                ],
            )
            for part in arrangement.parts
        )
        played = replace(arrangement, parts=parts, seconds=length)
        stems = render(played, self.director.synthesiser, end - begin)
        sound = torch.from_numpy(np.sum(list(stems.values()), axis=0, dtype=np.float32))
        canvas = torch.zeros(2, stop - start)
        canvas[:, first - start : end - start] = sound[:, first - begin :]
        return canvas

    def _with_sound(
        self,
        material: Material,
        sound: Tensor,
        start: int,
        region: Region,
        sheet: LeadSheet,
        features: VocalFeatures,
    ) -> Material:
        """Material whose arrangement and lead sheet are others in the region's frames."""
        first, last = region.frames
        latents = self.generator.encode(sound)
        begin = start // FRAME_SAMPLES
        frames = material.vocals.shape[-1]
        arranged = (
            torch.zeros_like(material.vocals)
            if material.arrangement is None
            else material.arrangement.clone()
        )
        arranged[:, first:last] = latents[:, first - begin : last - begin]
        guides = material.guides
        if guides is not None:
            new = guides_of(arranged, sheet_frames(sheet, frames), features.frames(frames))
            guides = guides.clone()
            guides[:, first:last] = new[:, first:last]
        return Material(material.vocals, arranged, guides)

    def again(self, vocals: bytes, played: Played) -> Arrangement:
        """The arrangement that a variation was played from. Raises LeadSheetError where there was none."""
        if played.sheet is None:
            raise LeadSheetError("there is no arrangement: nothing was found in this recording to go by")
        voice = self.voice(unpack(vocals))
        sheet = LeadSheet.from_json(played.sheet)
        direction = Direction(lead_sheet=sheet, parts=played.parts, levels=played.levels)
        directed = self.director.directed_by(direction).direct(voice.recording, played.seed, voice=voice)
        assert directed.arrangement is not None
        return directed.arrangement

    def midi(self, vocals: bytes, played: Played) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "arrangement.mid"
            write_midi(self.again(vocals, played), file)
            return file.read_bytes()

    def stems(self, vocals: bytes, played: Played, *, by_part: bool = False) -> bytes:
        """A ZIP of drums.flac, bass.flac and other.flac, or of one file a player."""
        archive = io.BytesIO()
        arrangement = self.again(vocals, played)
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive, "w") as made:
            for file in write_stems(arrangement, self.director.synthesiser, Path(folder), by_part=by_part):
                made.write(file, file.name)
        return archive.getvalue()


def touched_pieces(region: Region) -> list[tuple[int, int]]:
    """Frames of the pieces in which a region is heard."""
    begin, end = region.audible
    return [
        (start, stop)
        for start, stop in pieces(region.total)
        if start * FRAME_SAMPLES < end and begin < stop * FRAME_SAMPLES
    ]


def within_region(earlier: LeadSheet, new: LeadSheet, region: Region) -> LeadSheet:
    """The chords and the energy of `new` in the region, those of `earlier` beside it, on its beats."""
    start, stop = region.first / SAMPLE_RATE, region.last / SAMPLE_RATE
    after = max([stop, *(chord.end for chord in earlier.chords)])
    chords = [
        *earlier.between(0.0, start).chords,
        *new.between(start, stop).shifted(start).chords,
        *earlier.between(stop, after + 1.0).shifted(stop).chords,
    ]
    joined = chords[:1]
    for chord in chords[1:]:
        last = joined[-1]
        alike = replace(chord, start=last.start, end=last.end) == last and chord.start - last.end < 0.005
        joined[-1:] = [replace(last, end=chord.end)] if alike else [last, chord]
    return replace(
        earlier,
        chords=tuple(joined),
        energy=new.energy,
        style=new.style,
        key=new.key,
        unsure=tuple(part for part in earlier.unsure if part != "chords"),
        guesses=(),
    )


def melody_of(features: VocalFeatures, step: int = 6) -> list[list[list[float]]]:
    """The sung line, every 0.1 s."""
    lines: list[list[list[float]]] = []
    singing = False
    for time, pitch in zip(features.times[::step].tolist(), features.pitch[::step].tolist(), strict=True):
        voiced = pitch == pitch
        if voiced and not singing:
            lines.append([])
        if voiced:
            lines[-1].append([round(time, 2), round(pitch, 1)])
        singing = voiced
    return lines


def read_sheet(content: bytes, name: str) -> str:
    """An uploaded lead sheet in any format as JSON. Raises LeadSheetError."""
    suffix = Path(name).suffix.lower()
    if suffix not in FORMATS:
        raise LeadSheetError(
            f"expected a lead sheet whose name ends in {', '.join(FORMATS)}; got {name[:100]!r}"
        )
    if suffix == ".json":
        check_entries(content)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"lead-sheet{suffix}"
        file.write_bytes(content)
        try:
            return read_lead_sheet(file).to_json()
        except LeadSheetError as error:
            raise LeadSheetError(in_fields(str(error))) from None


def check_entries(content: bytes) -> None:
    """Raises LeadSheetError for more of anything than a song has: checking it would take long."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        raise LeadSheetError("the lead sheet is no JSON") from None
    for name, entries in fields.items() if isinstance(fields, dict) else ():
        if isinstance(entries, list) and len(entries) > MOST_ENTRIES:
            raise LeadSheetError(
                f"expected at most {MOST_ENTRIES:,} {str(name)[:20]} in a lead sheet, got {len(entries):,}"
            )


def sheet_file(sheet: str, sheet_format: str) -> bytes:
    """A lead sheet as a file of one of `SUFFIXES`. Raises LeadSheetError for what a format cannot do without."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"lead-sheet{SUFFIXES[sheet_format]}"
        write_lead_sheet(LeadSheet.from_json(sheet), file)
        return file.read_bytes()


def click_file(sheet: str, seconds: float, file_format: str) -> bytes:
    """A click on each beat as an audio file."""
    content = io.BytesIO()
    write(content, click(LeadSheet.from_json(sheet), seconds), file_format)
    return content.getvalue()


def locked(options: SheetOptions) -> Found:
    """A given lead sheet with what is given beside it. Raises LeadSheetError in a client's words."""
    direction = options.direction()
    assert direction.lead_sheet
    sheet = direction.lead_sheet
    seconds = max([chord.end for chord in sheet.chords] + [end for _, end in sheet.bars] + [0.0])
    try:
        sheet = direction.locks.apply(sheet, seconds)
    except LeadSheetError as error:
        raise LeadSheetError(in_fields(str(error))) from None
    return Found(sheet.to_json(), sheet_text(sheet), seconds, [], ())
