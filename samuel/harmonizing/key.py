"""Pitch classes -> key, after Krumhansl and Kessler (1982)."""

import numpy as np
from jaxtyping import Float

from samuel.lead_sheet.signatures import Key
from samuel.rendering.keys import MAJOR_PROFILE, MINOR_PROFILE

KEYS = tuple(Key(tonic, mode) for mode in ("major", "minor") for tonic in range(12))
SURE = 0.05  # of the correlation, before the second best


def signature_of(key: int) -> int:
    """The tonic of the major key with the key signature of KEYS[key]."""
    return KEYS[key].tonic if key < 12 else (KEYS[key].tonic + 3) % 12


def moved_key(key: int, semitones: int) -> int:
    """An index in KEYS, transposed."""
    return (key + semitones) % 12 + (12 if key >= 12 else 0)


def key_scores(weights: Float[np.ndarray, "12"]) -> Float[np.ndarray, "24"]:
    """Correlation with each key's profile, as KEYS has them; zeros where nothing is sung."""
    if weights.sum() <= 0 or np.ptp(weights) == 0:
        return np.zeros(24)
    profiles = [np.roll(profile, tonic) for profile in (MAJOR_PROFILE, MINOR_PROFILE) for tonic in range(12)]
    return np.array([np.corrcoef(profile, weights)[0, 1] for profile in profiles])


def find_key(weights: Float[np.ndarray, "12"]) -> tuple[Key, bool]:
    """The key, and whether it is clear. C major where nothing is sung."""
    scores = key_scores(weights)
    order = np.sort(scores)
    return KEYS[int(scores.argmax())], bool(order[-1] > 0.5 and order[-1] - order[-2] > SURE)
