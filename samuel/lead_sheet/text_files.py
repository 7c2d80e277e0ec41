"""Lead sheets as text: a heading with a chart under it, or ChordPro (chordpro.org).

Text knows bars, not seconds: a lead sheet is written at its median tempo, from its first downbeat, its chords to the
beat, and read back as steady.
"""

import re
from dataclasses import replace
from pathlib import Path

from samuel.lead_sheet.chord_names import chord_name, key_name
from samuel.lead_sheet.locks import BPM
from samuel.lead_sheet.sheet import FOUR, LeadSheet, LeadSheetError, parse_key, steady_beats
from samuel.lead_sheet.text import chart_text, metre_name, parse_chart, parse_metre

CHORDPRO_SUFFIXES = (".cho", ".chopro", ".chordpro", ".pro", ".crd")
BARS_A_LINE = 4
_FIRST_BEAT = "x_first_beat"  # ChordPro leaves names with x_ to programs


def read_text(path: Path) -> LeadSheet:
    """ "92 bpm, 4/4, A minor, first beat 0.42 s", then bars of chords. Raises LeadSheetError."""
    text = _text(path)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    rows = [line.strip("| ") for line in lines if "|" in line]
    chart = f"| {' | '.join(rows)} |" if rows else ""
    heading = ", ".join(line for line in lines if "|" not in line)
    bpm, first, metre, key, style, unsure = None, 0.0, FOUR, None, "", []
    for part in filter(None, (part.strip() for part in heading.split(","))):
        doubt, part = part.endswith("?"), part.rstrip("?").strip()
        if match := re.fullmatch(r"([\d.]+)\s*bpm", part, re.IGNORECASE):
            bpm = _number(match[1], "a tempo such as 92 bpm")
            unsure += ["tempo"] if doubt else []
        elif match := re.fullmatch(r"first beat\s+([\d.]+)\s*s?", part, re.IGNORECASE):
            first = _number(match[1], "a time such as first beat 0.42 s")
        elif re.fullmatch(r"\d+\s*/\s*\d+", part):
            metre = parse_metre(part)
        else:
            try:
                key = parse_key(part)
                unsure += ["key"] if doubt else []
            except LeadSheetError:
                style = part
    sheet = _steady(bpm, first, metre, chart)
    return replace(sheet, key=key, style=style, unsure=tuple(unsure))


