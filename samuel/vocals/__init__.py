"""A voice as everything here hears it: in one form however it was recorded, and its features free of timbre.

normal_form.py  one channel on both sides, one loudness
features.py     pitch, voicing, onsets, level of each latent frame
"""

from samuel.vocals.features import FEATURE_CHANNELS, VocalFeatures, extract_features
from samuel.vocals.normal_form import NORMAL_FORM, normal_form

__all__ = ["FEATURE_CHANNELS", "NORMAL_FORM", "VocalFeatures", "extract_features", "normal_form"]
