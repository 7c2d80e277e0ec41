"""Where bars begin: bars as a score has them -> bars of one metre.

A song has one metre from its first bar to its last. A score may begin with an upbeat, split a bar at a
repeat, or have a bar that is shorter or longer than the others. Each bar that is whole still begins on a
downbeat of the song: an upbeat ends its bar, the parts of a split bar complete one another, and after a bar of
another length what sounds is held until the next downbeat.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Container, Sequence
from itertools import accumulate

from samuel.lead_sheet.notation.written import ScoreError, Signature
from samuel.lead_sheet.signatures import Metre
from samuel.rendering.score import metre_of

_SAME = 0.04  # of a bar: parts of bars that differ by less are of one length (rounded tuplets)
_LOOSE = 0.1  # beats: what is played by hand begins and ends as far from the bar line that it belongs to
MOST_HELD = 1 / 3  # of the bars


class BarGrid:
    """From a score's own time, in any unit from 0 on, to beats in which bars begin at multiples of `full`.

    `lengths` are those of the score's bars, `full` that of the metre's bar and `beat` that of its beat, all in
    the score's unit. `upbeats` are the indices of bars that are known to lead to the next one. `held` counts the
    bars that are prolonged.
    """

    def __init__(
        self, lengths: Sequence[float], *, full: float, beat: float, upbeats: Container[int] = ()
    ) -> None:
        self.full, self.beat = full, beat
        self.starts = [0.0, *accumulate(lengths)]
        self.held = 0
        self.places: list[float] = []
        place, filled = (
            0.0,
            _silence_before(lengths, full),
        )  # of the current bar: where it begins, what has passed
        for index, length in enumerate(lengths):
            if filled and filled + length > full * (1 + _SAME):
                place, filled = place + full, 0.0
                self.held += 1
            if index in upbeats and filled == 0:
                filled = -length % full
            self.places.append(place + filled)
            filled += length
            whole = int(filled / full + _SAME)
            place += whole * full
            filled = max(0.0, filled - whole * full)
            filled = 0.0 if filled < _SAME * full else filled
        self.places.append(place + filled)

    def onset(self, time: float) -> float:
        """The beat of what begins at `time`: after a hold, not before it."""
        return self._beat(time, self._bar_of_onset(time))

    def span(self, start: float, end: float) -> tuple[float, float]:
        """The beats from `start` to `end`: what ends at a bar line ends before a hold, what crosses it is held."""
        bar = self._bar_of_onset(start)
        last = bisect_left(self.starts, end - _LOOSE * self.beat) - 1
        return self._beat(start, bar), self._beat(end, max(bar, last))

    def _bar_of_onset(self, time: float) -> int:
        return bisect_right(self.starts, time + _LOOSE * self.beat) - 1

    def _beat(self, time: float, bar: int) -> float:
        bar = min(max(bar, 0), len(self.places) - 1)
        return max(0.0, self.places[bar] + time - self.starts[bar]) / self.beat


def _silence_before(lengths: Sequence[float], full: float) -> float:
    """The silence that fills the first bar up where the score begins with a part of a bar."""
    begun = 0.0
    for length in lengths:
        if abs(length - full) < _SAME * full:
            return full - begun if begun else 0.0
        begun += length
        if begun > full * (1 - _SAME):
            return 0.0
    return 0.0


def prevailing(bars: Sequence[tuple[Signature, float]]) -> Signature:
    """Of (time signature, length) for each bar, the signature that lasts longest."""
    lasting: dict[Signature, float] = {}
    for signature, length in bars:
        lasting[signature] = lasting.get(signature, 0.0) + length
    return max(lasting, key=lambda signature: lasting[signature])


def grid_of(
    bars: Sequence[tuple[Signature, float]], *, upbeats: Container[int] = ()
) -> tuple[BarGrid, Metre]:
    """Bars as (time signature, length in quarters) -> where they lie, and the song's metre.

    Raises ScoreError where no metre prevails: too many bars would have to be held.
    """
    beats, unit = prevailing(bars)
    metre, beat = metre_of(beats, unit)
    if metre == Metre(1):  # 1/4 tells a beat, not a bar
        metre = Metre(4)
    full = beat * metre.beats
    grid = BarGrid([length for _, length in bars], full=full, beat=beat, upbeats=upbeats)
    kinds = Counter(f"{beats}/{unit}" for (beats, unit), _ in bars)
    if len(kinds) > 1 and grid.held > MOST_HELD * len(bars):
        counted = ", ".join(f"{count} in {kind}" for kind, count in kinds.most_common())
        raise ScoreError(
            f"the metre changes too often ({counted} bars): expected one metre, with a few odd bars"
        )
    return grid, metre
