"""What all players share before a note is played: bars, chords, tempo, energy, the singer, the seed.

Positions are in beats from where the band begins, the first downbeat or an upbeat to it (the felt beat: a quarter in 4/4, a dotted quarter in 6/8).
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from zlib import crc32

import numpy as np

from samuel.arranging.singing import Singing
from samuel.arranging.styles import COMPOUND_STEPS, SIMPLE_STEPS, Style
from samuel.arranging.tempo import Tempo
from samuel.arranging.voicing import opened
from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.energy import SPAN_SECONDS

SECTION_BARS, PHRASE_BARS = 8, 4
CUT_SECONDS = 1.0  # a voice that sings up to here before the end of the recording is cut off there: no ending
SNAP_BEAT, SNAP_HALF = (
    0.2,
    0.15,
)  # beats: how far from a beat, or from half of one, a chord is still meant to be on it
SHORTEST_CHORD = 0.1  # beats
LEAST_OF_A_BAR = 0.1  # seconds of the last chord for which a bar is begun


@dataclass(frozen=True)
class Bar:
    """`start` in beats; `energy` 0 to 1; `sung` is the share of it in which somebody sings.

    `place` counts from 0 in its section; `opens` and `turns` mark the first and last bar of one, `final` the one in which
    the band ends.
    """

    number: int
    start: float
    beats: int
    energy: float
    sung: float = 0.0
    place: int = 0
    turns: bool = False
    final: bool = False

    @property
    def end(self) -> float:
        return self.start + self.beats

    @property
    def opens(self) -> bool:
        return self.place == 0

    @property
    def ends_phrase(self) -> bool:
        """Whether it is the last of four bars, or of a section."""
        return self.turns or self.place % PHRASE_BARS == PHRASE_BARS - 1

    @property
    def level(self) -> int:
        """How much of the band plays: 0 chords alone, 1 light, 2 full, 3 everything."""
        return int(3 * self.energy + 0.5)


@dataclass(frozen=True)
class Form:
    """`chords` are in beats and cover all bars ("no chord" where none is known). `guesses` are those that begin where the
    lead sheet's are little more than guesses: opened (`voicing.opened`), for a calm band is better than a wrong one."""

    style: Style
    tempo: Tempo
    division: int
    bars: tuple[Bar, ...]
    chords: tuple[Chord, ...]
    singing: Singing
    seed: int
    guesses: frozenset[float] = frozenset()

    @property
    def steps(self) -> int:
        """Steps of a pattern in a beat."""
        return COMPOUND_STEPS if self.division == 3 else SIMPLE_STEPS

    @property
    def end(self) -> float:
        return self.bars[-1].end

    @cached_property
    def _starts(self) -> list[float]:
        return [chord.start for chord in self.chords]

    @cached_property
    def _bar_starts(self) -> list[float]:
        return [bar.start for bar in self.bars]

    def chord_at(self, beat: float) -> Chord:
        index = bisect_right(self._starts, beat + 1e-6) - 1
        if index < 0 or beat >= self.chords[index].end - 1e-6:
            return Chord(beat, beat + 1)
        return self.chords[index]

    def is_guess(self, chord: Chord) -> bool:
        """Of one of `chords`."""
        return chord.start in self.guesses

    def changes(self, start: float, end: float) -> list[Chord]:
        """The chords that begin from `start` on and before `end`."""
        first, last = bisect_right(self._starts, start - 1e-6), bisect_right(self._starts, end - 1e-6)
        return [chord for chord in self.chords[first:last] if chord.root is not None]

    def sounding(self, bar: Bar) -> list[tuple[Chord, float, float]]:
        """The chords of a bar, each with the stretch of the bar in which it sounds."""
        held = self.chord_at(bar.start)
        found = [] if held.root is None else [(held, bar.start, min(held.end, bar.end))]
        for chord in self.changes(bar.start + 1e-3, bar.end):
            found.append((chord, chord.start, min(chord.end, bar.end)))
        return found

    def bar_at(self, beat: float) -> Bar:
        return self.bars[max(0, bisect_right(self._bar_starts, beat + 1e-6) - 1)]

    def rng(self, player: str, bar: int = -1) -> np.random.Generator:
        """A stream for a player's bar, or, without a bar, for what it decides once: so no bar depends on another."""
        return np.random.default_rng([self.seed % 2**64, crc32(player.encode()), bar + 1])


def form_of(sheet: LeadSheet, style: Style, singing: Singing, *, seconds: float, seed: int) -> Form:
    """The form of a recording of `seconds`, from the lead sheet's first downbeat on, or the beats before it (`_grid`).

    It ends in the bar in which the singer ends, later where the lead sheet has energy at a later second, with the last
    chord that the lead sheet has, or with the recording. Raises LeadSheetError where no beat is left.
    """
    beats, counts = _grid(sheet, seconds)
    tempo = Tempo(beats, style.swing if sheet.metre.division == 2 else 0.0)
    starts = np.array([0, *accumulate(counts)])
    asked_for = max([singing.end, *(time for time, energy in sheet.energy if energy > 0)])
    written = sheet.chords[-1].end if sheet.chords else seconds  # "N.C." is written, too
    goes_on = min(asked_for, written) > seconds - CUT_SECONDS
    end = min(asked_for if singing.known else seconds - CUT_SECONDS, written - LEAST_OF_A_BAR)
    times = beats[starts]
    last = len(counts) - 1 if goes_on else max(0, int(np.searchsorted(times[:-1], end, side="right")) - 1)
    counts = counts[: last + 1]
    energies = _energies(sheet, singing, times[: last + 2])
    bars = [
        Bar(
            number=number,
            start=float(starts[number]),
            beats=count,
            energy=energies[number],
            sung=singing.share(times[number], times[number + 1]),
            final=number == last and not goes_on,
        )
        for number, count in enumerate(counts)
    ]
    chords = _chords(sheet, beats, float(starts[last + 1]))
    guesses = _guesses(sheet, chords, tempo)
    return Form(
        style=style,
        tempo=tempo,
        division=sheet.metre.division,
        bars=with_sections(bars, _first_sung(singing, times)),
        chords=tuple(opened(chord) if chord.start in guesses else chord for chord in chords),
        singing=singing,
        seed=seed,
        guesses=guesses,
    )


