"""Those who play chords: a pattern, a second pattern at high energy, long tones beneath or above.

They stay out of the singer's register, play softer where somebody sings, and strike every chord of the lead sheet;
where chords are guesses, one player strikes root and fifth, softly, and the others rest.
"""

import math

import numpy as np

from samuel.arranging.form import Bar, Form
from samuel.arranging.part import SHORTEST, Part
from samuel.arranging.pen import VELOCITIES, Pen, share_at, strokes
from samuel.arranging.styles import bar_steps
from samuel.arranging.voicing import voiced

CENTRE, PAD_CENTRE = 60, 64
LOWEST_CENTRE, HIGHEST_CENTRE = 51, 72
HIGHEST = 86  # what a broken chord would have above, it has an octave lower
HIGH_VOICE = 57  # a voice that seldom goes below: there is room for chords beneath it
STRUMMED = (24, 25, 46, 105)  # guitars, harp, banjo: one string after the other
ROLL = 0.012  # seconds between two strings
HEARD_WITHIN = 1.01  # beats: a chord is struck up to here after its beginning, or it is struck there
SOFT_GUESS = 14  # of velocity, by which the first player is softer where chords are guesses
SYNCOPATED = (
    0.8  # of the velocity, at least, between the beats where a pattern has more strokes there than on them
)
NEVER_ON = 0.7  # the same where it has none on them
CROWDED = 0.6  # of a bar is sung: the second pattern keeps still unless everything plays


def chords(form: Form) -> Part:
    pen = Pen(form, Part("chords", "other", 0))
    pattern, programs = pen.pick(form.style.comping)
    pen.part.program = pen.pick(programs)
    pen.part.pan = _side(form)
    pen.part.level += _made_up(pattern)
    centre = _centre(pen)
    voicing: tuple[int, ...] = ()
    for bar in form.bars:
        pen.turn_to(bar, gives_way=True)
        voicing = _bar(pen, bar, pattern, voicing, centre)
    return pen.part


def second_chords(form: Form) -> Part:
    """In three of four songs, if the style has such a player; not where chords are guesses."""
    pen = Pen(form, Part("second chords", "other", 0, pan=-_side(form), level=-3.0))
    if not form.style.second or not pen.happens(0.75):
        return pen.part
    pattern, programs = pen.pick(form.style.second)
    pen.part.program = pen.pick(programs)
    pen.part.level += _made_up(pattern)
    lowest_level = pen.pick((2, 3))
    centre = _centre(pen)
    voicing: tuple[int, ...] = ()
    for bar in form.bars:
        if bar.level < lowest_level or (bar.sung > CROWDED and bar.level < 3):
            continue
        pen.turn_to(bar, gives_way=True)
        voicing = _bar(pen, bar, pattern, voicing, centre, rests_at_guesses=True)
    return pen.part


def pad(form: Form) -> Part:
    """Long tones at some energies, in three of four songs; not where chords are guesses."""
    pen = Pen(form, Part("pad", "other", 0, level=-6.0))
    pen.part.program = pen.pick(form.style.pads)
    pen.part.level += 3 * (float(pen.rng.random()) - 0.5)
    levels: tuple[int, ...] = pen.pick(((3,), (2, 3), (0, 1, 2, 3), ()))
    register = form.singing.register()
    centre = register_centre(register, PAD_CENTRE, above=register is not None and register[0] >= HIGH_VOICE)
    voicing: tuple[int, ...] = ()
    for bar in form.bars:
        pen.turn_to(bar, gives_way=True)
        if bar.level not in levels:
            continue
        for chord, start, end in form.sounding(bar):
            if form.is_guess(chord):
                continue
            voicing = voiced(chord, voicing, centre)
            for pitch in voicing:
                pen.play(start, end, pitch, 70)
    return pen.part


def _side(form: Form) -> float:
    """Where the first player of chords sits; the second one is opposite."""
    drawn = form.rng("side").random(2)
    return float(0.1 + 0.5 * drawn[0]) * (1 if drawn[1] < 0.5 else -1)


def _made_up(pattern: str) -> float:
    """Decibels for a pattern of short strokes, which would be lost beside the others."""
    steps = pattern.replace(" ", "")
    sounding = sum(3 if letter.isdigit() else letter != "." for letter in steps) / len(steps)
    return round(min(max(-7 * math.log10(max(sounding, 0.05) / 0.7), 0.0), 3.0), 2)


