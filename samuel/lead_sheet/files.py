"""Lead sheets as files, by suffix, both ways.

| suffix | what it holds |
|---|---|
| .json | everything (the fields of a rendered song's annotations) |
| .mid, .midi | tempo map, metre, key, chords as markers and as notes (`midi_file`) |
| .musicxml, .mxl, .xml | bars with chord symbols, metre, key, tempo (`musicxml_file`) |
| .lab | chords in Harte's syntax; beats beside it in NAME.beats.lab (`lab_files`) |
| .txt | heading and chart, at a steady tempo (`text_files`) |
| .cho, .chopro, .chordpro, .pro, .crd | ChordPro: a grid of bars, or chords in lyrics (`text_files`) |
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import SAMPLE_RATE
from samuel.lead_sheet import lab_files, midi_file, musicxml_file, text_files
from samuel.lead_sheet.sheet import LeadSheet, LeadSheetError

Reader = Callable[[Path], LeadSheet]
Writer = Callable[[LeadSheet, Path], None]

CLICK_SECONDS = 0.03
DOWNBEAT_HZ, BEAT_HZ = 1600.0, 1000.0
OTHER_LENGTH = 0.1  # share of the recording, and
OTHER_SECONDS = 10.0  # seconds, by which a lead sheet may end elsewhere


def _read_json(path: Path) -> LeadSheet:
    try:
        return LeadSheet.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise LeadSheetError(f"{path.name} is no text: {error}") from error


def _write_json(sheet: LeadSheet, path: Path) -> None:
    path.write_text(sheet.to_json() + "\n", encoding="utf-8")


FORMATS: dict[str, tuple[Reader, Writer]] = {
    ".json": (_read_json, _write_json),
    **dict.fromkeys((".mid", ".midi"), (midi_file.read, midi_file.write)),
    **dict.fromkeys((".musicxml", ".mxl", ".xml"), (musicxml_file.read, musicxml_file.write)),
    ".lab": (lab_files.read, lab_files.write),
    ".txt": (text_files.read_text, text_files.write_text),
    **dict.fromkeys(text_files.CHORDPRO_SUFFIXES, (text_files.read_chordpro, text_files.write_chordpro)),
}


def read_lead_sheet(path: Path | str) -> LeadSheet:
    """Raises LeadSheetError for an unknown suffix, no such file, or what the file lacks."""
    path = Path(path)
    reader, _ = _format(path)
    if not path.is_file():
        raise LeadSheetError(f"expected a lead sheet in {path}, but there is no such file")
    try:
        return reader(path)
    except LeadSheetError as error:
        raise LeadSheetError(f"{path.name}: {error}") from error


def write_lead_sheet(sheet: LeadSheet, path: Path | str) -> None:
    """Raises LeadSheetError for an unknown suffix, or a part that this kind of file cannot do without."""
    path = Path(path)
    _, writer = _format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer(sheet, path)


def check_length(sheet: LeadSheet, seconds: float) -> None:
    """Raises LeadSheetError for a lead sheet that ends far from where its recording does."""
    end = max([chord.end for chord in sheet.chords] + list(sheet.beats[-1:]) + [0.0])
    if abs(end - seconds) > max(OTHER_SECONDS, OTHER_LENGTH * seconds):
        raise LeadSheetError(
            f"the lead sheet lasts {_clock(end)} and the recording {_clock(seconds)}: it is of another recording, or "
            "begins elsewhere; give chords that repeat with --chords, or a lead sheet of the whole recording"
        )


def click(sheet: LeadSheet, seconds: float) -> Float[Tensor, "2 samples"]:
    """A click on each beat, higher on downbeats, in [-1, 1] at 44.1 kHz. Raises LeadSheetError without beats."""
    import mir_eval

    if not sheet.beats:
        raise LeadSheetError("a click needs beats, and this lead sheet has none")
    samples = round(seconds * SAMPLE_RATE)
    down = set(sheet.downbeats)
    track = np.zeros(samples)
    for hertz, times in ((DOWNBEAT_HZ, down), (BEAT_HZ, set(sheet.beats) - down)):
        time = np.arange(round(CLICK_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
        sound = 0.5 * np.sin(2 * np.pi * hertz * time) * np.exp(-time / (CLICK_SECONDS / 5))
        inside = np.array(sorted(t for t in times if 0 <= t < seconds))
        track += mir_eval.sonify.clicks(inside, SAMPLE_RATE, click=sound, length=samples)
    return torch.from_numpy(track).float().expand(2, -1).contiguous()


def _format(path: Path) -> tuple[Reader, Writer]:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise LeadSheetError(f"expected a lead sheet as {', '.join(FORMATS)}; got {path.name}")
    return found


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
