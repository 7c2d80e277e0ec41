"""Audio <-> latents: `load_codec` gives a `Codec`, whichever autoencoder is behind it."""

from samuel.codec.codec import Codec
from samuel.codec.loaders import codec_at_hand, load_codec

__all__ = ["Codec", "codec_at_hand", "load_codec"]
