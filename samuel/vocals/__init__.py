"""A voice as everything here hears it: in one form however it was recorded, and its features free of timbre.

normal_form.py  one channel on both sides, one loudness
features.py     pitch, voicing, onsets, level of each latent frame
voice.py        a recording with both, found once
"""

from samuel.vocals.features import FEATURE_CHANNELS, VocalFeatures, extract_features
from samuel.vocals.normal_form import AS_RECORDED, NORMAL_FORM, normal_form
from samuel.vocals.voice import Voice

__all__ = [
    "AS_RECORDED",
    "FEATURE_CHANNELS",
    "NORMAL_FORM",
    "VocalFeatures",
    "Voice",
    "extract_features",
    "normal_form",
]
