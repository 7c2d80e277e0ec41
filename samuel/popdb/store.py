"""Writing a POPDB so that nothing is lost and nothing is there twice, whoever dies when.

A worker writes a song's pairs as one file named by the song's id: whole or not at all, and the
same bytes however often. Only the holder of the lease merges those files into shards, named by
the songs they hold; a song's own file is deleted after its shard stands. A crash between the two
leaves both, and the next merge deletes the file. Readers read shards alone.

What a network may be told of a song beside its latents comes later, as a file named by the song's id in `guides`; the
holder of the lease puts it into the shard, which it replaces whole.
"""

import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from samuel.popdb.damage import damage_told
from samuel.popdb.failures import Failure, failures_table
from samuel.popdb.schema import GUIDE_COLUMNS, LEAST_BEATS, Identity, PopdbError, identity_of
from samuel.storage import (
    Location,
    StorageError,
    absolute,
    as_path,
    delete,
    exists,
    is_s3,
    list_files,
    patiently,
    read_bytes,
    write_atomic,
)

SHARD_PAIRS = 512
"""Pairs in a full shard: 128 MiB."""

_LISTING_THREADS = 16
_LEFTOVER_SECONDS = 3600


@dataclass(frozen=True)
class Shard:
    """A shard to be made: the songs of one split that go into it, in order."""

    split: str
    song_ids: tuple[str, ...]

    @property
    def name(self) -> str:
        digest = hashlib.sha256("\n".join(self.song_ids).encode()).hexdigest()
        return f"{self.split}-{digest[:16]}.parquet"


@dataclass(frozen=True)
class Contents:
    """What the shards of a POPDB hold: its songs with their sources, and the number of pairs."""

    sources: dict[str, str]
    pairs: int


