"""Recordings in files: vocals, or songs whose voice is taken out first, into bands and mixes in files.

All files lie in local folders or on S3, appear under their names whole or not at all, and have the format of
their extension.
"""

import hashlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from jaxtyping import Float
from torch import Tensor

from samuel import audio
from samuel.arranging import PARTS, STEMS, write_midi, write_stems
from samuel.audio import AudioError
from samuel.audio.loudness import check_levels, encoded, loudness, loudness_remark, mix
from samuel.config import SAMPLE_RATE
from samuel.errors import in_words
from samuel.generation.config import GenerationConfig
from samuel.generation.direction import Directed, Direction, Director
from samuel.generation.generator import PRETRAINED, Audio, Generator, Progress, require_sound
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.files import FORMATS, read_lead_sheet, write_lead_sheet
from samuel.separation import Separator, load_separator
from samuel.storage import (
    Location,
    StorageError,
    absolute,
    as_path,
    delete,
    join,
    kind_of,
    list_files,
    read_bytes,
    write_atomic,
)
from samuel.storage.audio_names import AUDIO_EXTENSIONS
from samuel.storage.overwriting import refuse_overwriting, refuse_within
from samuel.vocals import Voice

MADE = ".made"
STEM_NAMES = tuple(dict.fromkeys((*STEMS, *PARTS)))
NO_VOICE_LU = 30.0  # a separator leaves traces of the band in its vocals, but no more than that far below


@dataclass(frozen=True)
class Recording:
    """One recording and the files to make of it: a band for each variation, and as many of the others or none."""

    vocals: str
    bands: tuple[str, ...]
    mixes: tuple[str, ...] = ()
    midis: tuple[str, ...] = ()
    """The arrangement's notes."""
    stems: tuple[str, ...] = ()
    """Folders for the arrangement's stems."""
    stems_by_part: bool = False
    """A stem a player in place of drums, bass and other."""
    lead_sheets: tuple[str, ...] = ()
    """What was played."""
    lead_sheet: str = ""
    """A file with the lead sheet to play; "" finds one."""
    marker: str = ""
    """An empty file that is written last: its name changes when the vocals do. Of a folder's recordings only."""

    @property
    def files(self) -> tuple[str, ...]:
        return self.bands + self.mixes + self.midis + self.lead_sheets

    @property
    def stem_files(self) -> tuple[str, ...]:
        """Of all names that a stem can have: which players an arrangement has is known when it is made."""
        return tuple(str(join(folder, f"{name}.flac")) for folder in self.stems for name in STEM_NAMES)


@dataclass(frozen=True)
class Mixdown:
    """Raises ValueError for levels out of range."""

    balance_db: float = 0.0
    lufs: float = -14.0

    def __post_init__(self) -> None:
        check_levels({"balance": self.balance_db, "loudness": self.lufs})


@dataclass
class RecordingReport:
    """What became of one recording."""

    vocals: str
    seconds: float = 0.0
    """Its length."""
    error: str = ""
    remarks: list[str] = field(default_factory=list)
    """What its owner should know."""


def recording_of(
    vocals: str,
    band: str,
    mixed: str | None,
    variations: int,
    *,
    midi: str | None = None,
    stems: str | None = None,
    stems_by_part: bool = False,
    lead_sheet_out: str | None = None,
    lead_sheet: str = "",
    read: Mapping[str, str | None] | None = None,
) -> Recording:
    """One file: variations after the first are numbered, band.wav, band-2.wav, ...; of folders, stems, stems-2, ...

    `read` has what else is read, by what it is. Raises ValueError for formats, and where a file would be written over
    one that is read, or over another one.
    """
    for name in filter(None, (band, mixed)):
        extension = PurePosixPath(name).suffix.lstrip(".").lower()
        if extension not in audio.FILE_FORMATS:
            raise ValueError(f"{name}: expected a file name that ends in .{', .'.join(audio.FILE_FORMATS)}")
    if midi and PurePosixPath(midi).suffix.lower() not in (".mid", ".midi"):
        raise ValueError(f"{midi}: expected a file name that ends in .mid")
    if lead_sheet_out and PurePosixPath(lead_sheet_out).suffix.lower() not in FORMATS:
        raise ValueError(f"{lead_sheet_out}: expected a file name that ends in {', '.join(FORMATS)}")

    def numbered(name: str | None, is_folder: bool = False) -> tuple[str, ...]:
        if not name:
            return ()
        path = PurePosixPath(absolute(name))
        first, suffix = (path.name, "") if is_folder else (path.stem, path.suffix)
        more = (f"{first}-{number}{suffix}" for number in range(2, variations + 1))
        folder = absolute(name).removesuffix(path.name)
        return (absolute(name), *(folder + one for one in more))

    recording = Recording(
        absolute(vocals),
        numbered(band),
        numbered(mixed),
        numbered(midi),
        numbered(stems, is_folder=True),
        stems_by_part,
        numbered(lead_sheet_out),
        lead_sheet,
    )
    others = {what: path for what, path in {"its lead sheet": lead_sheet, **(read or {})}.items() if path}
    refuse_overwriting(
        {"the recording": [recording.vocals]} | {what: [path] for what, path in others.items()},
        {
            "the accompaniment": recording.bands,
            "the mix": recording.mixes,
            "the MIDI file": recording.midis,
            "the lead sheet": recording.lead_sheets,
            "a stem": recording.stem_files,
        },
    )
    return recording