def with_sections(bars: list[Bar], origin: int) -> tuple[Bar, ...]:
    """Sections are of eight bars, counted from bar `origin`; a bar before more energy ends one, too."""
    marked = []
    for bar in bars:
        place = (bar.number - origin) % SECTION_BARS
        following = bars[bar.number + 1] if bar.number + 1 < len(bars) else None
        rises = following is not None and following.level > bar.level
        turns = following is not None and (place == SECTION_BARS - 1 or rises)
        marked.append(replace(bar, place=place, turns=turns))
    return tuple(marked)


def _grid(sheet: LeadSheet, seconds: float) -> tuple[np.ndarray, list[int]]:
    """Times of all beats from the first downbeat to past the end, and how many of them each bar has.

    Beats before it are a bar of their own where the lead sheet has energy at a second there. Where it has no beats there,
    energy just before the first bar is that of the bar itself: it is heard over `SPAN_SECONDS`.
    """
    first = sheet.downbeats[0] if sheet.downbeats else sheet.beats[0]
    upbeat = first if sheet.beats[0] < first - 0.01 else first - SPAN_SECONDS / 2
    asked_for = [time for time, energy in sheet.energy if 0 < time < upbeat and energy > 0]
    if first >= seconds:
        raise LeadSheetError(
            f"the first bar begins at {first:.2f} s, but the recording ends at {seconds:.2f} s; give an earlier "
            "first beat"
        )
    known = [time for time in sheet.beats if time > first - 0.01]
    interval = 60 / (sheet.bpm or 120.0)
    downs = [int(np.abs(np.array(known) - time).argmin()) for time in sheet.downbeats] or [0]
    counts = [following - one for one, following in pairwise(downs)]
    if asked_for:
        early = [time for time in sheet.beats if time <= first - 0.01]
        early.insert(0, (early or known)[0] - interval)  # of which the recording may have the end alone
        early = [time for time in early if time + interval > asked_for[0]][-sheet.metre.beats :]
        known, counts = early + known, [len(early), *counts] if early else counts
    while True:
        while len(known) <= sum(counts):
            known.append(known[-1] + interval)
        if known[sum(counts)] >= seconds:
            return np.array(known), counts
        counts.append(sheet.metre.beats)


def _first_sung(singing: Singing, times: np.ndarray) -> int:
    """The bar in which the singing begins; an upbeat belongs to the bar after it."""
    if not singing.known:
        return 0
    return int(np.abs(times[:-1] - singing.phrases[0][0]).argmin()) if len(times) > 1 else 0


def _energies(sheet: LeadSheet, singing: Singing, times: np.ndarray) -> list[float]:
    """Each bar's energy: the lead sheet's; where it has none, the band rises and falls with the voice."""
    middles = (times[1:] + times[:-1]) / 2
    if sheet.energy or not singing.known:
        return np.clip(sheet.energy_at(middles), 0, 1).tolist()
    energies: list[float] = []
    origin = _first_sung(singing, times) % 4
    for number in range(len(middles)):
        first = max(0, number - (number - origin) % 4)
        loud = singing.loudness(float(times[first]), float(times[min(first + 4, len(times) - 1)]))
        if loud is None:
            energies.append(energies[-1] if energies else 0.35)
        else:
            energies.append(float(np.clip(0.55 + 0.05 * loud, 0.3, 0.9)))
    return energies


def _chords(sheet: LeadSheet, beats: np.ndarray, end: float) -> tuple[Chord, ...]:
    """In beats, on the beat where they are near one, without gaps from 0 to `end`."""
    numbers = np.arange(len(beats), dtype=float)
    part = 3 if sheet.metre.division == 3 else 2

    def place(second: float) -> float:
        exact = float(np.interp(second, beats, numbers))
        if abs(exact - round(exact)) < SNAP_BEAT:
            return float(round(exact))
        fraction = round(exact * part) / part
        return fraction if abs(exact - fraction) < SNAP_HALF else exact

    filled: list[Chord] = []
    position = 0.0
    for chord in sheet.chords:
        start, stop = max(position, place(chord.start)), min(end, place(chord.end))
        if stop - start < SHORTEST_CHORD:
            continue
        if start - position > SHORTEST_CHORD:
            filled.append(Chord(position, start))
        else:
            start = position
        filled.append(replace(chord, start=start, end=stop))
        position = stop
    if end - position > 1e-6:
        filled.append(Chord(position, end))
    return tuple(filled)


def _guesses(sheet: LeadSheet, chords: tuple[Chord, ...], tempo: Tempo) -> frozenset[float]:
    """Where those of `chords`, in beats, begin that the lead sheet marks as guesses."""
    return frozenset(
        chord.start
        for chord in chords
        if chord.root is not None
        and sheet.is_guess(replace(chord, start=tempo.seconds(chord.start), end=tempo.seconds(chord.end)))
    )
