"""Harmony of a chroma: how well it fits given chords and a key, and which chords and key it suggests.

Chords and keys are named as mir_eval names them (Harte's "A:min7", "Gb:maj/3", "N"; "Gb major", "a minor").
Chroma is (12, frame) from C, `FRAME_RATE` frames a second. As in mir_eval the reference comes first, what is judged by it second.
"""

from collections.abc import Sequence

import mir_eval
import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.features import FRAME_RATE

Chord = tuple[float, float, str]
"""From, to (seconds), name."""

PITCHES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")

# Krumhansl & Kessler (1982): how well each degree fits a key, as listeners rated it.
PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
KEYS = tuple(f"{pitch} {mode}" for mode in PROFILES for pitch in PITCHES)
RATINGS = np.array([np.roll(profile, root) for profile in PROFILES.values() for root in range(len(PITCHES))])
"""The profile of each of `KEYS`, by pitch class."""


def chord_fit(chords: Sequence[Chord], chroma: Float[Array, "12 frame"]) -> float:
    """Mean correlation (-1 to 1) of the chroma during each chord with that chord's tones, weighted by its length.

    A chord during which nothing sounds counts 0. NaN without chords.
    """
    total = weight = 0.0
    for start, stop, name in within(chords, chroma):
        root, tones, _ = mir_eval.chord.encode(name)
        if root < 0 or not tones.any():  # "N" and "X"
            continue
        total += (stop - start) * correlation(_mean(chroma, start, stop), np.roll(tones, root))
        weight += stop - start
    return total / weight if weight else float("nan")


def chord_accuracy(chords: Sequence[Chord], chroma: Float[Array, "12 frame"]) -> float:
    """Share of the time (0 to 1) in which the best fitting major or minor triad is the chord's.

    mir_eval's weighted "majmin" recall, with the chords' own borders. NaN without major or minor chords.
    """
    known = list(within(chords, chroma))
    if not known:
        return float("nan")
    guessed = [triad(_mean(chroma, start, stop)) for start, stop, _ in known]
    matches = mir_eval.chord.majmin([name for _, _, name in known], guessed)
    lengths = np.array([stop - start for start, stop, _ in known])
    rated = matches >= 0  # the others are no triads: sus4, dim
    return float(np.average(matches[rated], weights=lengths[rated])) if rated.any() else float("nan")


def bass_roots(chords: Sequence[Chord], bass: Float[Array, "12 frame"]) -> float:
    """Share of the time (0 to 1) of the chords whose root (or the bass they are written over) is the strongest pitch
    class of `bass`, weighted by their lengths. NaN without chords.
    """
    total = weight = 0.0
    for start, stop, name in within(chords, bass):
        root, _, over = mir_eval.chord.encode(name)
        if root < 0:
            continue
        pitch_classes = _mean(bass, start, stop)
        total += (stop - start) * bool(
            pitch_classes.any() and int(pitch_classes.argmax()) in (root, (root + over) % 12)
        )
        weight += stop - start
    return total / weight if weight else float("nan")


def triad(pitch_classes: Float[Array, "12"]) -> str:
    """The major or minor triad that fits best; "N" where nothing sounds."""
    if not pitch_classes.any():
        return "N"
    fits = {
        f"{pitch}:{quality}": correlation(pitch_classes, np.roll(tones, root))
        for quality in ("maj", "min")
        for tones in (mir_eval.chord.quality_to_bitmap(quality),)
        for root, pitch in enumerate(PITCHES)
    }
    return max(fits, key=fits.__getitem__)


def key_of(chroma: Float[Array, "12 frame"]) -> str:
    """The key whose profile fits the mean chroma best (Krumhansl & Schmuckler); "X" where no pitch is above another."""
    mean = chroma.mean(axis=1) if chroma.size else np.zeros(12)
    if np.ptp(mean) == 0:
        return "X"
    return KEYS[int(np.corrcoef(mean, RATINGS)[0, 1:].argmax())]


def key_score(reference: str, estimated: str) -> float:
    """1 for the same key, 0.5 a fifth apart, 0.3 relative, 0.2 parallel, else 0 (MIREX)."""
    return float(mir_eval.key.weighted_score(reference, estimated))


def key_fit(key: str, chroma: Float[Array, "12 frame"]) -> float:
    """Correlation (-1 to 1) of the mean chroma with the profile of a key."""
    tonic, mode = key.split()
    root = mir_eval.key.KEY_TO_SEMITONE[tonic.lower()]
    return correlation(chroma.mean(axis=1), np.roll(PROFILES[mode], root))


def chroma_agreement(
    reference: Float[Array, "12 frame"], estimated: Float[Array, "12 other_frame"], seconds: float = 2.0
) -> float:
    """Correlation (-1 to 1) of two chromas in windows of `seconds`, where both sound; 0 where they never do.

    Each window is centred, so that a spectrum that is the same all the time (noise) agrees with nothing.
    """
    size = max(1, round(seconds * FRAME_RATE))
    starts = range(0, min(reference.shape[1], estimated.shape[1]), size)
    pairs = [tuple(one[:, at : at + size].mean(axis=1) for one in (reference, estimated)) for at in starts]
    both = [(a - a.mean(), b - b.mean()) for a, b in pairs if a.any() and b.any()]
    return correlation(*(np.concatenate(side) for side in zip(*both, strict=True))) if both else 0.0


def correlation(first: Array, second: Array) -> float:
    """Pearson's; 0 where one of both is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def within(chords: Sequence[Chord], chroma: Float[Array, "12 frame"]) -> list[Chord]:
    """The chords that end before the chroma does."""
    seconds = chroma.shape[1] / FRAME_RATE
    return [(start, stop, name) for start, stop, name in chords if start < stop <= seconds]


def _mean(chroma: Array, start: float, stop: float) -> Array:
    first = int(start * FRAME_RATE)
    return chroma[:, first : max(first + 1, int(stop * FRAME_RATE))].mean(axis=1)
