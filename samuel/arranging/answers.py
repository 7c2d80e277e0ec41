"""Somebody who answers the singer: short phrases of chord tones in the rests, above the voice.

A song has one rhythm and one contour for its answers, so that they are recognised.
"""

from samuel.arranging.form import Form
from samuel.arranging.part import Part
from samuel.arranging.pen import Pen
from samuel.arranging.styles import LEADS

RHYTHMS = (
    (1, 1, 2),
    (2, 1, 1, 2),
    (1, 2, 1),
    (3, 1, 2),
    (1, 1, 1, 1, 2),
    (2, 2, 3),
    (1, 1, 4),
)  # half or third beats
CONTOURS = ((1, 1, -1), (-1, -1, 1), (1, -1), (-1,), (1, 1, -2), (2, -1, -1))  # chord tones up or down
LOWEST, HIGHEST = 60, 86
SHORTEST_REST = 1.5  # beats
OFTEN = 0.7
EVERY = 2  # bars, in a long rest


def answers(form: Form) -> Part:
    """Nothing where no singer is known or chords are guesses, and in every fourth song."""
    pen = Pen(form, Part("answers", "other", 0, level=-1.0))
    pen.part.program = pen.pick(LEADS)
    pen.part.pan = 0.8 * (float(pen.rng.random()) - 0.5)
    rhythm, contour = pen.pick(RHYTHMS), pen.pick(CONTOURS)
    if not form.singing.known or not pen.happens(0.75):
        return pen.part
    register = form.singing.register()
    home = 70 if register is None else int(min(max(register[1] + 5, 64), 78))
    unit = 0.5 if form.division == 2 else 1 / 3
    for start, end in _rests(form):
        first, beat = form.bar_at(start).number, start
        while end - beat >= SHORTEST_REST:
            bar = form.bar_at(beat)
            pen.turn_to(bar)
            if bar.level and not bar.final and pen.happens(OFTEN):
                _phrase(pen, beat, end - 0.5 * unit, rhythm, contour, home, unit)
            first += EVERY
            if first >= len(form.bars):
                break
            beat = form.bars[first].start
    return pen.part


def _rests(form: Form) -> list[tuple[float, float]]:
    """Where nobody sings, in beats from the next whole one on, up to the final bar."""
    beats = form.tempo.beat_seconds
    last = form.bars[-1].start if form.bars[-1].final else form.end
    found = []
    for start, end in form.singing.rests(form.tempo.seconds(last)):
        first = float(beats.searchsorted(start + 0.05))
        stop = min(
            last, float(beats.searchsorted(end + 1e-6)) - 1 if end < form.tempo.seconds(last) else last
        )
        if stop - first >= SHORTEST_REST:
            found.append((first, stop))
    return found


def _phrase(
    pen: Pen,
    beat: float,
    end: float,
    rhythm: tuple[int, ...],
    contour: tuple[int, ...],
    home: int,
    unit: float,
) -> None:
    pitch = home
    for number, units in enumerate(rhythm):
        chord = pen.form.chord_at(beat)
        stop = min(beat + units * unit, end, chord.end)
        if beat >= end - 1e-6 or chord.root is None or stop - beat < 0.5 * unit or pen.form.is_guess(chord):
            return
        tones = [p for p in range(LOWEST, HIGHEST) if p % 12 in chord.pitch_classes]
        nearest = min(range(len(tones)), key=lambda n: (abs(tones[n] - pitch), tones[n]))
        step = contour[(number - 1) % len(contour)] if number else 0
        pitch = tones[min(max(nearest + step, 0), len(tones) - 1)]
        pen.play(beat, beat + 0.95 * (stop - beat), pitch, 88)
        beat += units * unit
