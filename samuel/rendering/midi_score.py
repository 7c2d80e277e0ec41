"""MIDI with a melody track -> Score.

The melody is the track whose name says that it is sung (`sung_track`). Files in the layout of POP909 lie beside
`beat_midi.txt` and `chord_midi.txt`, which are used where present; else bars come from the time signatures, and
the chord of each half bar is the one that fits the other tracks best.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from samuel.lead_sheet.chord import Chord, parse_chord
from samuel.lead_sheet.notation.midi import MidiScore, read_midi_file
from samuel.lead_sheet.notation.written import Note, ScoreError, Signature, refuse_endless
from samuel.lead_sheet.signatures import Metre
from samuel.rendering.bars import BarGrid, grid_of
from samuel.rendering.chord_estimate import estimate_chords
from samuel.rendering.keys import find_key
from samuel.rendering.score import Score, single_voice, tempo_or_none
from samuel.rendering.sung_track import Candidate, sung


def read_midi(path: Path) -> Score:
    """Raises ScoreError for a file that is not MIDI, has no track that is sung, or no chords."""
    try:
        return _score(read_midi_file(path), path)
    except ScoreError as error:
        raise ScoreError(f"{path.name}: {error}") from error


def _score(midi: MidiScore, path: Path) -> Score:
    if not midi.tracks:
        raise ScoreError("it has no pitched notes")
    refuse_endless(_end(midi))
    chosen = sung([Candidate(track.name, track.notes, track.syllables) for track in midi.tracks])
    if not chosen:
        names = ", ".join(repr(track.name) for track in midi.tracks)
        raise ScoreError(f"expected a track named MELODY, got {names}; rename the sung track")

    beat_file, chord_file = path.parent / "beat_midi.txt", path.parent / "chord_midi.txt"
    clock = _beat_file_clock(beat_file, midi) if beat_file.is_file() else _signature_clock(midi)
    melody = single_voice([clock.note(note) for index in chosen for note in midi.tracks[index].notes])
    others = tuple(
        (track.name or "track", tuple(map(clock.note, track.notes)))
        for index, track in enumerate(midi.tracks)
        if index not in chosen
    )
    if not melody:
        raise ScoreError("the sung track has only notes without length")
    if chord_file.is_file():
        chords = _read_chords(chord_file, clock)
    else:
        chords = estimate_chords([note for _, notes in others for note in notes], clock.metre, melody)
    if not any(chord.root is not None for chord in chords):
        raise ScoreError("no chords: it needs an accompanying track, or chord_midi.txt beside it")
    return Score(
        title=path.stem,
        artist="",
        melody=melody,
        chords=chords,
        metre=clock.metre,
        key=find_key(melody, chords),
        beats_per_minute=tempo_or_none(clock.beats_per_minute),
        accompaniment=others,
    )


def _end(midi: MidiScore) -> float:
    """Of the last note, in quarters."""
    return max(note.end for track in midi.tracks for note in track.notes)


@dataclass(frozen=True)
class _Clock:
    """When things are, in the song's beats. `grid` counts in a unit of its own."""

    grid: BarGrid
    metre: Metre
    beats_per_minute: float
    of_quarter: Callable[[float], float]
    """A MIDI file's quarter in the grid's unit."""
    of_second: Callable[[float], float]

    def note(self, note: Note) -> Note:
        """A note in quarters, in beats."""
        start, end = self.grid.span(self.of_quarter(note.start), self.of_quarter(note.end))
        return replace(note, start=start, end=end)


def _signature_clock(midi: MidiScore) -> _Clock:
    """Beats and bars as tempi and time signatures tell them."""
    end = _end(midi)
    grid, metre = grid_of(_bars(midi.signatures, end))
    beats = np.arange(0.0, end + grid.beat, grid.beat)
    return _Clock(
        grid,
        metre,
        60.0 / float(np.median(np.diff(midi.seconds(beats)))),
        of_quarter=lambda quarter: quarter,
        of_second=lambda second: float(midi.quarters(second)),
    )


def _bars(signatures: list[tuple[float, Signature]], end: float) -> list[tuple[Signature, float]]:
    """(time signature, length in quarters) of each bar up to `end`. A change begins a bar wherever it stands."""
    bars: list[tuple[Signature, float]] = []
    signatures = [change for change in signatures if change[0] < end]
    changes = [quarter for quarter, _ in signatures[1:]] + [end]
    for (start, (beats, unit)), stop in zip(signatures, changes, strict=True):
        if not 1 <= beats <= 64 or not 1 <= unit <= 64:
            raise ScoreError(f"expected time signatures such as 4/4 or 6/8, got {beats}/{unit}")
        length = 4.0 * beats / unit
        whole = int((stop - start) / length + 1e-6)
        bars += [((beats, unit), length)] * whole
        rest = stop - start - whole * length
        if rest > 1e-6:
            last = stop == changes[-1]
            bars.append(((beats, unit), length if last else rest))
    return bars


def _beat_file_clock(beat_file: Path, midi: MidiScore) -> _Clock:
    """Beats from a file of POP909: a line for each, with its second and, third, whether it begins a bar."""
    times, downbeats = _read_beats(beat_file)
    per_bar = int(np.bincount(np.diff(downbeats)).argmax())
    before = int(downbeats[0])
    lengths = [before % per_bar, *[per_bar] * (before // per_bar), *np.diff(downbeats)]
    lengths.append(max(per_bar, len(times) - int(downbeats[-1])))
    metre = Metre(3 if per_bar == 6 else per_bar)
    grid = BarGrid([float(length) for length in lengths], full=float(metre.beats), beat=1.0, upbeats={0})
    interval = float(np.median(np.diff(times)))
    # Piecewise linear through the beats, and on at the median tempo beyond both ends.
    known = np.concatenate([[times[0] - 100 * interval], times, [times[-1] + 100 * interval]])
    numbers = np.concatenate([[-100.0], np.arange(len(times)), [len(times) + 99.0]])

    def number(second: float) -> float:
        return float(np.interp(second, known, numbers))

    return _Clock(grid, metre, 60.0 / interval, lambda quarter: number(float(midi.seconds(quarter))), number)


def _read_beats(beat_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the beats, and the indices of those that begin bars."""
    try:
        rows = [
            [float(x) for x in line.split()[:3]]
            for line in beat_file.read_text(errors="replace").splitlines()
            if line.strip()
        ]
        table = np.array(rows).reshape(-1, 3)
    except (OSError, ValueError) as error:
        raise ScoreError(f"expected lines such as '0.5 1.0 1.0' in {beat_file.name}, got {error}") from error
    times, downbeats = table[:, 0], np.flatnonzero(table[:, 2] > 0)
    if len(times) < 8 or len(downbeats) < 2:
        raise ScoreError(f"fewer than two bars of beats in {beat_file.name}")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ScoreError(
            f"expected beats that follow one another in {beat_file.name}, got seconds that go back"
        )
    return times, downbeats


def _read_chords(chord_file: Path, clock: _Clock) -> tuple[Chord, ...]:
    """Chords begin and end on beats."""
    chords = []
    for number, line in enumerate(chord_file.read_text(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            start, end, label = line.split()[:3]
            first, last = (round(clock.grid.onset(clock.of_second(float(second)))) for second in (start, end))
            if last > first:
                chords.append(parse_chord(label, float(first), float(last)))
        except (ValueError, OverflowError) as error:
            raise ScoreError(f"line {number} of {chord_file.name}: {error}") from error
    return tuple(chords)
