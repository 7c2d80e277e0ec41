"""The bass player: the written bass at every change, otherwise roots, fifths, thirds; steps into a coming chord.

A coming chord is led into only within its own bar, so that a chord changed later changes nothing before its bar; and
only where neither it nor the one before is a guess.
"""

from samuel.arranging.form import Bar, Form
from samuel.arranging.part import Part
from samuel.arranging.pen import Pen, share_at, strokes
from samuel.arranging.styles import bar_steps
from samuel.lead_sheet.chord import Chord

LOWEST = 28
SYNCOPATED = (
    0.85  # of the velocity, at least, between the beats where a bar has more strokes there than on them
)
REACH = 14  # semitones above the lowest: up to here a root may lie an octave higher, for a shorter way
NEAR = 0.26  # beats: a stroke this near to a chord's beginning is its first


def bass(form: Form) -> Part:
    part = Part("bass", "bass", 0)
    pen = Pen(form, part)
    part.program = pen.pick(form.style.basses)
    main = pen.pick(form.style.bass)
    other = pen.pick([pattern for pattern in form.style.bass if pattern != main] or [main])
    floor = LOWEST + int(pen.rng.integers(0, 5))
    home: int | None = None  # the written bass of the chord before, as it was played
    for bar in form.bars:
        pen.turn_to(bar)
        if bar.final and (part.notes or bar.number == 0):
            for chord, start, end in form.sounding(bar):
                home = _written(chord, floor, home)
                pen.play(start, end, home, 98)
        elif bar.level and not bar.final:
            home = _bar(pen, bar, other if bar.ends_phrase else main, floor, home)
    return part


def _bar(pen: Pen, bar: Bar, pattern: str, floor: int, home: int | None) -> int | None:
    """Plays a bar; returns where its last chord's written bass lies."""
    form = pen.form
    played = [
        (bar.start + start, length, letter)
        for start, length, letter in strokes(
            bar_steps(pattern, bar.beats, form.steps, bar.number), form.steps
        )
        if bar.level > 1 or start == int(start)  # at low energy on the beats alone
    ]
    for chord in form.changes(bar.start, bar.end):
        if not any(abs(beat - chord.start) < NEAR for beat, _, _ in played):
            played.append((chord.start, min(1.0, chord.end - chord.start), "r"))
    played.sort()
    between = [beat % 1 > 0.01 for beat, _, _ in played]
    least = SYNCOPATED if 2 * sum(between) > len(between) else 0.0
    pitch = floor
    for number, (beat, length, letter) in enumerate(played):
        chord = form.chord_at(beat)
        if chord.root is None:
            continue
        coming = played[number + 1][0] if number + 1 < len(played) else bar.end
        home = _written(chord, floor, home)
        if beat - chord.start < NEAR or beat == bar.start:
            pitch = home
        else:
            pitch = _pitch(
                pen, letter, chord, home, pitch, floor, form.chord_at(coming) if coming < bar.end else chord
            )
        end = min(beat + 0.94 * length, coming, chord.end)
        pen.play(beat, end, pitch, 96 if beat == bar.start else 86, share=max(least, share_at(beat, bar)))
    return home


def _written(chord: Chord, floor: int, home: int | None) -> int:
    """The chord's bass, as the lead sheet has it, in the octave that is nearer to the one before."""
    assert chord.bass_pitch_class is not None
    low = _up(chord.bass_pitch_class, floor)
    high = low + 12
    nearer = home is not None and abs(high - home) < abs(low - home)
    return high if nearer and high <= floor + REACH else low


def _pitch(pen: Pen, letter: str, chord: Chord, home: int, before: int, floor: int, coming: Chord) -> int:
    tones = chord.pitch_classes
    if letter == "f":
        return _up(tones[:3][-1], floor)  # a power chord ends with its fifth
    if letter == "t":
        return _up(tones[:2][-1], floor)
    if letter == "o":
        return home + 12 if home < floor + 12 else home - 12
    if letter == "a":
        if pen.form.is_guess(chord) or pen.form.is_guess(coming):
            return home
        if coming is not chord and coming.root is not None:
            return _written(coming, floor, home) + (-1 if pen.happens(0.6) else 2)
        near = sorted(
            (abs(p - before), p) for p in range(floor - 2, floor + 14) if p % 12 in tones and p != before
        )
        return pen.pick(near[:2] or [(0, before)])[1]
    return home


def _up(pitch_class: int, floor: int) -> int:
    return floor + (pitch_class - floor) % 12
