"""Pairs for training: what is refused, what statistics are of, and that batches are a function of the step."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from samuel.popdb import Identity, PopdbError, Store, read_pairs
from samuel.training.data import Batches, DataError, PairSet, group, load_training_data, memory_quarter
from tests.training.popdbs import make_popdb, song_ids, table, write_shard

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def popdb(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_popdb(tmp_path_factory.mktemp("popdb"), train=5, pairs=2)


def test_statistics_are_those_of_the_training_split_alone(popdb: str) -> None:
    """The authors' include the validation data."""
    pairs = read_pairs(popdb, "train")
    statistics = load_training_data(popdb).statistics
    for stem in ("vocals", "accompaniment"):
        latents = getattr(pairs, stem).astype(np.float64)
        expected = np.stack((latents.mean((0, 2)), latents.std((0, 2))))
        np.testing.assert_allclose(getattr(statistics, stem).numpy(), expected, rtol=1e-5)


def test_normalized_latents_have_mean_0_and_deviation_1_and_come_back(popdb: str) -> None:
    data = load_training_data(popdb)
    assert data.training is not None
    latents = data.training.accompaniment
    normalized = data.statistics.normalize(latents, "accompaniment")
    torch.testing.assert_close(normalized.mean((0, 2)), torch.zeros(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(normalized.std((0, 2)), torch.ones(64), atol=1e-3, rtol=0)
    back = data.statistics.denormalize(normalized, "accompaniment")
    torch.testing.assert_close(back, latents.float(), atol=1e-4, rtol=1e-4)


def test_no_song_is_in_two_splits(popdb: str) -> None:
    """The authors split by chunk: there, the same song is on both sides."""
    data = load_training_data(popdb)
    assert data.training is not None
    assert data.validation is not None
    assert not set(data.training.song_ids) & set(data.validation.song_ids)
    write_shard(popdb, "train-9999.parquet", table(song_ids("validation", 1)[0], 7, 1))
    with pytest.raises(PopdbError, match=r"is in split train .* and in split validation"):
        load_training_data(popdb)
    (Path(popdb) / "data" / "train-9999.parquet").unlink()


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_names_the_song_and_the_chunk(tmp_path: Path, split: str, value: float) -> None:
    root = make_popdb(tmp_path)
    song_id = song_ids(split, 9)[-1]
    bad = table(song_id, 0, 3)
    column = np.array(bad.column("vocals").combine_chunks().flatten().to_numpy(zero_copy_only=False))
    column[2 * 64 * 1024 + 5] = value
    import pyarrow as pa

    values = pa.FixedSizeListArray.from_arrays(pa.array(column), 64 * 1024)
    index = bad.schema.get_field_index("vocals")
    write_shard(str(root), f"{split}-8888.parquet", bad.set_column(index, bad.schema.field(index), values))
    with pytest.raises(DataError, match=rf"vocals of song {song_id}, chunk 2 .*NaN"):
        load_training_data(root)


def test_an_empty_popdb_and_one_without_songs_to_train_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PopdbError, match="no POPDB"):
        load_training_data(str(tmp_path))
    root = make_popdb(tmp_path / "one", train=0, validation=1)
    with pytest.raises(PopdbError, match="no songs in split 'train'"):
        load_training_data(root)
    assert load_training_data(make_popdb(tmp_path / "other", train=1, validation=0)).validation is None


def test_a_shard_of_another_codec_is_refused(tmp_path: Path) -> None:
    root = make_popdb(tmp_path)
    other = Identity(codec="other@ba9876543210", separator="spleeter:2stems@0123456789ab")
    write_shard(root, "train-7777.parquet", table(song_ids("train", 9)[-1], 3, 1, other))
    with pytest.raises(PopdbError, match="other@ba9876543210"):
        load_training_data(root)


def test_the_fingerprint_is_of_the_pairs(popdb: str, tmp_path: Path) -> None:
    fingerprint = load_training_data(popdb).fingerprint
    assert load_training_data(popdb).fingerprint == fingerprint
    assert load_training_data(popdb, memory_bytes=0).fingerprint == fingerprint
    changed = make_popdb(tmp_path / "changed", train=5, seed=1)
    assert load_training_data(changed).fingerprint != fingerprint
    fewer = make_popdb(tmp_path / "fewer", train=4)
    assert load_training_data(fewer).fingerprint != fingerprint


def rows(batches: list[PairSet]) -> torch.Tensor:
    """One number a pair, by which to know it."""
    return torch.cat([batch.vocals.float().sum((1, 2)) for batch in batches])


def test_a_container_has_the_memory_of_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory_quarter()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr("samuel.training.data.CONTAINER_LIMITS", (limit, tmp_path / "of another version"))
    for written, expected in (("max\n", machine), (f"{400 * 2**20}\n", 100 * 2**20)):
        limit.write_text(written)
        assert memory_quarter() == expected


def test_guides_count_as_memory(tmp_path: Path) -> None:
    root = make_popdb(tmp_path)
    alone = load_training_data(root).training
    assert alone
    assert alone.bytes == len(alone) * 2 * 2 * 64 * 1024
    assert load_training_data(root, memory_bytes=alone.bytes).training
    assert not load_training_data(root, memory_bytes=alone.bytes - 1).training
    assert not load_training_data(root, memory_bytes=alone.bytes, guided=True).training


@pytest.mark.parametrize("memory", [None, 0], ids=["in memory", "streamed"])
def test_an_epoch_has_each_pair_once_in_a_new_order(popdb: str, memory: int | None) -> None:
    data = load_training_data(popdb, memory_bytes=memory)
    assert (data.training is None) == (memory == 0)
    batches = Batches(data, 2, seed=0, device=CPU, window_pairs=4)
    found = rows(list(islice(batches.from_step(0), 2 * batches.steps_per_epoch))).view(2, -1)
    expected = torch.tensor(read_pairs(popdb, "train").vocals).float().sum((1, 2)).sort().values
    for epoch in found:
        torch.testing.assert_close(epoch.sort().values, expected)
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("memory", [None, 0], ids=["in memory", "streamed"])
def test_vocals_and_accompaniment_stay_together(popdb: str, memory: int | None) -> None:
    pairs = read_pairs(popdb, "train")
    partner = {
        float(v.astype(np.float32).sum()): a for v, a in zip(pairs.vocals, pairs.accompaniment, strict=True)
    }
    keys = torch.tensor(list(partner))
    batches = Batches(load_training_data(popdb, memory), 2, seed=0, device=CPU, window_pairs=4)
    for batch in islice(batches.from_step(0), batches.steps_per_epoch):
        for one, other in zip(batch.vocals, batch.accompaniment, strict=True):
            nearest = float(keys[(keys - one.float().sum()).abs().argmin()])
            np.testing.assert_array_equal(other.numpy(), partner[nearest])


@pytest.mark.parametrize("memory", [None, 0], ids=["in memory", "streamed"])
@pytest.mark.parametrize("step", [1, 4, 5, 13])
def test_batches_from_a_step_on_are_those_of_never_stopping(
    popdb: str, memory: int | None, step: int
) -> None:
    batches = Batches(load_training_data(popdb, memory), 2, seed=3, device=CPU, window_pairs=4)
    whole = list(islice(batches.from_step(0), step + 3))
    assert torch.equal(rows(list(islice(batches.from_step(step), 3))), rows(whole[step:]))


def test_workers_get_parts_of_the_same_batches(popdb: str) -> None:
    batches = Batches(load_training_data(popdb), 4, seed=3, device=CPU)
    whole = list(islice(batches.from_step(0), 3))
    parts = [list(islice(batches.from_step(0, rank, 2), 3)) for rank in range(2)]
    for step in range(3):
        assert torch.equal(rows([whole[step]]), rows([parts[0][step], parts[1][step]]))


def test_fewer_pairs_than_a_batch_are_repeated_in_it(popdb: str) -> None:
    batches = Batches(load_training_data(popdb), 16, seed=0, device=CPU)
    (batch,) = islice(batches.from_step(0), 1)
    assert len(batch) == 16
    counts = rows([batch]).unique(return_counts=True)[1]
    assert len(counts) == 10
    assert counts.max() == 2


def test_windows_are_of_whole_shards() -> None:
    assert group((3, 3, 3, 3), 5) == [6, 6]
    assert group((3, 3, 3), 5) == [6, 3]
    assert group((9,), 5) == [9]


def test_a_shape_that_is_not_a_chunk_is_refused(popdb: str) -> None:
    from dataclasses import replace

    from samuel.training.data import checked

    pairs = read_pairs(popdb, "train")
    with pytest.raises(Exception, match=r"64|1024"):
        checked(replace(pairs, vocals=pairs.vocals[:, :, :512]), "train")


def test_reading_from_s3(s3) -> None:  # type: ignore[no-untyped-def]
    root = make_popdb(f"{s3.url}/popdb", train=2, validation=1, pairs=1)
    assert load_training_data(root).training_pairs == 2
    assert Store.at(root).identity() is not None