@dataclass(frozen=True)
class Store:
    """The files of one POPDB at an absolute local folder or `s3://bucket/prefix`."""

    root: str

    @classmethod
    def at(cls, root: Location) -> "Store":
        return cls(absolute(root))

    @property
    def data(self) -> UPath:
        return as_path(self.root) / "data"

    @property
    def songs(self) -> UPath:
        return as_path(self.root) / "songs"

    @property
    def audio(self) -> UPath:
        return as_path(self.root) / "audio"

    @property
    def guides(self) -> UPath:
        return as_path(self.root) / "guides"

    @property
    def failures(self) -> UPath:
        return as_path(self.root) / "failures"

    # Identity

    def identity(self) -> Identity | None:
        """What made the latents here, or None where there is no POPDB yet."""
        try:
            return Identity.from_json(read_bytes(as_path(self.root) / "popdb.json").decode())
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise PopdbError(f"{self.root}/popdb.json is no POPDB identity: {error}") from error

    def claim(self, identity: Identity) -> None:
        """Make this a POPDB of `identity`. Raises `PopdbError` where it is one of another."""
        present = self.identity()
        if present is None:
            if self.shard_files() or self.waiting_song_ids():
                raise PopdbError(
                    f"{self.root} has latents but no popdb.json, so nobody knows which codec made "
                    f"them; choose another --out, or put its popdb.json back"
                )
            write_atomic(as_path(self.root) / "popdb.json", identity.to_json().encode())
        else:
            present.require_equal(identity, self.root)

    # Songs and shards

    def write_song(self, song_id: str, pairs: pa.Table) -> None:
        write_atomic(self.songs / f"{song_id}.parquet", to_parquet(pairs))

    def waiting_song_ids(self) -> set[str]:
        """Songs that are done and not yet in a shard (or in one, after a crash in a merge)."""
        return {name.removesuffix(".parquet") for name in _names(self.songs, ".parquet")}

    def shard_files(self) -> list[UPath]:
        return [self.data / name for name in _names(self.data, ".parquet")]

    def contents(self) -> Contents:
        """Read the songs of every shard. Raises `PopdbError` on a shard of another codec, or a song twice."""
        expected = self.identity()

        def songs_of(file: UPath) -> dict[str, list[str]]:
            return _columns(file, ["song_id", "source"], expected, self.root)

        files = self.shard_files()
        with ThreadPoolExecutor(_LISTING_THREADS) as pool:
            columns = list(pool.map(songs_of, files))
        shard_of: dict[str, UPath] = {}
        sources: dict[str, str] = {}
        for file, column in zip(files, columns, strict=True):
            for song_id, source in dict(zip(column["song_id"], column["source"], strict=True)).items():
                if song_id in shard_of:
                    raise PopdbError(
                        f"song {song_id} is in two shards, {shard_of[song_id].name} and {file.name}: two runs "
                        f"wrote {self.root} at once. Delete one of them and build again: its other songs come back"
                    )
                shard_of[song_id], sources[song_id] = file, source
        return Contents(sources, sum(len(column["song_id"]) for column in columns))

    def plan_merge(self, sharded: Container[str], shard_pairs: int = SHARD_PAIRS) -> list[Shard]:
        """Which waiting songs go into which new shard; `sharded` songs that wait still are deleted."""
        expected = self.identity()
        waiting = []
        for song_id in sorted(self.waiting_song_ids()):
            if song_id in sharded:
                delete(self.songs / f"{song_id}.parquet")
            else:
                waiting.append(song_id)

        def splits_of(song_id: str) -> list[str]:
            return _columns(self.songs / f"{song_id}.parquet", ["split"], expected, self.root)["split"]

        with ThreadPoolExecutor(_LISTING_THREADS) as pool:
            splits = list(pool.map(splits_of, waiting))
        songs = [(song_id, of[0], len(of)) for song_id, of in zip(waiting, splits, strict=True)]
        return [
            Shard(split, tuple(group))
            for split in sorted({split for _, split, _ in songs})
            for group in _full_groups([(one, pairs) for one, of, pairs in songs if of == split], shard_pairs)
        ]

    def write_shard(self, shard: Shard) -> None:
        """Merge the songs of `shard` into one file, then delete theirs. Safe to repeat."""
        target = self.data / shard.name
        files = [self.songs / f"{song_id}.parquet" for song_id in shard.song_ids]
        if not exists(target):  # else it was written whole, and its writer died before deleting
            write_atomic(target, to_parquet(_concatenated(files)))
        for file in files:
            delete(file)

    # Guides

    def songs_without_guides(self) -> dict[str, list[str]]:
        """Songs in shards that lack lead sheet, features or arrangement, by the shard's name; also where `guides` waits.

        Told by footers, and by the small columns of the shards where those say that something is missing.
        """

        def lacking(file: UPath) -> list[str]:
            return patiently(lambda: _songs_without_guides(file), file, "read")

        files = self.shard_files()
        with ThreadPoolExecutor(_LISTING_THREADS) as pool:
            return {
                file.name: songs for file, songs in zip(files, pool.map(lacking, files), strict=True) if songs
            }

    def read_song(self, song_id: str, shard: str = "") -> pa.Table:
        """The pairs of a song in order, out of `shard`, or out of its own file where it waits."""
        file = self.data / shard if shard else self.songs / f"{song_id}.parquet"
        table = patiently(lambda: _rows_of(file, song_id), file, "read")
        return table.sort_by("chunk")

    def write_guides(self, song_id: str, guides: pa.Table) -> None:
        """Keep what `samuel.popdb.completing` found of a song, until `add_guides` puts it beside the song's pairs."""
        write_atomic(self.guides / f"{song_id}.parquet", to_parquet(guides))

    def waiting_guides(self) -> set[str]:
        return {name.removesuffix(".parquet") for name in _names(self.guides, ".parquet")}

    def delete_guides(self, song_id: str) -> None:
        delete(self.guides / f"{song_id}.parquet")

    def add_guides(self, shard: str, song_ids: Container[str]) -> None:
        """Put the guides that wait into a shard, beside the pairs of `song_ids`, then delete them. Safe to repeat.

        The shard is replaced whole, under its name: what it had stays to the bit.
        """
        file = self.data / shard
        guides = {one: self.guides / f"{one}.parquet" for one in self.waiting_guides() if one in song_ids}
        if not guides:
            return
        table = pq.read_table(io.BytesIO(read_bytes(file)))
        found = pa.concat_tables([pq.read_table(io.BytesIO(read_bytes(one))) for one in guides.values()])
        write_atomic(file, to_parquet(with_guides(table, found)))
        for song_id in guides:
            self.delete_guides(song_id)

    def remove_leftovers(self) -> None:
        """Delete the partial files of writers that were killed more than an hour ago (local folders only)."""
        if is_s3(self.root):
            return
        for folder in (self.root, *map(str, (self.data, self.songs, self.guides, self.failures, self.audio))):
            for file in Path(folder).glob(".*.partial"):
                with suppress(FileNotFoundError):
                    if time.time() - file.stat().st_mtime > _LEFTOVER_SECONDS:
                        file.unlink()

    # Failures

    def write_failure(self, failure: Failure) -> None:
        write_atomic(self.failures / f"{failure.song_id}.json", failure.to_json().encode())

    def clear_failure(self, song_id: str) -> None:
        delete(self.failures / f"{song_id}.json")

    def read_failures(self) -> dict[str, Failure]:
        """The failed songs by their id."""
        files = [self.failures / name for name in _names(self.failures, ".json")]
        with ThreadPoolExecutor(_LISTING_THREADS) as pool:
            failures = [Failure.from_json(data.decode()) for data in pool.map(read_bytes, files)]
        return {failure.song_id: failure for failure in sorted(failures, key=lambda one: one.song_id)}

    def write_failures_table(self) -> None:
        """Write `failures.parquet` anew from the failures there are now (none: an empty table)."""
        table = failures_table(list(self.read_failures().values()))
        write_atomic(as_path(self.root) / "failures.parquet", to_parquet(table))


