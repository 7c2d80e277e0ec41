"""Audio <-> latents: `load_codec` gives a `Codec`, whichever autoencoder is behind it."""

from samuel.codec.codec import Codec, GainLaw
from samuel.codec.loaders import codec_at_hand, load_codec

__all__ = ["Codec", "GainLaw", "codec_at_hand", "load_codec"]
