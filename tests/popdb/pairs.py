"""Small made-up songs with pairs, for the tests of what stores and reads them."""

import numpy as np
import pyarrow as pa

from samuel.catalogue.songs import Song
from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.popdb import Identity
from samuel.popdb.schema import pairs_table

IDENTITY = Identity(codec="mini@0123456789ab", separator="spleeter:2stems@0123456789ab")


def song(number: int) -> Song:
    return Song(f"{number:016x}", f"Title {number}", "Artist", f"/songs/{number}.ogg", "audio")


def latents(number: int, pairs: int) -> np.ndarray:
    noise = np.random.default_rng(number).standard_normal((pairs, LATENT_CHANNELS, CHUNK_FRAMES))
    return noise.astype(np.float16)


def table(number: int, pairs: int = 2, identity: Identity = IDENTITY) -> pa.Table:
    return pairs_table(
        song(number), identity, latents(number, pairs), latents(number + 1000, pairs), [0.5] * pairs
    )
