import dataclasses
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from samuel.catalogue.songs import split_of
from samuel.popdb import Failure, PopdbError, Store, iterate_pairs, read_pairs
from samuel.popdb.schema import identity_of
from samuel.separation import licence_of
from samuel.storage import StorageError
from tests.popdb.pairs import IDENTITY, latents, song, table


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.at(tmp_path / "popdb")
    made.claim(IDENTITY)
    return made


def merge(store: Store, shard_pairs: int = 8) -> None:
    for shard in store.plan_merge(store.contents().sources, shard_pairs):
        store.write_shard(shard)


def numbers_in(split: str, count: int) -> list[int]:
    return [number for number in range(10_000) if split_of(song(number).song_id) == split][:count]


def test_pairs_come_back_as_they_went_in(store: Store) -> None:
    number = numbers_in("train", 1)[0]
    store.write_song(song(number).song_id, table(number, pairs=3))
    merge(store)
    pairs = read_pairs(store.root, "train")
    np.testing.assert_array_equal(pairs.vocals, latents(number, 3))
    np.testing.assert_array_equal(pairs.accompaniment, latents(number + 1000, 3))
    assert pairs.chunks.tolist() == [0, 1, 2]
    assert pairs.identity == IDENTITY


def test_a_merge_fills_shards_by_split_and_keeps_songs_whole(store: Store) -> None:
    numbers = numbers_in("train", 5) + numbers_in("validation", 1)
    for number in numbers:
        store.write_song(song(number).song_id, table(number, pairs=3))
    merge(store, shard_pairs=7)
    sizes = {}
    for file in store.shard_files():
        rows = pq.read_table(str(file)).select(["song_id", "split"]).to_pydict()
        assert {file.name.split("-")[0]} == set(rows["split"])
        for song_id in set(rows["song_id"]):
            assert rows["song_id"].count(song_id) == 3
        sizes.setdefault(rows["split"][0], []).append(len(rows["split"]))
    assert sorted(sizes["train"]) == [3, 6, 6]
    assert sizes["validation"] == [3]
    assert not store.waiting_song_ids()


def test_songs_added_later_go_into_new_shards_and_old_ones_stay(store: Store) -> None:
    first, second = numbers_in("train", 2)
    store.write_song(song(first).song_id, table(first))
    merge(store)
    before = {str(file): Path(str(file)).read_bytes() for file in store.shard_files()}
    store.write_song(song(second).song_id, table(second))
    merge(store)
    assert len(store.shard_files()) == 2
    for name, content in before.items():
        assert Path(name).read_bytes() == content
    assert sum(len(shard) for shard in iterate_pairs(store.root, "train")) == 4


@pytest.mark.parametrize("die_at", ["before the shard", "after the shard", "among the deletions"])
def test_a_killed_merge_loses_and_doubles_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, die_at: str
) -> None:
    numbers = numbers_in("train", 3)
    for number in numbers:
        store.write_song(song(number).song_id, table(number))

    import samuel.popdb.store as module

    class Killed(BaseException):
        pass

    deletions = []

    def killing_delete(path: object) -> None:
        if die_at == "after the shard" or len(deletions) == 1:
            raise Killed
        deletions.append(path)
        real_delete(path)

    def killing_write(path: object, data: bytes) -> None:
        if die_at == "before the shard":
            raise Killed
        real_write(path, data)

    real_delete, real_write = module.delete, module.write_atomic
    with monkeypatch.context() as patch:
        patch.setattr(module, "delete", killing_delete)
        patch.setattr(module, "write_atomic", killing_write)
        with pytest.raises(Killed):
            merge(store)
    merge(store)
    rows = [song_id for shard in iterate_pairs(store.root, "train") for song_id in shard.song_ids]
    assert sorted(rows) == sorted(song(number).song_id for number in numbers for _ in range(2))
    assert not store.waiting_song_ids()


def test_a_shard_task_that_died_among_its_deletions_can_run_again(store: Store) -> None:
    numbers = numbers_in("train", 2)
    for number in numbers:
        store.write_song(song(number).song_id, table(number))
    (shard,) = store.plan_merge(frozenset())
    store.write_shard(shard)
    store.write_shard(shard)
    assert store.contents().pairs == 4


def test_another_codec_is_refused(store: Store) -> None:
    other = dataclasses.replace(IDENTITY, codec="stable-audio-open@ffff")
    with pytest.raises(
        PopdbError, match=r"holds latents of codec 'mini@.*would add 'stable-audio-open@ffff'.*--out"
    ):
        store.claim(other)
    store.claim(dataclasses.replace(IDENTITY, version="99.0"))  # a new version adds to an old set


