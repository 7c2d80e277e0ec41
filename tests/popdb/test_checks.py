"""What would stop or spoil a training is told from footers and small columns, with the file and what to do."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samuel.popdb import PopdbError, check_popdb, iterate_pairs, read_pairs
from samuel.popdb.checks import split_named
from samuel.training.data import load_training_data
from tests.training.popdbs import make_popdb, song_ids


@pytest.fixture
def popdb(tmp_path: Path) -> Path:
    """Three songs to train on, two to validate, two pairs each, a shard a song."""
    return Path(make_popdb(tmp_path / "popdb"))


def shard(popdb: Path, name: str = "train-0001.parquet") -> Path:
    return popdb / "data" / name


def rewrite(file: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(file)), file)


def refused(popdb: Path, message: str) -> None:
    """By the check before a training, and by whoever reads without it."""
    with pytest.raises(PopdbError, match=message) as told:
        check_popdb(popdb)
    assert "\n" not in str(told.value)


def test_a_whole_popdb_is_good_and_its_latents_are_not_read(popdb: Path) -> None:
    began = time.monotonic()
    check_popdb(popdb)
    assert time.monotonic() - began < 5
    file = bytearray(shard(popdb).read_bytes())
    file[2000:150_000] = bytes(148_000)  # in the latents
    shard(popdb).write_bytes(file)
    check_popdb(popdb)


@pytest.mark.parametrize("column", ["song_id", "chunk", "vocal_activity", "vocals", "accompaniment"])
def test_a_missing_column_is_named(popdb: Path, column: str) -> None:
    rewrite(shard(popdb), lambda table: table.drop_columns([column]))
    refused(popdb, rf"train-0001.parquet lacks the column {column}, it has .*: bring them")
    with pytest.raises(PopdbError, match=f"lacks the column {column}"):
        read_pairs(popdb, "train")


@pytest.mark.parametrize("kept", [0, 3, 100, -100])
def test_a_truncated_shard_is_named(popdb: Path, kept: int) -> None:
    shard(popdb).write_bytes(shard(popdb).read_bytes()[:kept])
    refused(popdb, r"train-0001.parquet is no whole Parquet file .*copy it again")
    with pytest.raises(PopdbError, match=r"train-0001.parquet is no whole Parquet file"):
        read_pairs(popdb, "train")


def test_a_pointer_in_place_of_a_shard_is_named(popdb: Path) -> None:
    shard(popdb).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    refused(popdb, "train-0001.parquet is no whole Parquet file")


def test_a_shard_that_is_there_twice_is_named(popdb: Path) -> None:
    shard(popdb, "train-copy.parquet").write_bytes(shard(popdb).read_bytes())
    refused(
        popdb,
        r"train-0001.parquet and train-copy.parquet hold the same 2 pairs .*delete one of the two files",
    )


def test_a_pair_that_is_there_twice_is_named(popdb: Path) -> None:
    rewrite(shard(popdb), lambda table: pa.concat_tables([table, table.slice(1, 1)]))
    song = song_ids("train", 2)[1]
    refused(popdb, f"train-0001.parquet holds song {song}, chunk 1 twice")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_splits_that_share_songs_are_named(popdb: Path, split: str) -> None:
    """A shard that was copied to another split, whatever its column says."""
    shard(popdb, f"{split}-9999.parquet").write_bytes(shard(popdb).read_bytes())
    song = song_ids("train", 2)[1]
    refused(popdb, rf"song {song} is in split \w+ \(.*\) and in split \w+ \(.*\) of .*, and so are 0 more")
    rewrite(shard(popdb, f"{split}-9999.parquet"), lambda table: table.drop_columns(["split"]).slice(1, 1))
    refused(popdb, f"song {song} is in split")


@pytest.mark.parametrize("column", ["vocals", "accompaniment"])
def test_a_row_without_latents_is_named(popdb: Path, column: str) -> None:
    def without(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(column)
        kind = table.schema.field(column).type
        return table.set_column(
            index, column, pa.concat_arrays([table[column].chunk(0).slice(0, 1), pa.nulls(1, kind)])
        )

    rewrite(shard(popdb), without)
    says = rf"expected {column} of 64 x 1024 latents .* got null in row 1 \(song .*, chunk 1\)"
    refused(popdb, says)
    with pytest.raises(PopdbError, match=says):
        read_pairs(popdb, "train")


def test_rows_of_another_length_are_named(popdb: Path) -> None:
    def shorter(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index("vocals")
        return table.set_column(
            index, "vocals", pa.array([np.zeros(65_536, np.float16), np.zeros(9, np.float16)])
        )

    rewrite(shard(popdb), shorter)
    refused(popdb, r"got 9 values in row 1")
    with pytest.raises(PopdbError, match="got 9 values in row 1"):
        read_pairs(popdb, "train")


def test_a_song_under_two_ids_in_two_splits_is_named(popdb: Path) -> None:
    def renamed(table: pa.Table) -> pa.Table:
        for name, value in (("song_id", "f" * 16), ("split", "validation")):
            table = table.set_column(table.column_names.index(name), name, pa.array([value] * len(table)))
        return table

    copy = shard(popdb, "validation-9999.parquet")
    copy.write_bytes(shard(popdb).read_bytes())
    rewrite(copy, renamed)
    refused(
        popdb, rf"songs {song_ids('train', 2)[1]} in split train .* and ffffffffffffffff in split validation"
    )


@pytest.mark.parametrize("column", ["song_id", "chunk", "vocal_activity"])
def test_a_row_without_a_song_or_chunk_is_named(popdb: Path, column: str) -> None:
    def without(table: pa.Table) -> pa.Table:
        index, values = table.schema.get_field_index(column), table[column].to_pylist()
        return table.set_column(index, column, pa.array([values[0], None], table.schema.field(column).type))

    rewrite(shard(popdb), without)
    refused(popdb, f"row 1 of .*train-0001.parquet has no {column}")


def test_another_type_is_named(popdb: Path) -> None:
    def texts(table: pa.Table) -> pa.Table:
        return table.set_column(table.schema.get_field_index("vocals"), "vocals", pa.array(["a", "b"]))

    rewrite(shard(popdb), texts)
    refused(popdb, "expected lists of floats in the column vocals of .*train-0001.parquet, got string")


def test_other_names_are_read(popdb: Path) -> None:
    """`train.parquet` without a dash, other words for validation, and rows of several splits in one file."""
    expected = {split: sorted(read_pairs(popdb, split).song_ids) for split in ("train", "validation")}
    shard(popdb, "train-0000.parquet").rename(shard(popdb, "train.parquet"))
    shard(popdb, "validation-0000.parquet").rename(shard(popdb, "val_0.parquet"))
    rest = [shard(popdb), shard(popdb, "train-0002.parquet"), shard(popdb, "validation-0001.parquet")]
    pq.write_table(pa.concat_tables([pq.read_table(file) for file in rest]), shard(popdb, "0000.parquet"))
    for file in rest:
        file.unlink()
    check_popdb(popdb)
    assert {split: sorted(read_pairs(popdb, split).song_ids) for split in expected} == expected


def test_wider_lists_of_another_writer_are_read(popdb: Path) -> None:
    """DuckDB and pandas write lists without a fixed length, and single precision."""
    before = read_pairs(popdb, "train")

    def rewritten(table: pa.Table) -> pa.Table:
        for name in ("vocals", "accompaniment"):
            index = table.schema.get_field_index(name)
            table = table.set_column(index, name, table[name].combine_chunks().cast(pa.list_(pa.float32())))
        return table

    rewrite(shard(popdb), rewritten)
    check_popdb(popdb)
    after = read_pairs(popdb, "train")
    assert after.vocals.dtype == np.float16
    np.testing.assert_array_equal(after.vocals, before.vocals)
    assert load_training_data(str(popdb)).training_pairs == 6


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.parquet", "train"), ("train-0.parquet", "train"), ("training_1.parquet", "train"),
        ("val.parquet", "validation"), ("Valid-1.parquet", "validation"), ("validation-x.parquet", "validation"),
        ("dev.parquet", "validation"), ("test-00000-of-00001.parquet", "test"), ("trainer.parquet", None),
        ("data.parquet", None), ("0.parquet", None), ("testament.parquet", None),
    ],
)  # fmt: skip
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_named(name) == split


def test_a_name_and_a_column_that_differ_are_told(popdb: Path) -> None:
    shard(popdb).rename(shard(popdb, "test-0001.parquet"))
    refused(popdb, r"test-0001.parquet is named for split test, and holds rows of split train: rename it")
    shard(popdb, "test-0001.parquet").rename(shard(popdb, "songs.parquet"))
    rewrite(shard(popdb, "songs.parquet"), lambda table: table.drop_columns(["split"]))
    refused(
        popdb, r"neither the name nor a column 'split' of .*songs.parquet tells its split: rename it train-"
    )


def test_a_split_without_songs_and_shards_in_the_wrong_place_are_told(popdb: Path) -> None:
    for number in (0, 1):
        shard(popdb, f"validation-000{number}.parquet").rename(popdb / f"validation-000{number}.parquet")
    refused(
        popdb, r"no songs in split 'validation': move validation-0000.parquet and the other shards to .*/data"
    )
    with pytest.raises(PopdbError, match="no songs in split 'test': move"):
        list(iterate_pairs(popdb, "test"))