def _centre(pen: Pen) -> int:
    return register_centre(pen.form.singing.register(), CENTRE + int(pen.rng.integers(-4, 7)))


def register_centre(register: tuple[float, float] | None, usual: int, *, above: bool | None = None) -> int:
    """The middle of a player's chords beside the singer's register: by default beneath a high voice, above a low one."""
    if register is None:
        return usual
    low, high = register
    if low < HIGH_VOICE if above is None else above:
        return int(np.clip(round(high + 7), HIGH_VOICE, HIGHEST_CENTRE))
    return max(LOWEST_CENTRE, round(low - 7))


def _bar(
    pen: Pen,
    bar: Bar,
    pattern: str,
    voicing: tuple[int, ...],
    centre: int,
    *,
    rests_at_guesses: bool = False,
) -> tuple[int, ...]:
    """Plays a bar; returns the last voicing."""
    form = pen.form
    written = strokes(bar_steps(pattern, bar.beats, form.steps, bar.number), form.steps)
    between = [start % 1 > 0.01 for start, _, _ in written]
    least = (SYNCOPATED if not all(between) else NEVER_ON) if 2 * sum(between) > len(between) else 0.0
    if bar.final:
        written = [(0.0, float(bar.beats), "X")]
    elif bar.ends_phrase:
        written = _last_beat(pen, bar, written)
    played = [(bar.start + start, bar.start + start + length, letter) for start, length, letter in written]
    for chord in form.changes(bar.start, bar.end):
        latest = min(chord.start + HEARD_WITHIN, chord.end, bar.end + 1e-6)
        if not any(chord.start - 1e-6 <= beat < latest for beat, _, _ in played):
            holding = [
                end for beat, end, letter in played if beat < chord.start < end and not letter.isdigit()
            ]
            played.append(
                (chord.start, max(holding, default=chord.start + min(1.0, bar.end - chord.start)), "x")
            )
    for beat, end, letter in sorted(played):
        chord = form.chord_at(beat)
        over = form.tempo.seconds(chord.end) - form.tempo.seconds(beat) < SHORTEST
        if chord.root is None or over or (rests_at_guesses and form.is_guess(chord)):
            continue
        voicing = voiced(chord, voicing, centre)
        softer = SOFT_GUESS if form.is_guess(chord) else 0
        if letter.isdigit():
            index = int(letter)
            velocity = 84 if beat > bar.start else 94
            pitch = voicing[index % len(voicing)] + 12 * (index // len(voicing))
            while pitch > max(HIGHEST, voicing[-1]):
                pitch -= 12
            stop = min(chord.end, bar.end, max(end, beat + 1.0))
            pen.play(beat, stop, pitch, velocity - softer, share=max(least, share_at(beat, bar)))
            continue
        if end - beat <= 1 / form.steps + 1e-6:
            end = beat + 0.6 * (end - beat)
        roll = ROLL if pen.part.program in STRUMMED else 0.002
        velocity, share = VELOCITIES[letter] - 8 - softer, max(least, share_at(beat, bar, letter))
        for offset, pitch in enumerate(voicing):
            pen.play(beat, min(end, chord.end), pitch, velocity, roll * offset, share)
    return voicing


def _last_beat(pen: Pen, bar: Bar, written: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """A bar's strokes (start, length, letter) at the end of a phrase, where a pattern is not just played once more: it
    leads on in quicker strokes where the singer rests and the band is full, and otherwise makes room, held or silent."""
    last = bar.beats - 1
    before = [(start, min(length, last - start), letter) for start, length, letter in written if start < last]
    if not before or bar.beats == 1:
        return written
    tempo, singing = pen.form.tempo, pen.form.singing
    sung = singing.share(tempo.seconds(bar.end - 1), tempo.seconds(bar.end)) if singing.known else 1.0
    start, _, letter = before[-1]
    if bar.level >= 2 and sung < 0.5:
        quick = pen.form.division
        rising = [str(int(letter) + 1 + n) if letter.isdigit() else "x" for n in range(quick)]
        return before + [(last + n / quick, 1 / quick, rising[n]) for n in range(quick)]
    if any(length > 1 / pen.form.steps + 1e-6 for _, length, _ in written):
        before[-1] = (start, bar.beats - start, letter)
    return before
