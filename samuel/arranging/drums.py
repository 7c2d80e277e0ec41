"""The drummer: a groove of the style, lighter at low energy, with fills where a section or the singer's phrase ends."""

from samuel.arranging.form import Bar, Form
from samuel.arranging.part import Part
from samuel.arranging.pen import VELOCITIES, Pen
from samuel.arranging.styles import (
    CLOSED_HAT,
    COWBELL,
    CRASH,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    OPEN_HAT,
    PEDAL_HAT,
    RIDE,
    SHAKER,
    SNARE,
    TAMBOURINE,
    bar_steps,
)

SOFTER = {
    KICK: 14,
    RIDE: 18,
    OPEN_HAT: 8,
    SHAKER: 12,
    TAMBOURINE: 8,
}  # of velocity: leaves the bass its place; what is bright and plays on and on
KEEPS_TIME = (CLOSED_HAT, PEDAL_HAT, RIDE, SHAKER, TAMBOURINE, COWBELL)
BETWEEN = {KICK: 0.6, SNARE: 0.6} | dict.fromkeys(KEEPS_TIME, 0.4)
"""Of the velocity, between the beats, but for accents. Congas, claves, an open hat there are the style's own rhythm."""
FILL_AT_TURNS, FILL_IN_RESTS = 0.8, 0.35  # how often


def drums(form: Form) -> Part:
    part = Part("drums", "drums", 0, drums=True)
    pen = Pen(form, part)
    part.program = pen.pick(form.style.kits)
    calm, groove = sorted((pen.pick(form.style.drums), pen.pick(form.style.drums)), key=_busy)
    light = {drum: steps.replace("o", ".") for drum, steps in calm.items() if drum != SNARE}
    for bar in form.bars:
        pen.turn_to(bar)
        pattern = {0: {}, 1: light}.get(bar.level, groove)
        if bar.final:
            if part.notes:
                pen.play(bar.start, bar.start + 2, CRASH, 105)
                pen.play(bar.start, bar.start + 1, KICK, 110)
            continue
        fill = bool(pattern) and bar.beats > 1 and pen.happens(_fill_chance(form, bar))
        for drum, steps in pattern.items():
            for index, letter in enumerate(bar_steps(steps, bar.beats, form.steps, bar.number)):
                if letter == "." or (fill and index >= (bar.beats - 1) * form.steps):
                    continue
                beat = bar.start + index / form.steps
                share = BETWEEN.get(drum, 1.0) if index % form.steps and letter != "X" else 1.0
                pen.play(beat, beat + 0.25, drum, VELOCITIES[letter] - SOFTER.get(drum, 0), share=share)
        if fill:
            _fill(pen, bar.end - 1)
        if pattern and bar.level >= 2 and bar.opens:
            pen.play(bar.start, bar.start + 2, CRASH, 100)
    return part


def _busy(groove: dict[int, str]) -> int:
    return sum(VELOCITIES.get(letter, 0) for steps in groove.values() for letter in steps)


def _fill_chance(form: Form, bar: Bar) -> float:
    if bar.turns:
        return FILL_AT_TURNS
    if not form.singing.known or bar.sung < 0.3:
        return 0.0
    beat, end = form.tempo.seconds(bar.end - 1), form.tempo.seconds(bar.end)
    return FILL_IN_RESTS if form.singing.share(beat, end) < 0.1 else 0.0


def _fill(pen: Pen, beat: float) -> None:
    """One beat around the toms."""
    steps = pen.form.steps
    for index in range(steps):
        if pen.happens(0.8):
            drum = (SNARE, HIGH_TOM, MID_TOM, LOW_TOM)[min(3, index * 4 // steps)]
            at = beat + index / steps
            pen.play(at, at + 1 / steps, drum, 84 + 24 * index // steps)
