"""Notes and chords -> key: which tonic a song comes home to."""

from collections import Counter

import numpy as np

from samuel.lead_sheet.chord import MAJOR_SCALE, QUALITIES, Chord
from samuel.lead_sheet.notation.written import Note
from samuel.lead_sheet.signatures import Key

# Krumhansl and Kessler (1982), "Tracing the dynamic changes in perceived tonal organization", table 1.
MAJOR_PROFILE = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR_PROFILE = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
COMES_HOME, COMES_HOME_TOO = 1.5, 0.7
"""How long the last chord lasts in all, in lengths of the chord on the written tonic, to be home in its place: by
itself, and where first chord and last note agree. On 161 songs of POP909 with one annotated key, 144 come out
right, and 136 by the estimate alone."""


def estimate_key(melody: tuple[Note, ...], chords: tuple[Chord, ...]) -> Key:
    """Correlates the weights of pitch classes with the profiles of Krumhansl and Kessler."""
    weights = np.zeros(12)
    for note in melody:
        weights[note.pitch % 12] += note.end - note.start
    for chord in chords:
        for pitch in chord.pitch_classes:
            weights[pitch] += 0.5 * (chord.end - chord.start)
    if np.ptp(weights) == 0:
        return Key(int(np.argmax(weights)), "major")
    scores = {
        Key(tonic, mode): np.corrcoef(np.roll(profile, tonic), weights)[0, 1]
        for mode, profile in (("major", MAJOR_PROFILE), ("minor", MINOR_PROFILE))
        for tonic in range(12)
    }
    return max(scores, key=lambda key: scores[key])


def find_key(melody: tuple[Note, ...], chords: tuple[Chord, ...], written: Key | None = None) -> Key:
    """The written key (or else the estimated one), unless the chords come home to another tonic.

    Files often give the relative major, or no signature, for songs in minor and in modes. The last chord is home
    where it lasts clearly longer in all than the chord on the written tonic, is no dominant, and belongs to the
    key, or where the estimate agrees. `chords` must have a root somewhere.
    """
    estimated = estimate_key(melody, chords)
    key = written or estimated
    lasting: Counter[int] = Counter()
    for chord in chords:
        if chord.root is not None:
            lasting[chord.root] += chord.end - chord.start  # type: ignore[assignment]
    rooted = [chord for chord in chords if chord.root is not None]
    last = rooted[-1]
    home = last.root
    assert home is not None
    notes = QUALITIES[last.quality]
    all_agree = home == rooted[0].root == melody[-1].pitch % 12
    if (
        home == key.tonic
        or lasting[home] <= (COMES_HOME_TOO if all_agree else COMES_HOME) * lasting[key.tonic]
    ):
        return key
    if home == estimated.tonic:
        return estimated
    major = key.tonic if key.mode == "major" else (key.tonic + 3) % 12
    scale = {(major + step) % 12 for step in MAJOR_SCALE}
    dominant = {4, 10} <= set(notes)
    if dominant or not {(home + interval) % 12 for interval in notes} <= scale or (home - major) % 12 == 11:
        return key
    return Key(home, "minor" if 3 in notes else "major")