def write_text(sheet: LeadSheet, path: Path) -> None:
    """Raises LeadSheetError without beats and bars."""
    bpm, first = _timing(sheet)
    parts = [f"{bpm:.6g} bpm{_doubt(sheet, 'tempo')}", metre_name(sheet.metre)]
    parts += [key_name(sheet.key) + _doubt(sheet, "key")] if sheet.key else []
    parts += [f"first beat {first:.4f} s"] + ([sheet.style] if sheet.style else [])
    cells = chart_text(sheet).strip("| ").split(" | ")
    lines = [
        "| " + " | ".join(cells[at : at + BARS_A_LINE]) + " |" for at in range(0, len(cells), BARS_A_LINE)
    ]
    path.write_text(", ".join(parts) + "\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


def read_chordpro(path: Path) -> LeadSheet:
    """The bars of its grids; without any, each chord over its lyrics is a bar. Raises LeadSheetError."""
    text = _text(path)
    fields = {
        name.lower(): value.strip()
        for name, value in re.findall(r"\{\s*(?:meta:?\s+)?(\w+)\s*:?\s+([^}]*)\}", text.replace(":", ": "))
    }
    grids = re.findall(
        r"\{\s*(?:start_of_grid|sog)\b[^}]*\}(.*?)\{\s*(?:end_of_grid|eog)\s*\}", text, re.DOTALL
    )
    if grids:
        rows = [line.strip() for grid in grids for line in grid.splitlines() if "|" in line]
        bars = [row[row.index("|") : row.rindex("|") + 1] for row in rows]
        chart = re.sub(r"\|[:.]|[:.]\|", "|", " ".join(bars))
        chart = re.sub(r"\|\s*\|", "|", chart)
    else:
        words = [word for word in re.findall(r"\[([^\]*]+)\]", text) if word.strip()]
        chart = "| " + " | ".join(words) + " |" if words else ""
    bpm = _number(fields["tempo"], "{tempo: 92}") if "tempo" in fields else None
    first = _number(fields[_FIRST_BEAT], f"{{{_FIRST_BEAT}: 0.42}}") if _FIRST_BEAT in fields else 0.0
    metre = parse_metre(fields["time"]) if "time" in fields else FOUR
    sheet = _steady(bpm, first, metre, chart)
    return replace(sheet, key=parse_key(fields["key"]) if "key" in fields else None)


def write_chordpro(sheet: LeadSheet, path: Path) -> None:
    """A grid with a cell a beat. Raises LeadSheetError without beats and bars."""
    bpm, first = _timing(sheet)
    lines = ["{title: Lead sheet}"]
    if sheet.key:
        lines.append("{key: " + key_name(sheet.key).replace(" major", "").replace(" minor", "m") + "}")
    lines += [
        f"{{time: {metre_name(sheet.metre)}}}",
        f"{{tempo: {bpm:.6g}}}",
        f"{{{_FIRST_BEAT}: {first:.4f}}}",
    ]
    lines += ["", "{start_of_grid}"]
    cells = [_cells(sheet, start, end) for start, end in sheet.bars]
    for at in range(0, len(cells), BARS_A_LINE):
        lines.append("| " + " | ".join(cells[at : at + BARS_A_LINE]) + " |")
    path.write_text("\n".join([*lines, "{end_of_grid}", ""]), encoding="utf-8")


def _cells(sheet: LeadSheet, start: float, end: float) -> str:
    """ "Am . F ." for a bar: a chord where it begins, a dot where it goes on."""
    cells, before = [], None
    for beat in range(sheet.metre.beats):
        middle = start + (beat + 0.5) / sheet.metre.beats * (end - start)
        chord = sheet.chord_at(middle)
        name = "N.C." if chord is None else chord_name(chord, sheet.key)
        cells.append("." if name == before else name)
        before = name
    return " ".join(cells)


def _steady(bpm: float | None, first: float, metre, chart: str) -> LeadSheet:
    if not chart:
        raise LeadSheetError('it has no chords; expected bars such as "| Am | F | C G/B | % |"')
    if bpm is None:
        raise LeadSheetError(
            'it has chords by the bar but no tempo; write it in the heading, such as "92 bpm, 4/4, first beat 0.42 s" '
            "(ChordPro: {tempo: 92}), or give the chords with --chords"
        )
    if not BPM[0] <= bpm <= BPM[1]:
        raise LeadSheetError(f"expected a tempo from {BPM[0]:g} to {BPM[1]:g} bpm, got {bpm:g}")
    bars = parse_chart(chart)
    beats, downbeats = steady_beats(bpm, first, metre, first + len(bars.bars) * metre.beats * 60 / bpm)
    sheet = LeadSheet(beats=beats, downbeats=downbeats, metre=metre)
    return replace(sheet, chords=bars.over(sheet.bars))


def _timing(sheet: LeadSheet) -> tuple[float, float]:
    """Tempo, and the first downbeat. The mean over the bars, so that the last bar is as right as the first."""
    if len(sheet.beats) < 2 or not sheet.downbeats:
        raise LeadSheetError("a chart by the bar needs beats and downbeats, and this lead sheet has none")
    if len(sheet.downbeats) < 2:
        return sheet.bpm or 120.0, sheet.downbeats[0]
    span = sheet.downbeats[-1] - sheet.downbeats[0]
    return 60 * sheet.metre.beats * (len(sheet.downbeats) - 1) / span, sheet.downbeats[0]


def _doubt(sheet: LeadSheet, part: str) -> str:
    return "?" if part in sheet.unsure else ""


def _number(text: str, expected: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise LeadSheetError(f"expected {expected}, got {text!r}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LeadSheetError(f"it is no text: {error}") from error