def recordings_in(
    folder: str,
    out: str,
    mixes: str | None,
    file_format: str,
    variations: int,
    *,
    midis: str | None = None,
    stems: str | None = None,
    stems_by_part: bool = False,
) -> tuple[list[Recording], list[RecordingReport]]:
    """The audio files below a folder, and failures for those that would be written over one another.

    OUT has the same subfolders and names, with the extension of `file_format`; so have `mixes` and `midis`, and `stems` has
    a folder a recording. A lead sheet beside a recording, of the same name, is played. Raises ValueError where there are no recordings, for formats, and where what is read would be
    written over, or what is written would be read by the next run.
    """
    if file_format not in audio.FILE_FORMATS:
        raise ValueError(f"expected --format {', '.join(audio.FILE_FORMATS)}, got {file_format!r}")
    refuse_within(out, {"the folder of recordings": [folder]})
    for option, place in (("--mix", mixes), ("--midi", midis), ("--stems", stems)):
        if place:
            refuse_within(place, {"the folder of recordings": [folder]}, option)
    found = list_files(folder).files
    sheets = {
        file.name.rpartition(".")[0]: file
        for file in found
        if PurePosixPath(file.name).suffix.lower() in FORMATS
    }
    recordings: list[Recording] = []
    owners: dict[str, str] = {}
    failures = []
    for file in found:
        path = PurePosixPath(file.name)
        if path.suffix.lstrip(".").lower() not in AUDIO_EXTENSIONS or path.name.startswith("."):
            continue
        target = str(path.with_suffix(f".{file_format}"))
        vocals = str(join(folder, file.name))
        mixed = str(join(mixes, target)) if mixes else None
        plain = str(path.with_suffix(""))
        sheet = sheets.get(file.name.rpartition(".")[0])
        one = recording_of(
            vocals,
            str(join(out, target)),
            mixed,
            variations,
            midi=str(join(midis, f"{plain}.mid")) if midis else None,
            stems=str(join(stems, plain)) if stems else None,
            stems_by_part=stems_by_part,
            lead_sheet=str(join(folder, sheet.name)) if sheet else "",
        )
        made_of = f"{file} {sheet}" + (f" {one.stems} {stems_by_part}" if stems else "")
        version = hashlib.sha256(made_of.encode()).hexdigest()[:24]
        one = replace(one, marker=str(join(out, f"{MADE}/{version}")))
        written = (*one.files, *one.stem_files)
        if taken := [file for file in written if file in owners]:
            error = f"{owners[taken[0]]} would be written to the same file, {taken[0]}; rename one"
            failures.append(RecordingReport(vocals, error=error))
            continue
        owners |= dict.fromkeys(written, vocals)
        recordings.append(one)
    if not recordings:
        raise ValueError(f"no audio files in {folder}; expected recordings of vocals at any depth")
    refuse_overwriting(
        {"the recording": [one.vocals for one in recordings]},
        {
            "the accompaniment": [file for one in recordings for file in one.bands],
            "the mix": [file for one in recordings for file in one.mixes],
            "a stem": [file for one in recordings for file in one.stem_files],
        },
    )
    return recordings, failures


def read_audio(path: Location, max_seconds: float | None = None) -> Audio:
    """A recording from a file. Raises FileNotFoundError, or AudioError where it is none."""
    if kind_of(path) == "missing":
        raise FileNotFoundError(f"{path}: no such file")
    return audio.decode(io.BytesIO(read_bytes(path)), max_seconds=max_seconds)


def write_audio(path: Location, samples: Audio) -> None:
    """A file in the format of its extension, with true peaks of at most -1 dBTP."""
    write_atomic(path, encoded(samples, as_path(path).suffix.lstrip(".").lower()))


