"""Pairs out of a POPDB, all at once (the paper's fits into 4 GB) or shard by shard."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.popdb.schema import Identity, Latents, PopdbError, identity_of
from samuel.popdb.store import Store
from samuel.storage import Location, read_bytes


@dataclass(frozen=True)
class Pairs:
    """Pairs of one split. All fields have one entry a pair, in the order of the shards."""

    identity: Identity
    song_ids: list[str]
    chunks: np.ndarray
    vocal_activity: np.ndarray
    """Share of frames with vocals, in [0, 1]."""
    vocals: Latents
    accompaniment: Latents

    def __len__(self) -> int:
        return len(self.song_ids)


def iterate_pairs(root: Location, split: str) -> Iterator[Pairs]:
    """The pairs of a split, one shard at a time (128 MiB at most).

    Raises `PopdbError` where there is no POPDB, or where the split has no songs.
    """
    store = Store.at(root)
    identity = store.identity()
    if identity is None:
        raise PopdbError(
            f"no POPDB at {store.root}: popdb.json is missing. Build one with jobs/build_popdb.py"
        )
    files = [file for file in store.shard_files() if file.name.startswith(f"{split}-")]
    if not files:
        raise PopdbError(
            f"the POPDB at {store.root} has no songs in split {split!r}: songs fall to train, validation "
            f"and test by the hash of their id, 80/10/10; add songs with jobs/build_popdb.py"
        )
    for file in files:
        table = pq.read_table(io.BytesIO(read_bytes(file)))
        identity.require_equal(identity_of(table.schema.metadata, str(file)), store.root)
        yield Pairs(
            identity=identity,
            song_ids=table.column("song_id").to_pylist(),
            chunks=table.column("chunk").to_numpy(),
            vocal_activity=table.column("vocal_activity").to_numpy(),
            vocals=_latents(table.column("vocals")),
            accompaniment=_latents(table.column("accompaniment")),
        )


def read_pairs(root: Location, split: str) -> Pairs:
    """All pairs of a split in memory: 256 KiB each. Raises as `iterate_pairs` does."""
    shards = list(iterate_pairs(root, split))
    return Pairs(
        identity=shards[0].identity,
        song_ids=[song_id for shard in shards for song_id in shard.song_ids],
        chunks=np.concatenate([shard.chunks for shard in shards]),
        vocal_activity=np.concatenate([shard.vocal_activity for shard in shards]),
        vocals=np.concatenate([shard.vocals for shard in shards]),
        accompaniment=np.concatenate([shard.accompaniment for shard in shards]),
    )


def _latents(column: pa.ChunkedArray) -> Latents:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), LATENT_CHANNELS, CHUNK_FRAMES)
