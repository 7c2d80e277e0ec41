"""The order in which the bars of a score are played: repeats, endings, da capo, dal segno, fine and coda.

A repeat without a beginning goes back to the end of the repeat before it, or to the start. After a da capo or a
dal segno, repeats are not taken, and of endings the last is played.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from samuel.lead_sheet.notation.written import ScoreError

MOST_BARS = 5_000


@dataclass
class BarMarks:
    """What is written at a bar. `endings` are the numbers of an ending that begins here; `times` of a repeat
    that ends here is how often its bars are played in all, 0 where that is not written."""

    forward: bool = False
    backward: bool = False
    times: int = 0
    endings: frozenset[int] = frozenset()
    ending_stops: bool = False
    segno: bool = False
    coda: bool = False
    to_coda: bool = False
    fine: bool = False
    da_capo: bool = False
    dal_segno: bool = False

    def add(self, other: "BarMarks") -> None:
        """What is written at the same bar in another part."""
        for mark in fields(self):
            mine, theirs = getattr(self, mark.name), getattr(other, mark.name)
            setattr(self, mark.name, max(mine, theirs) if mark.name == "times" else mine | theirs)


@dataclass(frozen=True)
class _Ending:
    """An ending's bars `first` to `last`, the passes in which they are played, and how many passes there are.

    `goes_back` is true of all endings of a repeat but the last, whether a repeat is written there or not; where a
    da capo or a dal segno is written, that counts.
    """

    first: int
    last: int
    passes: frozenset[int]
    all_passes: int
    goes_back: bool


def play_order(bars: Sequence[BarMarks]) -> list[int]:
    """The indices of the bars as they are played. Raises ScoreError for more than `MOST_BARS`."""
    endings = {ending.first: ending for ending in _endings(bars)}
    order: list[int] = []
    jumped: set[int] = set()
    start, turn = 0, 1  # of the repeat that may be open: its first bar, and the pass through it
    index = 0
    while index < len(bars):
        bar = bars[index]
        if bar.forward and index != start:
            start, turn = index, 1
        ending = endings.get(index)
        if ending is not None and (ending.all_passes if jumped else turn) not in ending.passes:
            index = ending.last + 1
            if index not in endings:
                start, turn = index, 1
            continue
        order.append(index)
        if len(order) > MOST_BARS:
            raise ScoreError(f"the repeats make more than {MOST_BARS} bars")
        if jumped and bar.fine:
            break
        if jumped and bar.to_coda and (coda := _after(bars, index)) is not None:
            index = coda
            continue
        inside = next((e for e in endings.values() if e.first <= index <= e.last), None)
        passes = max(bar.times, inside.all_passes) if inside else bar.times or 2
        backward = bar.backward or (inside is not None and inside.goes_back and index == inside.last)
        if backward and not jumped and turn < passes:
            index, turn = start, turn + 1
            continue
        if backward or (inside is not None and index == inside.last and turn >= inside.all_passes):
            start, turn = index + 1, 1
        if (bar.da_capo or bar.dal_segno) and index not in jumped:
            jumped.add(index)
            segno = next((number for number, other in enumerate(bars) if other.segno), 0)
            index = segno if bar.dal_segno else 0
            start, turn = index, 1
            continue
        index += 1
    return order


def _after(bars: Sequence[BarMarks], index: int) -> int | None:
    """The coda's first bar: the next one after `index`."""
    return next((number for number in range(index + 1, len(bars)) if bars[number].coda), None)


def _endings(bars: Sequence[BarMarks]) -> list[_Ending]:
    """Endings that follow one another belong together. Where their numbers leave a pass out, they are counted."""
    begins = [index for index, bar in enumerate(bars) if bar.endings]
    spans: list[tuple[int, int, frozenset[int]]] = []
    for first, following in zip(begins, [*begins[1:], len(bars)], strict=False):
        until = range(first, following)
        last = next((i for i in until if bars[i].ending_stops or bars[i].backward), first)
        if (
            following < len(bars)
            and bars[following - 1].backward
            and not any(bars[i].backward or bars[i].forward for i in range(last, following - 1))
        ):
            last = following - 1  # its bracket is shorter than what it holds
        spans.append((first, last, bars[first].endings))
    groups: list[list[tuple[int, int, frozenset[int]]]] = []
    for span in spans:
        if groups and groups[-1][-1][1] + 1 == span[0]:
            groups[-1].append(span)
        else:
            groups.append([span])
    found = []
    for group in groups:
        numbers = sorted(number for _, _, passes in group for number in passes)
        if numbers != list(range(1, len(numbers) + 1)):
            group = [(first, last, frozenset({k})) for k, (first, last, _) in enumerate(group, 1)]
        highest = max(max(passes) for _, _, passes in group)
        alone = len(group) == 1 and bars[group[0][1]].backward  # played first, and left out in the end
        found += [
            _Ending(
                first,
                last,
                passes,
                highest + alone,
                goes_back=number < len(group)
                and not any(bar.da_capo or bar.dal_segno for bar in bars[first : last + 1]),
            )
            for number, (first, last, passes) in enumerate(group, 1)
        ]
    return found
