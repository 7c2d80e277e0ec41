"""Small POPDBs whose accompaniment follows from the vocals, for the tests of training."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samuel.catalogue.songs import Song, split_of
from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.popdb import Identity, Store
from samuel.popdb.schema import pairs_table
from samuel.storage import write_atomic

IDENTITY = Identity(codec="mini@0123456789ab", separator="spleeter:2stems@0123456789ab")
SOURCES = 6


def song_ids(split: str, count: int) -> list[str]:
    """The first ids that fall into `split`."""
    ids = (f"{number:016x}" for number in range(10_000))
    return [song_id for song_id in ids if split_of(song_id) == split][:count]


def latents(seed: int, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Vocals and accompaniment: two fixed mixes of the same smooth sources, not normalized."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((pairs, SOURCES, CHUNK_FRAMES + 15))
    smooth = np.lib.stride_tricks.sliding_window_view(noise, 16, axis=-1).mean(-1) * 4
    mixes = np.random.default_rng(12345).standard_normal((2, LATENT_CHANNELS, SOURCES)) / SOURCES**0.5
    vocals, accompaniment = (np.einsum("cs,psf->pcf", mix, smooth) for mix in mixes)
    return (vocals * 2 + 1).astype(np.float16), (accompaniment * 0.5 - 3).astype(np.float16)


def table(song_id: str, seed: int, pairs: int, identity: Identity = IDENTITY) -> pa.Table:
    song = Song(song_id, f"Title {song_id}", "Artist", f"/songs/{song_id}.ogg", "audio")
    vocals, accompaniment = latents(seed, pairs)
    return pairs_table(song, identity, vocals, accompaniment, [0.5] * pairs)


def write_shard(root: str, name: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_atomic(Store.at(root).data / name, sink.getvalue().to_pybytes())


def make_popdb(
    root: str | Path,
    train: int = 3,
    validation: int = 2,
    pairs: int = 2,
    identity: Identity = IDENTITY,
    seed: int = 0,
) -> str:
    """A POPDB with that many songs in each split, one shard a song."""
    Store.at(str(root)).claim(identity)
    for offset, (split, count) in enumerate({"train": train, "validation": validation}.items()):
        for number, song_id in enumerate(song_ids(split, count)):
            write_shard(
                str(root),
                f"{split}-{number:04d}.parquet",
                table(song_id, seed + 1000 * offset + number, pairs, identity),
            )
    return str(root)
