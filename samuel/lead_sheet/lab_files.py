"""Lead sheets as .lab: "start end label" a line, in Harte's syntax; beats beside it, "time number" a line.

The layout is that of the Isophonics annotations; chords are in NAME.lab, beats in NAME.beats.lab, numbered from 1 in
each bar.
"""

import re
from pathlib import Path

from samuel.lead_sheet.chord import Chord, parse_chord
from samuel.lead_sheet.sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.signatures import Metre


def beats_path(path: Path) -> Path:
    return path.with_suffix(".beats.lab")


def read(path: Path) -> LeadSheet:
    """NAME.lab, with NAME.beats.lab where it exists; NAME.beats.lab alone gives beats. Raises LeadSheetError."""
    if path.name.endswith(".beats.lab"):
        return _beats(path, ())
    chords = _chords(path)
    return _beats(beats_path(path), chords) if beats_path(path).is_file() else LeadSheet(chords=chords)


def write(sheet: LeadSheet, path: Path) -> None:
    """Chords, and beats beside them where there are any. Key, style and energy are not kept."""
    path.write_text(
        "".join(f"{c.start:.6f}\t{c.end:.6f}\t{c.label}\n" for c in sheet.chords), encoding="utf-8"
    )
    if not sheet.beats:
        beats_path(path).unlink(missing_ok=True)
        return
    down = set(sheet.downbeats)
    first = next((i for i, beat in enumerate(sheet.beats) if beat in down), 0)
    lines, number = [], -first % sheet.metre.beats
    for beat in sheet.beats:
        number = 1 if beat in down else number + 1
        lines.append(f"{beat:.6f}\t{number}\n")
    beats_path(path).write_text("".join(lines), encoding="utf-8")


def _chords(path: Path) -> tuple[Chord, ...]:
    chords = []
    for number, words in _rows(path, 3, "start, end and a chord, such as: 0.0 2.1 A:min"):
        try:
            chord = parse_chord(words[2], float(words[0]), float(words[1]))
        except (ValueError, KeyError) as error:
            raise LeadSheetError(f"line {number}, {' '.join(words)!r}: {error}") from error
        chords.append(chord)
    if not chords:
        raise LeadSheetError("it has no chords")
    return tuple(chords)


def _beats(path: Path, chords: tuple[Chord, ...]) -> LeadSheet:
    beats, numbers = [], []
    for line, words in _rows(path, 2, "a time and the beat's number in its bar, such as: 0.42 1"):
        try:
            beats.append(float(words[0]))
            numbers.append(int(float(words[1])))
        except ValueError as error:
            raise LeadSheetError(f"{path.name}, line {line}, {' '.join(words)!r}: {error}") from error
    metre = Metre(max(max(numbers, default=4), 1))
    downbeats = tuple(beat for beat, number in zip(beats, numbers, strict=True) if number == 1)
    return LeadSheet(beats=tuple(beats), downbeats=downbeats, chords=chords, metre=metre)


def _rows(path: Path, columns: int, expected: str) -> list[tuple[int, list[str]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise LeadSheetError(f"it is no text: {error}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip() if columns == 2 else line.strip()
        words = re.split(
            r"\s+" if len(text.split()) == columns else r"[\s,]+", text
        )  # labels may hold commas
        if words == [""]:
            continue
        if len(words) != columns:
            raise LeadSheetError(f"line {number}: expected {expected}; got {line.strip()!r}")
        rows.append((number, words))
    return rows
