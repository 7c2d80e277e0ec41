"""Writing a POPDB so that nothing is lost and nothing is there twice, whoever dies when.

A worker writes a song's pairs as one file named by the song's id: whole or not at all, and the
same bytes however often. Only the holder of the lease merges those files into shards, named by
the songs they hold; a song's own file is deleted after its shard stands. A crash between the two
leaves both, and the next merge deletes the file. Readers read shards alone.
"""

import hashlib
import io
import time
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from samuel.popdb.failures import Failure, failures_table
from samuel.popdb.schema import Identity, PopdbError, identity_of
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

    def remove_leftovers(self) -> None:
        """Delete the partial files of writers that were killed more than an hour ago (local folders only)."""
        if is_s3(self.root):
            return
        for folder in (self.root, *map(str, (self.data, self.songs, self.failures, self.audio))):
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
        with file.open("rb") as opened:
            parquet = pq.ParquetFile(opened)
            return parquet.schema_arrow, parquet.read(columns=columns)

    schema, table = patiently(read, file, "read")
    if expected:
        expected.require_equal(identity_of(schema.metadata, str(file)), root)
    return table.to_pydict()


def _concatenated(files: list[UPath]) -> pa.Table:
    return pa.concat_tables([pq.read_table(io.BytesIO(read_bytes(file))) for file in files])


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
