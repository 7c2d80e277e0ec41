"""A recording of a voice with what is heard in it, for all who ask: director and generator hear the same voice once."""

from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from samuel.vocals.features import VocalFeatures, extract_features
from samuel.vocals.normal_form import normal_form


class Voice:
    """`recording` as it came; its normal form and its features are found when they are first asked for, and kept.

    `features`: those of its normal form, where they are known.
    """

    def __init__(self, recording: Float[Tensor, "2 samples"], features: VocalFeatures | None = None) -> None:
        self.recording = recording
        if features is not None:
            self.features = features

    @cached_property
    def normal(self) -> Float[Tensor, "2 samples"]:
        return normal_form(self.recording)

    @cached_property
    def features(self) -> VocalFeatures:
        return extract_features(self.normal)
