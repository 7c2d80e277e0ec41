"""The numbers that every part of the system shares, and nothing else.

Audio is float32 in [-1, 1], shaped (channel, sample), always at `SAMPLE_RATE` and in stereo.
Latents are shaped (channel, frame); a frame stands for `FRAME_SAMPLES` audio samples.
A chunk is `CHUNK_FRAMES` frames: 2,097,152 samples, 47.55 s (paper, section III-C).
"""

SAMPLE_RATE = 44_100
AUDIO_CHANNELS = 2
FRAME_SAMPLES = 2048
LATENT_CHANNELS = 64
CHUNK_FRAMES = 1024
CHUNK_SAMPLES = CHUNK_FRAMES * FRAME_SAMPLES
CHUNK_SECONDS = CHUNK_SAMPLES / SAMPLE_RATE
