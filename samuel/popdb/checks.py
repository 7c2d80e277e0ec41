"""Whether a POPDB can be read, told in seconds: from names, footers and small columns, before any latents.

A shard's split is the one that its name begins with (`train-00.parquet`, `train.parquet`, `val_1.parquet`); where
the name tells none, the column `split` does, row by row.
"""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.popdb.damage import damage_told
from samuel.popdb.schema import EmptySplit, Identity, PopdbError, identity_of
from samuel.popdb.store import Store
from samuel.storage import Location, list_files, patiently

REQUIRED = ("song_id", "chunk", "vocal_activity", "vocals", "accompaniment")
SMALL = ("song_id", "chunk", "vocal_activity", "split", "source")
LATENTS = ("vocals", "accompaniment")
ROW_VALUES = LATENT_CHANNELS * CHUNK_FRAMES
SPLITS = ("train", "validation", "test")
_SPLIT_NAME = re.compile(r"(train|valid|val|dev|test)(ing|ation)?(?![a-z])", re.IGNORECASE)
_THREADS = 16


@dataclass(frozen=True)
class ShardRows:
    """What the small columns of a shard, its `table`, say: one entry a row."""

    file: UPath
    splits: list[str]
    song_ids: list[str]
    chunks: list[int]
    sources: list[str]
    """Where each row's song came from; "" where the shard does not say."""
    table: pa.Table


def split_named(text: str) -> str | None:
    """The split that a name begins with: "train-0.parquet" -> "train", "val.parquet" -> "validation"."""
    match = _SPLIT_NAME.match(text)
    if match is None:
        return None
    return {"train": "train", "test": "test"}.get(match[1].lower(), "validation")


def check_popdb(root: Location) -> None:
    """Raise `PopdbError` for what would stop or spoil a training, with the file and what to do.

    That is: no POPDB; no pairs to train on; shards in the wrong folder; a shard that is cut or damaged, lacks a column, or is of
    another codec; rows without latents; the same pair twice; a song in two splits.
    """
    store = Store.at(root)
    identity = identity_at(store)
    files = store.shard_files()
    with ThreadPoolExecutor(_THREADS) as pool:
        shards = list(pool.map(lambda file: _checked_shard(file, identity), files))
    _require_apart(shards)
    _require_once(shards)
    for shard in shards:
        _require_agreement(shard.file, shard.table)
    there = Counter(split for shard in shards for split in shard.splits)
    for split in SPLITS:
        if not there[split] and (
            split == "train" or any(split_named(name) == split for name in misplaced(store))
        ):
            raise no_songs(store, split)


def identity_at(store: Store) -> Identity:
    """The identity of a POPDB that must be there."""
    identity = store.identity()
    if identity is None:
        raise PopdbError(
            f"no POPDB at {store.root}: popdb.json is missing. Build one with jobs/build_popdb.py"
        )
    return identity


def misplaced(store: Store) -> list[str]:
    """Names of shards that lie beside the folder of shards."""
    return [
        file.name
        for file in list_files(store.root).files
        if file.name.endswith(".parquet") and "/" not in file.name and file.name != "failures.parquet"
    ]


def no_songs(store: Store, split: str) -> EmptySplit:
    beside = misplaced(store)
    hint = (
        f"move {beside[0]} and the other shards to {store.data}"
        if beside
        else "songs fall to train, validation and test by the hash of their id, 80/10/10; add songs with "
        "jobs/build_popdb.py"
    )
    return EmptySplit(f"the POPDB at {store.root} has no songs in split {split!r}: {hint}")


