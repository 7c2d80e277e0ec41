"""Pairs out of a POPDB, all at once (the paper's fits into 4 GB) or shard by shard."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float16
from upath import UPath

from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.popdb.checks import (
    ROW_VALUES,
    identity_at,
    no_songs,
    require_columns,
    require_rows,
    split_named,
    splits_of_rows,
)
from samuel.popdb.damage import damage_told
from samuel.popdb.schema import Identity, Latents, identity_of
from samuel.popdb.store import Store
from samuel.storage import Location, read_bytes
from samuel.vocals.features import FEATURE_CHANNELS


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
    lead_sheets: list[str | None]
    """JSON of each pair's part of the lead sheet, where known."""
    features: Float16[np.ndarray, "pair 16 frame"]
    arrangement: Latents
    features_known: Bool[np.ndarray, " pair"]
    arrangement_known: Bool[np.ndarray, " pair"]
    """What is not known is zeros."""

    def __len__(self) -> int:
        return len(self.song_ids)


def iterate_pairs(root: Location, split: str) -> Iterator[Pairs]:
    """The pairs of a split, one shard at a time (128 MiB at most).

    Raises `PopdbError` where there is no POPDB, for a shard that is damaged, lacks a column, or has rows without latents, and
    `EmptySplit` where the split has no songs. `samuel.popdb.checks` tells most of that before anything is read.
    """
    store = Store.at(root)
    identity = identity_at(store)
    found = False
    for file in store.shard_files():
        if split_named(file.name) not in (split, None):
            continue
        table = _table_of(file, split)
        if len(table) == 0:
            continue
        identity.require_equal(identity_of(table.schema.metadata, str(file)), store.root)
        found = True
        yield Pairs(
            identity=identity,
            song_ids=table.column("song_id").to_pylist(),
            chunks=table.column("chunk").to_numpy(),
            vocal_activity=table.column("vocal_activity").to_numpy(),
            vocals=_latents(table, "vocals", file),
            accompaniment=_latents(table, "accompaniment", file),
            **_guides(table),
        )
    if not found:
        raise no_songs(store, split)


def _table_of(file: UPath, split: str) -> pa.Table:
    """The rows of a file that belong to a split."""
    data = io.BytesIO(read_bytes(file))
    with damage_told(file):
        table = pq.read_table(data)
    require_columns(file, table.column_names)
    if split_named(file.name) == split:
        return table
    return table.filter(pa.array([one == split for one in splits_of_rows(file, table)]))


def read_pairs(root: Location, split: str) -> Pairs:
    """All pairs of a split in memory: some 600 KiB each. Raises as `iterate_pairs` does."""
    shards = list(iterate_pairs(root, split))

    def joined(name: str) -> Any:
        values = [getattr(shard, name) for shard in shards]
        return list(chain(*values)) if isinstance(values[0], list) else np.concatenate(values)

    names = [one.name for one in fields(Pairs) if one.name != "identity"]
    return Pairs(identity=shards[0].identity, **{name: joined(name) for name in names})


def _latents(table: pa.Table, name: str, file: UPath) -> Latents:
    column = table.column(name)
    if column.null_count or len(column.combine_chunks().flatten()) != len(column) * ROW_VALUES:
        require_rows(file, table, name)
    return _arrays(column, LATENT_CHANNELS)[0]


def _arrays(column: pa.ChunkedArray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows as (pair, channels, frame), zeros where a row is null; and which rows are there."""
    known = column.is_valid().to_numpy()
    flat = column.drop_null().combine_chunks().flatten().to_numpy(zero_copy_only=False)
    present = flat.reshape(known.sum(), channels, CHUNK_FRAMES).astype(np.float16, copy=False)
    if known.all():
        return present, known
    rows = np.zeros((len(known), channels, CHUNK_FRAMES), np.float16)
    rows[known] = present
    return rows, known


def _guides(table: pa.Table) -> dict[str, Any]:
    """The columns that older POPDBs do not have, empty there."""
    count = len(table)
    found: dict[str, Any] = {"lead_sheets": [None] * count}
    if "lead_sheet" in table.column_names:
        found["lead_sheets"] = table.column("lead_sheet").to_pylist()
    for name, channels in (("features", FEATURE_CHANNELS), ("arrangement", LATENT_CHANNELS)):
        if name in table.column_names:
            rows, known = _arrays(table.column(name), channels)
        else:
            rows, known = np.zeros((count, channels, CHUNK_FRAMES), np.float16), np.zeros(count, bool)
        found |= {name: rows, f"{name}_known": known}
    return found