def test_a_shard_of_another_codec_put_among_the_others_is_found(store: Store) -> None:
    number = numbers_in("train", 1)[0]
    other = Store.at(Path(store.root).parent / "other")
    other.claim(dataclasses.replace(IDENTITY, codec="other@1"))
    other.write_song(
        song(number).song_id, table(number, identity=dataclasses.replace(IDENTITY, codec="other@1"))
    )
    merge(other)
    stray = Path(str(other.shard_files()[0]))
    (Path(store.root) / "data").mkdir()
    stray.rename(Path(store.root) / "data" / stray.name)
    with pytest.raises(PopdbError, match="codec"):
        store.contents()
    with pytest.raises(PopdbError, match="codec"):
        read_pairs(store.root, "train")


def test_shards_without_an_identity_are_refused(store: Store) -> None:
    number = numbers_in("train", 1)[0]
    store.write_song(song(number).song_id, table(number))
    merge(store)
    (Path(store.root) / "popdb.json").unlink()
    with pytest.raises(PopdbError, match=r"no popdb\.json"):
        store.claim(IDENTITY)


def test_songs_that_wait_are_not_merged_with_those_of_another_codec(store: Store) -> None:
    number = numbers_in("train", 1)[0]
    other = dataclasses.replace(IDENTITY, codec="other@1")
    store.write_song(song(number).song_id, table(number, identity=other))
    with pytest.raises(PopdbError, match="codec"):
        store.plan_merge(())
    (Path(store.root) / "popdb.json").unlink()
    with pytest.raises(PopdbError, match=r"no popdb\.json"):
        store.claim(other)


def test_a_song_in_two_shards_is_told(store: Store) -> None:
    first, second = numbers_in("train", 2)
    store.write_song(song(first).song_id, table(first))
    merge(store)
    for number in (first, second):
        store.write_song(song(number).song_id, table(number))
    for shard in store.plan_merge(()):  # as a run that does not know of the first one's merge
        store.write_shard(shard)
    with pytest.raises(PopdbError, match=f"{song(first).song_id} is in two shards"):
        store.contents()


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    number = numbers_in("train", 1)[0]
    store.write_song(song(number).song_id, table(number))
    merge(store)
    listed = os.scandir

    def failing(path: object) -> object:
        if str(path).endswith("data"):
            raise OSError(5, "Input/output error")
        return listed(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(StorageError, match="cannot list"):
        store.contents()


def test_partial_files_of_killed_writers_go_when_they_are_old(store: Store) -> None:
    import os

    folder = Path(store.root) / "songs"
    folder.mkdir()
    (folder / ".old.partial").touch()
    (folder / ".new.partial").touch()
    os.utime(folder / ".old.partial", (0, 0))
    assert not store.waiting_song_ids()
    store.remove_leftovers()
    assert [file.name for file in folder.iterdir()] == [".new.partial"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"codec": 1}', b"[]"])
def test_a_damaged_identity_is_a_clear_error(store: Store, content: bytes) -> None:
    (Path(store.root) / "popdb.json").write_bytes(content)
    with pytest.raises(PopdbError, match="no POPDB identity"):
        store.identity()


def test_reading_says_what_is_missing(tmp_path: Path, store: Store) -> None:
    with pytest.raises(PopdbError, match="build_popdb"):
        read_pairs(tmp_path / "nothing", "train")
    with pytest.raises(PopdbError, match="no songs in split 'test'"):
        read_pairs(store.root, "test")


def test_any_reader_of_parquet_reads_a_shard(store: Store) -> None:
    number = numbers_in("train", 1)[0]
    store.write_song(song(number).song_id, table(number, pairs=2))
    merge(store)
    data = f"{store.root}/data"
    bare = pq.read_table(data)
    assert bare.schema.metadata[b"samuel.codec"] == IDENTITY.codec.encode()
    licence = bare.schema.metadata[b"samuel.separator_licence"].decode()
    assert licence == licence_of(IDENTITY.separator)
    older = {key: value for key, value in bare.schema.metadata.items() if b"licence" not in key}
    assert identity_of(older, "an older shard") == IDENTITY
    expected = latents(number, 2).reshape(2, -1)
    np.testing.assert_array_equal(np.stack(pd.read_parquet(data)["vocals"]), expected)
    rows = duckdb.sql(
        f"select chunk, start_seconds, vocals from '{data}/*.parquet' order by chunk"
    ).fetchall()
    assert [row[0] for row in rows] == [0, 1]
    assert rows[1][1] == pytest.approx(47.55, abs=0.01)
    np.testing.assert_array_equal(np.array(rows[1][2], dtype=np.float16), expected[1])


def test_failures_are_kept_cleared_and_tabled(store: Store) -> None:
    failure = Failure("a" * 16, "歌", "Künstler", "x.mp3", "decode", "zero bytes", 2)
    store.write_failure(failure)
    assert store.read_failures() == {"a" * 16: failure}
    store.write_failures_table()
    rows = pq.read_table(f"{store.root}/failures.parquet").to_pylist()
    assert rows == [dataclasses.asdict(failure)]
    store.clear_failure("a" * 16)
    store.clear_failure("a" * 16)
    store.write_failures_table()
    assert pq.read_table(f"{store.root}/failures.parquet").num_rows == 0
