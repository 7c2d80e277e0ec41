"""Which files are made of which recordings, on local folders or on S3."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from samuel import audio
from samuel.arranging import PARTS, STEMS
from samuel.lead_sheet.files import FORMATS
from samuel.storage import StoredFile, absolute, join, list_files
from samuel.storage.audio_names import is_audio
from samuel.storage.overwriting import refuse_overwriting, refuse_within

MADE = ".made"
STEM_NAMES = tuple(dict.fromkeys((*STEMS, *PARTS)))


@dataclass(frozen=True)
class Outputs:
    """What is to be made of a recording: files, and a folder of stems. Of a folder of recordings: folders for them."""

    band: str
    mix: str | None = None
    midi: str | None = None
    """The arrangement's notes."""
    stems: str | None = None
    """The arrangement's stems."""
    stems_by_part: bool = False
    """A stem a player in place of drums, bass and other."""
    lead_sheet: str | None = None
    """What was played."""

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.band, self.mix, self.midi, self.stems, self.lead_sheet)))

    def of(self, name: str, file_format: str) -> "Outputs":
        """In these folders, for a recording of this path below its own folder."""
        plain = str(PurePosixPath(name).with_suffix(""))

        def below(folder: str | None, suffix: str) -> str | None:
            return str(join(folder, plain + suffix)) if folder else None

        return replace(
            self,
            band=str(join(self.band, f"{plain}.{file_format}")),
            mix=below(self.mix, f".{file_format}"),
            midi=below(self.midi, ".mid"),
            stems=below(self.stems, ""),
        )


@dataclass(frozen=True)
class Recording:
    """One recording and the files to make of it: a band for each variation, and as many of the others or none."""

    vocals: str
    bands: tuple[str, ...]
    mixes: tuple[str, ...] = ()
    midis: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    """Folders."""
    stems_by_part: bool = False
    lead_sheets: tuple[str, ...] = ()
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
    outputs: Outputs,
    variations: int = 1,
    *,
    lead_sheet: str = "",
    read: Mapping[str, str | None] | None = None,
) -> Recording:
    """One file: variations after the first are numbered, band.wav, band-2.wav, ...; of folders, stems, stems-2, ...

    `read` has what else is read, by what it is. Raises ValueError for formats, and where a file would be written over
    one that is read, or over another one.
    """
    sounds = [f".{one}" for one in audio.FILE_FORMATS]
    require_suffix(outputs.band, sounds)
    require_suffix(outputs.mix, sounds)
    require_suffix(outputs.midi, [".mid", ".midi"])
    require_suffix(outputs.lead_sheet, FORMATS)

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
        numbered(outputs.band),
        numbered(outputs.mix),
        numbered(outputs.midi),
        numbered(outputs.stems, is_folder=True),
        outputs.stems_by_part,
        numbered(outputs.lead_sheet),
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


def require_suffix(name: str | None, suffixes: Collection[str]) -> None:
    """Raises ValueError for another one; nothing is required of None."""
    if name and PurePosixPath(name).suffix.lower() not in suffixes:
        raise ValueError(f"{name}: expected a file name that ends in {', '.join(suffixes)}")


def audio_among(files: Iterable[StoredFile], folder: str) -> list[StoredFile]:
    """Those of a folder's files that are audio by their names. Raises ValueError where none is."""
    found = [
        file for file in files if is_audio(file.name) and not PurePosixPath(file.name).name.startswith(".")
    ]
    if not found:
        raise ValueError(f"no audio files in {folder}; expected recordings of vocals at any depth")
    return found


def recordings_in(
    folder: str, outputs: Outputs, file_format: str, variations: int
) -> tuple[list[Recording], list[RecordingReport]]:
    """The audio files below a folder, and failures for those that would be written over one another.

    The folders of `outputs` have the same subfolders and names, with the extension of `file_format`; that of the stems
    has a folder a recording. A lead sheet beside a recording, of the same name, is played. Raises ValueError where there
    are no recordings, for formats, and where what is read would be written over, or what is written would be read by
    the next run.
    """
    if file_format not in audio.FILE_FORMATS:
        raise ValueError(f"expected --format {', '.join(audio.FILE_FORMATS)}, got {file_format!r}")
    for option, place in (
        ("--out", outputs.band),
        ("--mix", outputs.mix),
        ("--midi", outputs.midi),
        ("--stems", outputs.stems),
    ):
        if place:
            refuse_within(place, {"the folder of recordings": [folder]}, option)
    found = list_files(folder).files
    sheets = {
        file.name.rpartition(".")[0]: file
        for file in found
        if PurePosixPath(file.name).suffix.lower() in FORMATS
    }
    recordings = []
    owners: dict[str, str] = {}
    failures = []
    for file in audio_among(found, folder):
        vocals = str(join(folder, file.name))
        sheet = sheets.get(file.name.rpartition(".")[0])
        one = recording_of(
            vocals,
            outputs.of(file.name, file_format),
            variations,
            lead_sheet=str(join(folder, sheet.name)) if sheet else "",
        )
        made_of = f"{file} {sheet}" + (f" {one.stems} {one.stems_by_part}" if one.stems else "")
        version = hashlib.sha256(made_of.encode()).hexdigest()[:24]
        one = replace(one, marker=str(join(outputs.band, f"{MADE}/{version}")))
        written = (*one.files, *one.stem_files)
        if taken := [file for file in written if file in owners]:
            error = f"{owners[taken[0]]} would be written to the same file, {taken[0]}; rename one"
            failures.append(RecordingReport(vocals, error=error))
            continue
        owners |= dict.fromkeys(written, vocals)
        recordings.append(one)
    refuse_overwriting(
        {"the recording": [one.vocals for one in recordings]},
        {
            "the accompaniment": [file for one in recordings for file in one.bands],
            "the mix": [file for one in recordings for file in one.mixes],
            "a stem": [file for one in recordings for file in one.stem_files],
        },
    )
    return recordings, failures