def _names(folder: UPath, suffix: str) -> list[str]:
    """Names of the whole files in a folder, sorted; a killed writer's hidden partial files are none."""
    listing = list_files(folder)
    if listing.unreadable:  # else what is there would be built again, and be there twice
        raise StorageError(
            f"cannot list {', '.join(listing.unreadable)}; check its rights and its file system"
        )
    names = (file.name for file in listing.files)
    return [name for name in names if name.endswith(suffix) and not name.startswith(".")]


def _columns(file: UPath, columns: list[str], expected: Identity | None, root: str) -> dict[str, list[str]]:
    """Some columns of a file of pairs, without reading its latents."""

    def read() -> tuple[pa.Schema, pa.Table]:
        with file.open("rb") as opened, damage_told(file):
            parquet = pq.ParquetFile(opened)
            return parquet.schema_arrow, parquet.read(columns=columns)

    schema, table = patiently(read, file, "read")
    if expected:
        expected.require_equal(identity_of(schema.metadata, str(file)), root)
    return table.to_pydict()


def _concatenated(files: list[UPath]) -> pa.Table:
    """Rows of all files; columns that older ones do not have are null there."""
    tables = [pq.read_table(io.BytesIO(read_bytes(file))) for file in files]
    return pa.concat_tables(tables, promote_options="default")


def with_guides(pairs: pa.Table, guides: pa.Table) -> pa.Table:
    """The pairs, with what `guides` has of them (by song_id and chunk) where they have nothing."""
    place = {
        pair: row
        for row, pair in enumerate(
            zip(guides.column("song_id").to_pylist(), guides.column("chunk").to_pylist(), strict=True)
        )
    }
    keys = zip(pairs.column("song_id").to_pylist(), pairs.column("chunk").to_pylist(), strict=True)
    rows = pa.array([place.get(pair) for pair in keys], pa.int64())
    for name, kind in GUIDE_COLUMNS.items():
        found = guides.column(name).combine_chunks().take(rows)
        if name not in pairs.column_names:
            pairs = pairs.append_column(pa.field(name, kind), found)
            continue
        have = pairs.column(name).combine_chunks()
        both = pa.concat_arrays([have.cast(kind), found])
        count = len(have)
        chosen = [at if known else at + count for at, known in enumerate(have.is_valid().to_pylist())]
        pairs = pairs.set_column(
            pairs.column_names.index(name), pa.field(name, kind), both.take(pa.array(chosen, pa.int64()))
        )
    return pairs


def _songs_without_guides(file: UPath) -> list[str]:
    with file.open("rb") as opened, damage_told(file):
        parquet = pq.ParquetFile(opened)
        names = parquet.schema_arrow.names
        if all(name in names for name in GUIDE_COLUMNS) and not _has_nulls(parquet):
            return []
        present = [name for name in ("song_id", *GUIDE_COLUMNS) if name in names]
        table = parquet.read(columns=present)
    songs = table.column("song_id").to_pylist()
    sheets = table.column("lead_sheet").to_pylist() if "lead_sheet" in present else [None] * len(songs)
    beats = Counter[str]()
    for song_id, sheet in zip(songs, sheets, strict=True):
        beats[song_id] += LEAST_BEATS if sheet is None else len(json.loads(sheet)["beats"])
    lacking = set()
    for name in GUIDE_COLUMNS:
        valid = table.column(name).is_valid().to_pylist() if name in present else [False] * len(songs)
        for song_id, known in zip(songs, valid, strict=True):
            if not known and (name != "arrangement" or beats[song_id] >= LEAST_BEATS):
                lacking.add(song_id)
    return [song_id for song_id in dict.fromkeys(songs) if song_id in lacking]


def _has_nulls(parquet: pq.ParquetFile) -> bool:
    for number in range(parquet.metadata.num_row_groups):
        group = parquet.metadata.row_group(number)
        for index in range(group.num_columns):
            column = group.column(index)
            kind = GUIDE_COLUMNS.get(column.path_in_schema.split(".")[0])
            if kind is None:
                continue
            size = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
            nulls = column.statistics is None or column.statistics.null_count != 0
            if column.num_values != group.num_rows * size or (size == 1 and nulls):
                return True
    return False


def _rows_of(file: UPath, song_id: str) -> pa.Table:
    with file.open("rb") as opened, damage_told(file):
        return pq.read_table(opened, filters=[("song_id", "=", song_id)])


def to_parquet(table: pa.Table) -> bytes:
    """Parquet that DuckDB, pandas and pyarrow read. Latents stay uncompressed: zstd saves 8%."""
    sink = io.BytesIO()
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pq.write_table(table, sink, compression="none", use_dictionary=texts, row_group_size=64)
    return sink.getvalue()


def _full_groups(songs: list[tuple[str, int]], shard_pairs: int) -> Iterator[list[str]]:
    """Consecutive songs, as many as give at most `shard_pairs` pairs (a longer song stands alone)."""
    group: list[str] = []
    held = 0
    for song_id, pairs in songs:
        if group and held + pairs > shard_pairs:
            yield group
            group, held = [], 0
        group.append(song_id)
        held += pairs
    if group:
        yield group
