"""SAMUeL: vocal-conditioned accompaniment by latent diffusion. Plain torch and audio, no Ray."""

__version__ = "0.1.0"