def voice_of(song: Audio, separator: Separator | None) -> Audio:
    """The voice in a recording, which is all of it without a separator. Raises AudioError where there is none."""
    require_sound(song)
    if separator is None:
        return song
    vocals = separator(song)
    if loudness(vocals) < loudness(song) - NO_VOICE_LU:
        raise AudioError("no voice was found in this mix; is it a recording of music with a singer?")
    return vocals


@dataclass(frozen=True)
class DirectedRecording:
    """A recording that was read, with lead sheet and arrangement of its first variation."""

    recording: Recording
    report: RecordingReport
    voice: Voice
    first: Directed


class Producer:
    """Recordings into files. `separator` takes the voice out of mixes; None: recordings are vocals alone."""

    def __init__(
        self,
        generator: Generator | None,
        config: GenerationConfig,
        mixdown: Mixdown,
        separator: Separator | None = None,
        max_seconds: float | None = None,
        direction: Direction | None = None,
    ) -> None:
        """`generator` may be None where the config's strength is 0."""
        self.generator, self.config, self.mixdown = generator, config, mixdown
        self.separator, self.max_seconds = separator, max_seconds
        self.director = Director(direction or Direction())

    def __call__(self, recordings: list[Recording]) -> list[RecordingReport]:
        """Make the files of all, their windows denoised together; a bad recording becomes a report of its error.

        What lies there of an earlier recording under the same name does not stay. Raises StorageError where files
        cannot be written, which is no fault of a recording.
        """
        reports = [RecordingReport(recording.vocals) for recording in recordings]
        prepared: list[DirectedRecording] = []
        for recording, report in zip(recordings, reports, strict=True):
            try:
                voice = Voice(self.vocals_of(recording))
                directed = self.direct(recording, voice.recording, voice=voice)
            except Exception as error:  # one bad recording never stops a run
                report.error = in_words(error)
                continue
            report.seconds = voice.recording.shape[-1] / SAMPLE_RATE
            report.remarks = list(directed.remarks)
            prepared.append(DirectedRecording(recording, report, voice, directed))
        for variation in range(max((len(one.recording.bands) for one in prepared), default=0)):
            sound = [one for one in prepared if not one.report.error]
            for song, made in zip(sound, self._attempts(sound, variation), strict=True):
                try:
                    if isinstance(made, Exception):
                        raise made
                    directed, band = made
                    song.report.remarks += self.write(
                        song.recording, variation, song.voice.recording, band, directed
                    )
                except StorageError:
                    raise
                except Exception as error:
                    song.report.error = in_words(error)
        for recording, report in zip(recordings, reports, strict=True):
            if report.error:
                for file in (*recording.files, *recording.stem_files):
                    delete(file)
            elif recording.marker:
                write_atomic(recording.marker, b"")
        return reports

    def _attempts(
        self, songs: list[DirectedRecording], variation: int
    ) -> list[tuple[Directed, Float[Tensor, "2 _"]] | Exception]:
        """Arrangement and band of each, all made together; where that fails, each alone: one costs no other its band."""
        try:
            directions = [
                self.direct(song.recording, song.voice.recording, variation, song.voice)
                if variation
                else song.first
                for song in songs
            ]
            bands = self._play_all([song.voice.recording for song in songs], directions, variation)
        except Exception as error:
            if len(songs) < 2:
                return [error]
            return [one for song in songs for one in self._attempts([song], variation)]
        return list(zip(directions, bands, strict=True))

    def direct(
        self, recording: Recording, vocals: Audio, variation: int = 0, voice: Voice | None = None
    ) -> Directed:
        """Lead sheet and arrangement of a variation; `voice`: the vocals, known before. Raises LeadSheetError."""
        sheet = read_sheet(recording.lead_sheet) if recording.lead_sheet else None
        return self.director.direct(vocals, self.varied(variation).seed, variation, sheet, voice)

    def play(
        self,
        vocals: Audio,
        directed: Directed,
        variation: int = 0,
        *,
        keep: Audio | None = None,
        region: tuple[float, float] | None = None,
        progress: Progress | None = None,
    ) -> Audio:
        """The band of one recording: the network's, from the arrangement; the arrangement itself at strength 0.

        Raises ValueError where there is nothing to go by at strength 0.
        """
        arranged = self._arranged(vocals, directed)
        if self.generator is None:
            if arranged is None:
                raise ValueError(
                    "strength 0 plays the arrangement alone, and there is none for this recording: "
                    + "; ".join(directed.remarks)
                )
            return arranged
        return self.generator.accompany(
            vocals,
            self.varied(variation),
            lead_sheet=directed.sheet,
            arrangement=arranged,
            voice=directed.voice,
            keep=keep,
            region=region,
            progress=progress,
        )

    def _arranged(self, vocals: Audio, directed: Directed) -> Audio | None:
        if directed.arrangement is None:
            return None
        return self.director.play(directed.arrangement, vocals.shape[-1])

    def _play_all(
        self, songs: list[Float[Tensor, "2 _"]], directions: list[Directed], variation: int
    ) -> list[Float[Tensor, "2 _"]]:
        if self.generator is None:
            return [
                self.play(vocals, directed, variation)
                for vocals, directed in zip(songs, directions, strict=True)
            ]
        arranged = [self._arranged(*song) for song in zip(songs, directions, strict=True)]
        sheets = [directed.sheet for directed in directions]
        voices = [directed.voice for directed in directions]
        return self.generator.accompany_all(songs, self.varied(variation), sheets, arranged, voices)

    def varied(self, variation: int) -> GenerationConfig:
        """Each variation has the next seed."""
        return replace(self.config, seed=self.config.seed + variation)

    def vocals_of(self, recording: Recording) -> Audio:
        """Raises AudioError where there is nothing to accompany."""
        return voice_of(read_audio(recording.vocals, self.max_seconds), self.separator)

    def write(
        self, recording: Recording, variation: int, vocals: Audio, band: Audio, directed: Directed
    ) -> list[str]:
        """The band last: where it is, all is. What its owner should know of it.

        Raises ValueError where there is no arrangement to write.
        """
        remarks: list[str] = []
        if (recording.midis or recording.stems) and directed.arrangement is None:
            raise ValueError(
                "there is no arrangement to write as MIDI or stems: "
                + "; ".join(directed.remarks or ("none asked for",))
            )
        if recording.midis and directed.arrangement:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "arrangement.mid"
                write_midi(directed.arrangement, file)
                write_atomic(recording.midis[variation], file.read_bytes())
        if recording.stems and directed.arrangement:
            with tempfile.TemporaryDirectory() as folder:
                files = write_stems(
                    directed.arrangement,
                    self.director.synthesiser,
                    Path(folder),
                    by_part=recording.stems_by_part,
                )
                for file in files:
                    write_atomic(join(recording.stems[variation], file.name), file.read_bytes())
            for name in [one for one in STEM_NAMES if one not in {file.stem for file in files}]:
                earlier = join(recording.stems[variation], f"{name}.flac")
                if kind_of(earlier) == "file":  # the stems would no longer add up to the band
                    delete(earlier)
                    remarks.append(f"removed {earlier}, a stem of an earlier arrangement")
        if recording.lead_sheets and directed.sheet:
            write_sheet(directed.sheet, recording.lead_sheets[variation])
        if recording.mixes:
            mixed = mix(vocals, band, self.mixdown.balance_db, self.mixdown.lufs)
            write_audio(recording.mixes[variation], mixed)
            remarks += filter(None, [loudness_remark(mixed, self.mixdown.lufs)])
        write_audio(recording.bands[variation], band)
        return remarks


