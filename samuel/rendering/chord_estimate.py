"""Notes -> chords: what an accompaniment plays, by the half bar."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.notation.written import Note
from samuel.lead_sheet.signatures import Metre

_ESTIMATED = ("maj", "min", "dim", "aug", "sus4", "7", "maj7", "min7", "hdim7", "dim7")
_RARE = ("dim", "aug", "sus4", "hdim7", "dim7")
_MELODY = 0.1  # the weight of a note that is sung, beside 1
_SILENCE = 0.25  # beats of notes in a span: with less it has no chord


def estimate_chords(notes: Sequence[Note], metre: Metre, melody: Sequence[Note] = ()) -> tuple[Chord, ...]:
    """A chord for each half bar (a whole bar in two and three): the best fit to its notes.

    The fit counts the length of the notes that the chord explains, those of the melody for less; a root in the
    bass speaks for it, and chord notes that do not sound, a seventh, and rare kinds of chord speak against it.
    On 60 songs of POP909 the notes are those of the annotated chord for 80 % of the time.
    """
    if not notes:
        return ()
    span = metre.beats / 2 if metre.beats % 2 == 0 and metre.beats > 2 else float(metre.beats)
    count = max(1, int(np.ceil(max(note.end for note in notes) / span - 1e-3)))
    weights, lowest = np.zeros((count, 12)), np.full(count, 128)
    for note, weight in [(note, 1.0) for note in notes] + [(note, _MELODY) for note in melody]:
        for index in range(int(note.start // span), min(int(note.end // span) + 1, count)):
            shared = min((index + 1) * span, note.end) - max(index * span, note.start)
            if shared > 0.02:
                weights[index, note.pitch % 12] += weight * shared
                if weight == 1.0:
                    lowest[index] = min(lowest[index], note.pitch)
    chords = [Chord(0.0, 1.0, root, quality) for quality in _ESTIMATED for root in range(12)]
    tones = np.zeros((len(chords), 12))
    for row, chord in enumerate(chords):
        tones[row, list(chord.pitch_classes)] = 1
    roots = np.array([chord.root for chord in chords])
    against = np.array([0.15 * (len(c.pitch_classes) - 3) + 0.03 * (c.quality in _RARE) for c in chords])
    total = weights.sum(axis=1, keepdims=True)
    silent = (weights < 0.06 * total).astype(float)
    in_bass = roots == lowest[:, None] % 12
    fits = weights @ tones.T + 0.2 * weights[:, roots]
    fits += total * (0.2 * in_bass - 0.2 * silent @ tones.T - against)
    best = fits.argmax(axis=1)
    return tuple(
        replace(chords[best[i]], start=i * span, end=(i + 1) * span)
        if total[i, 0] >= _SILENCE
        else Chord(i * span, (i + 1) * span)
        for i in range(count)
    )
