"""Recordings of voices in files -> lead sheets in files, on local folders or on S3."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath

from samuel.config import SAMPLE_RATE
from samuel.errors import in_words
from samuel.generation.files import read_audio, write_sheet
from samuel.generation.producer import voice_of
from samuel.generation.recordings import MADE, audio_among
from samuel.harmonizing.harmonizer import find_lead_sheet
from samuel.lead_sheet.chord_names import key_name
from samuel.lead_sheet.files import FORMATS
from samuel.lead_sheet.locks import Locks
from samuel.lead_sheet.text import chart_text, metre_name
from samuel.separation import Separator
from samuel.storage import StorageError, join, list_files, write_atomic
from samuel.storage.overwriting import refuse_within
from samuel.vocals import extract_features, normal_form


@dataclass(frozen=True)
class SheetTask:
    """One recording and the files to make of it."""

    name: str
    """Its path below the folder of recordings."""
    recording: str
    files: tuple[tuple[str, ...], ...]
    """For each variation, the likeliest first, a file for each format."""
    marker: str
    """Written last, with the report; its name changes when the recording does."""


@dataclass
class SheetReport:
    """A recording's row in the table of a folder: what was found first, or the error."""

    recording: str
    seconds: float = 0.0
    bpm: float | None = None
    metre: str = ""
    key: str = ""
    chords: str = ""
    """By bars, as one gives them with --chords."""
    unsure: list[str] = field(default_factory=list)
    """Parts found with little certainty."""
    error: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def tasks_in(folder: str, out: str, formats: Sequence[str], variations: int) -> list[SheetTask]:
    """A task for each audio file below a folder; OUT has the same subfolders and names.

    Two recordings whose names differ by their extensions alone keep it in those of their lead sheets. Raises
    ValueError where there is none, for unknown formats, and where OUT lies in the folder.
    """
    suffixes = [f".{one.lower().lstrip('.')}" for one in formats]
    if unknown := [one for one in suffixes if one not in FORMATS]:
        raise ValueError(f"expected --format {', '.join(FORMATS)}, got {', '.join(unknown)}")
    refuse_within(out, {"the folder of recordings": [folder]})
    found = audio_among(list_files(folder).files, folder)
    stems = [str(PurePosixPath(file.name).with_suffix("")) for file in found]
    tasks = []
    for file, stem in zip(found, stems, strict=True):
        target = file.name if stems.count(stem) > 1 else stem
        names = [target, *(f"{target}-{number}" for number in range(2, variations + 1))]
        version = hashlib.sha256(str(file).encode()).hexdigest()[:24]
        tasks.append(
            SheetTask(
                file.name,
                str(join(folder, file.name)),
                tuple(tuple(str(join(out, name + suffix)) for suffix in suffixes) for name in names),
                str(join(out, f"{MADE}/{version}.json")),
            )
        )
    return tasks


class SheetMaker:
    """Makes the lead sheets of one recording after another. `separator` takes the voice out of mixes."""

    def __init__(
        self, locks: Locks, separator: Separator | None = None, max_seconds: float | None = None
    ) -> None:
        self.locks, self.separator, self.max_seconds = locks, separator, max_seconds

    def __call__(self, task: SheetTask) -> SheetReport:
        """A bad recording is a report of its error. Raises StorageError where files cannot be written."""
        report = SheetReport(task.name)
        try:
            vocals = voice_of(read_audio(task.recording, self.max_seconds), self.separator)
            report.seconds = round(vocals.shape[-1] / SAMPLE_RATE, 3)
            features = extract_features(normal_form(vocals))
            sheets = [
                find_lead_sheet(features, report.seconds, self.locks, variation)
                for variation in range(len(task.files))
            ]
            for sheet, files in zip(sheets, task.files, strict=True):
                for file in files:
                    write_sheet(sheet, file)
        except StorageError:
            raise
        except Exception as error:  # one bad recording never stops a run
            report.error = in_words(error)
            return report
        first = sheets[0]
        report.bpm = first.bpm and round(first.bpm, 2)
        report.metre, report.key = metre_name(first.metre), key_name(first.key) if first.key else ""
        report.chords, report.unsure = chart_text(first), list(first.unsure)
        write_atomic(task.marker, report.to_json().encode())
        return report