def read_sheet(path: Location) -> LeadSheet:
    """A lead sheet from a file, local or on S3. Raises LeadSheetError, FileNotFoundError."""
    if kind_of(path) == "missing":
        raise FileNotFoundError(f"{path}: no such file")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PurePosixPath(str(path)).name
        file.write_bytes(read_bytes(path))
        return read_lead_sheet(file)


def write_sheet(sheet: LeadSheet, path: str) -> None:
    """A lead sheet into a file, local or on S3. Raises LeadSheetError, StorageError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PurePosixPath(path).name
        write_lead_sheet(sheet, file)
        for made in Path(folder).iterdir():  # some formats have a second file beside the first
            write_atomic(path.removesuffix(file.name) + made.name, made.read_bytes())


def make_producer(settings: dict[str, Any], device: str) -> Producer:
    """Load the models that `settings` name."""
    generator = None
    if plays_network(settings):
        generator = Generator.load(settings["checkpoint"] or PRETRAINED, settings["codec"], device)
    separator = load_separator(settings["separator"], device) if settings["separator"] else None
    return Producer(
        generator,
        settings["config"],
        settings["mixdown"],
        separator,
        settings["max_seconds"],
        settings["direction"],
    )


def plays_network(settings: dict[str, Any]) -> bool:
    """Whether a checkpoint is needed, and not the arrangement alone."""
    return bool(settings["config"].strength) or settings["direction"].follow_voice_alone