def require_columns(file: UPath, names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise PopdbError(
            f"{file} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}, it has {', '.join(names)}: "
            "bring them to these names, or build again with jobs/build_popdb.py"
        )


def splits_of_rows(file: UPath, table: pa.Table) -> list[str]:
    """The split of each row. Raises `PopdbError` where neither the name nor a column tells it."""
    named = split_named(file.name)
    if named is not None:
        return [named] * len(table)
    if "split" not in table.column_names:
        raise PopdbError(
            f"neither the name nor a column 'split' of {file} tells its split: rename it train-..., "
            "validation-... or test-...parquet"
        )
    return _written_splits(file, table)


def _written_splits(file: UPath, table: pa.Table) -> list[str]:
    written = table.column("split").to_pylist()
    splits = [split_named(text or "") for text in written]
    if None in splits:
        row = splits.index(None)
        raise PopdbError(
            f"row {row} of {file} has {written[row]!r} in its column 'split', expected {', '.join(SPLITS)}: "
            "write that column again"
        )
    return [split for split in splits if split is not None]


def _require_agreement(file: UPath, table: pa.Table) -> None:
    """What a name says of its rows, their column says, too."""
    named = split_named(file.name)
    if named is None or "split" not in table.column_names:
        return
    other = next((split for split in _written_splits(file, table) if split != named), None)
    if other is not None:
        raise PopdbError(
            f"{file} is named for split {named}, and holds rows of split {other}: rename it, or write its column "
            "'split' again"
        )


def _checked_shard(file: UPath, identity: Identity) -> ShardRows:
    def read() -> tuple[pa.Schema, pq.FileMetaData, pa.Table]:
        with file.open("rb") as opened, damage_told(file):
            parquet = pq.ParquetFile(opened)
            names = parquet.schema_arrow.names
            small = parquet.read(columns=[name for name in SMALL if name in names])
            return parquet.schema_arrow, parquet.metadata, small

    schema, metadata, table = patiently(read, file, "read")
    require_columns(file, schema.names)
    own = identity_of(schema.metadata, str(file))
    for field in ("codec", "sample_rate", "chunk_frames", "vocals"):
        if getattr(own, field) != getattr(identity, field):
            raise PopdbError(
                f"{file} holds latents of {field} {getattr(own, field)!r}, popdb.json says "
                f"{getattr(identity, field)!r}: mixed latents train nothing; take that file out"
            )
    for name in LATENTS:
        _require_latents(file, name, schema, metadata)
    for name in ("song_id", "chunk", "vocal_activity"):
        if table.column(name).null_count:
            row = table.column(name).is_null().index(True).as_py()
            raise PopdbError(f"row {row} of {file} has no {name}: delete that row, or the file")
    song_ids, chunks = table.column("song_id").to_pylist(), table.column("chunk").to_pylist()
    sources = [""] * len(table)
    if "source" in table.column_names:
        sources = [str(source or "") for source in table.column("source").to_pylist()]
    return ShardRows(file, splits_of_rows(file, table), song_ids, chunks, sources, table)


def _require_latents(file: UPath, name: str, schema: pa.Schema, metadata: pq.FileMetaData) -> None:
    """By the footer's counts of values; only a file where they do not fit is read to tell its row."""
    kind = schema.field(name).type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise PopdbError(f"expected lists of floats in the column {name} of {file}, got {kind}")
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = (group.column(index) for index in range(group.num_columns))
        values = next(column.num_values for column in columns if column.path_in_schema.split(".")[0] == name)
        if values != group.num_rows * ROW_VALUES:
            table = patiently(lambda: _read(file, ["song_id", "chunk", name]), file, "read")
            require_rows(file, table, name)


def _read(file: UPath, columns: list[str]) -> pa.Table:
    with file.open("rb") as opened, damage_told(file):
        return pq.read_table(opened, columns=columns)


def require_rows(file: UPath, table: pa.Table, name: str) -> None:
    """Raise `PopdbError` for the first row that has no latents, or another number of them."""
    for row, value in enumerate(table.column(name)):
        count = None if not value.is_valid else len(value)
        if count != ROW_VALUES:
            song, chunk = (table.column(column)[row].as_py() for column in ("song_id", "chunk"))
            got = "null" if count is None else f"{count} values"
            raise PopdbError(
                f"expected {name} of {LATENT_CHANNELS} x {CHUNK_FRAMES} latents in every row of {file}, got {got} "
                f"in row {row} (song {song}, chunk {chunk}): delete that row, or the file, and build that song again"
            )


def _require_once(shards: list[ShardRows]) -> None:
    holder: dict[tuple[str, int], UPath] = {}
    for shard in shards:
        pairs = list(zip(shard.song_ids, shard.chunks, strict=True))
        twice = [pair for pair, count in Counter(pairs).items() if count > 1]
        if twice:
            raise PopdbError(
                f"{shard.file} holds song {twice[0][0]}, chunk {twice[0][1]} twice, and so {len(twice) - 1} more "
                "pairs: training would see them more often than others; delete that file and build again"
            )
        known: dict[UPath, list[tuple[str, int]]] = {}
        for pair in pairs:
            if pair in holder:
                known.setdefault(holder[pair], []).append(pair)
        for other, same in known.items():
            raise PopdbError(
                f"{other} and {shard.file.name} hold the same {len(same)} pairs (song {same[0][0]} first), so that "
                "training would see them twice: delete one of the two files"
            )
        holder |= dict.fromkeys(pairs, shard.file)


def _require_apart(shards: list[ShardRows]) -> None:
    """By songs' ids, and by where they came from: one that was changed has another id."""
    _require_ids_apart(shards)
    of_source: dict[str, tuple[str, str, UPath]] = {}
    for shard in shards:
        for song_id, split, source in zip(shard.song_ids, shard.splits, shard.sources, strict=True):
            before, song_before, file = of_source.setdefault(source, (split, song_id, shard.file))
            if source and before != split:
                raise PopdbError(
                    f"songs {song_before} in split {before} ({file.name}) and {song_id} in split {split} "
                    f"({shard.file.name}) are both of {source}: what was learned by heart would count as understood. "
                    "Take one of the two out"
                )


def _require_ids_apart(shards: list[ShardRows]) -> None:
    found: dict[str, tuple[str, UPath]] = {}
    shared: dict[str, Any] = {}
    for shard in shards:
        for song_id, split in zip(shard.song_ids, shard.splits, strict=True):
            before, file = found.setdefault(song_id, (split, shard.file))
            if before != split:
                shared.setdefault(song_id, (before, file, split, shard.file))
    if shared:
        song_id, (before, file, split, other) = next(iter(shared.items()))
        raise PopdbError(
            f"song {song_id} is in split {before} ({file.name}) and in split {split} ({other.name}) of {other.parent}, "
            f"and so are {len(shared) - 1} more: what was learned by heart would count as understood. Take them out "
            "of one of the two"
        )
