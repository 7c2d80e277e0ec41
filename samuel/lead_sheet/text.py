"""Lead sheets as a person writes them: "92 bpm, 4/4, A minor | Am | F | C G/B | %"."""

import re
from dataclasses import dataclass, replace

from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.chord_names import chord_name, key_name, parse_chord_name
from samuel.lead_sheet.sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.signatures import Metre

REPEAT = "%"
DOUBT = "?"


@dataclass(frozen=True)
class Chart:
    """Chords by bar: each bar's chords in order, with start and end as shares of the bar, 0 to 1."""

    bars: tuple[tuple[Chord, ...], ...]

    def __post_init__(self) -> None:
        if not self.bars:
            raise LeadSheetError('expected chords such as "| Am | F | C G/B |", got none')

    def over(self, bars: tuple[tuple[float, float], ...]) -> tuple[Chord, ...]:
        """The chords in seconds over `bars` (start, end), the chart repeated to the end; equal neighbours are one."""
        chords: list[Chord] = []
        for number, (start, end) in enumerate(bars):
            for chord in self.bars[number % len(self.bars)]:
                first, last = start + chord.start * (end - start), start + chord.end * (end - start)
                before = chords[-1] if chords else None
                if before and replace(before, start=0.0, end=1.0) == replace(chord, start=0.0, end=1.0):
                    chords[-1] = replace(before, end=last)
                else:
                    chords.append(replace(chord, start=first, end=last))
        return tuple(chords)


def parse_chart(text: str) -> Chart:
    """ "| Am | F | C G/B | % |": bars between lines, their chords evenly spread; % is the bar before.

    Without any line each chord is a bar. Raises LeadSheetError that names the bar and the word.
    """
    cells = [cell.split() for cell in text.replace("||", "|").strip().strip("|:").split("|")]
    if len(cells) == 1 and "|" not in text:
        cells = [[word] for word in cells[0]]
    bars: list[tuple[Chord, ...]] = []
    for number, words in enumerate(cells, 1):
        if words == [REPEAT] or words == []:
            if not bars:
                raise LeadSheetError(
                    f"bar {number} is {'empty' if not words else 'a repeat'}, and no bar is before it"
                )
            bars.append(bars[-1])
            continue
        bar: list[Chord] = []
        for place, word in enumerate(words):
            start, end = place / len(words), (place + 1) / len(words)
            if word in ("/", ".") and bar:
                bar[-1] = replace(bar[-1], end=end)
                continue
            try:
                bar.append(parse_chord_name(word.removesuffix(DOUBT), start, end))
            except LeadSheetError as error:
                raise LeadSheetError(f"bar {number}: {error}") from None
        bars.append(tuple(bar))
    return Chart(tuple(bars))


def chart_text(sheet: LeadSheet, doubts: bool = False) -> str:
    """The chords by bar: "| Am | F | C G/B |". A chord that is held on from the bar before is written again.

    With `doubts`, those that are little more than guesses have a question mark: "| Am | F? |".
    """

    def name(chord: Chord) -> str:
        return chord_name(chord, sheet.key) + (DOUBT if doubts and sheet.is_guess(chord) else "")

    shortest = min(0.1, 0.5 / sheet.metre.beats)  # of a bar
    cells = []
    for start, end in sheet.bars:
        least = shortest * (end - start)
        inside = [c for c in sheet.chords if min(c.end, end) - max(c.start, start) > least]
        shares = [(min(c.end, end) - max(c.start, start)) / (end - start) for c in inside]
        cells.append(" ".join(_spread([name(c) for c in inside], shares, sheet.metre.beats)))
    shown = [
        cell if number == 0 or cell != cells[number - 1] or not cell else REPEAT
        for number, cell in enumerate(cells)
    ]
    return "| " + " | ".join(cell or "N.C." for cell in shown) + " |" if cells else ""


def heading(sheet: LeadSheet) -> str:
    """ "92 bpm, 4/4, A minor"; what is not known is left out, what is unsure has a question mark."""

    def doubt(part: str) -> str:
        return "?" if part in sheet.unsure else ""

    parts = []
    if sheet.bpm:
        parts.append(f"{sheet.bpm:.4g} bpm{doubt('tempo')}")
        parts.append(metre_name(sheet.metre))
    if sheet.key:
        parts.append(key_name(sheet.key) + doubt("key"))
    if sheet.style:
        parts.append(sheet.style)
    return ", ".join(parts) or "tempo and key unknown"


def sheet_text(sheet: LeadSheet) -> str:
    """Heading and chart on one line each, with question marks where either is unsure."""
    return f"{heading(sheet)}\n{chart_text(sheet, doubts=True)}".strip()


def parse_metre(text: str) -> Metre:
    """ "3/4", "6/8". A beat of 6/8, 9/8 or 12/8 is a dotted quarter, of 5/8, 7/8 or 11/8 an eighth, of 2/2 a half.

    Raises LeadSheetError.
    """
    match = re.fullmatch(r"\s*(\d{1,2})\s*/\s*(1|2|4|8|16)\s*", text)
    count = int(match[1]) if match else 0
    if match is None or not 1 <= count <= 15:
        raise LeadSheetError(f"expected a metre such as 4/4, 3/4 or 6/8, got {text!r}")
    unit = int(match[2])
    return Metre(count // 3, 3, unit) if unit >= 8 and count % 3 == 0 else Metre(count, 2, unit)


def metre_name(metre: Metre) -> str:
    """ "4/4", "6/8", "11/8": `parse_metre` of it is the metre."""
    return "{}/{}".format(*metre.ratio)


def _spread(names: list[str], shares: list[float], beats: int) -> list[str]:
    """Names with slashes where a chord lasts longer than an even share of the bar."""
    if len(names) < 2 or max(shares) - min(shares) < min(0.15, 0.9 / beats):
        return names
    words: list[str] = []
    for name, share in zip(names, shares, strict=True):
        words += [name] + ["/"] * (max(1, round(share * beats)) - 1)
    return words
