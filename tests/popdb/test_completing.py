"""Older POPDBs get what they lack, and keep what they have."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from jobs.runtime.popdb_pipeline import merge
from samuel.arranging import SoundFontSynthesiser, play
from samuel.arranging.soundfont import SHIPPED
from samuel.codec import load_codec
from samuel.config import CHUNK_FRAMES, CHUNK_SAMPLES, CHUNK_SECONDS, SAMPLE_RATE
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks
from samuel.popdb import Identity, PopdbError, Store, read_pairs
from samuel.popdb.completing import Completer, completed, sheet_of
from samuel.popdb.schema import GUIDE_COLUMNS, Guides, guides_table, pairs_table
from tests.popdb.pairs import IDENTITY, latents, song, table
from tests.popdb.test_store import numbers_in
from tests.training.popdbs import write_shard
from tests.vocals.test_vocals import voice

SHEET = Locks.parse(bpm=100.0, first_beat=0.5, chords="| Am | F |").apply(LeadSheet(), 100.0)
TRAIN = numbers_in("train", 2)


def parts(pairs: int) -> list[str]:
    return [SHEET.between(n * CHUNK_SECONDS, (n + 1) * CHUNK_SECONDS).to_json() for n in range(pairs)]


def guides(number: int, pairs: int = 2) -> pa.Table:
    features = np.full((pairs, 16, CHUNK_FRAMES), number, np.float16)
    found = Guides(parts(pairs), features, latents(number + 2000, pairs))
    return guides_table(song(number).song_id, range(pairs), found)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A shard with a song of before there were guides, and one with a true lead sheet and nothing else."""
    made = Store.at(tmp_path)
    made.claim(IDENTITY)
    older = table(TRAIN[0]).drop_columns(list(GUIDE_COLUMNS))
    write_shard(made.root, "train-a.parquet", older)
    true = pairs_table(
        song(TRAIN[1]), IDENTITY, latents(1, 2), latents(2, 2), [1.0] * 2,
        Guides([LeadSheet(beats=(1.0, 2.0)).to_json()] * 2),
    )  # fmt: skip
    write_shard(made.root, "train-b.parquet", true)
    return made


def test_what_is_missing_is_found_and_put_beside_what_is_there(store: Store) -> None:
    ids = [song(number).song_id for number in TRAIN]
    assert store.songs_without_guides() == {"train-a.parquet": [ids[0]], "train-b.parquet": [ids[1]]}
    before = read_pairs(store.root, "train")
    for number in TRAIN:
        store.write_guides(song(number).song_id, guides(number))
    store.write_guides("f" * 16, guides(3))  # of a song that is gone
    merge(store)
    after = read_pairs(store.root, "train")
    np.testing.assert_array_equal(after.vocals, before.vocals)
    np.testing.assert_array_equal(after.accompaniment, before.accompaniment)
    assert after.features_known.all()
    assert after.arrangement_known.all()
    assert after.features[:, 0, 0].tolist() == [TRAIN[0]] * 2 + [TRAIN[1]] * 2
    assert after.lead_sheets[:2] == parts(2)
    assert after.lead_sheets[2:] == before.lead_sheets[2:]  # the true one stays
    assert store.songs_without_guides() == {}
    assert store.waiting_guides() == set()
    files = {file.name: file.read_bytes() for file in store.shard_files()}
    merge(store)
    assert {file.name: file.read_bytes() for file in store.shard_files()} == files


def test_guides_wait_for_songs_that_wait(store: Store) -> None:
    number = numbers_in("train", 3)[2]
    store.write_song(song(number).song_id, table(number))
    store.write_guides(song(number).song_id, guides(number))
    merge(store)
    pairs = read_pairs(store.root, "train")
    rows = [row for row, one in enumerate(pairs.song_ids) if one == song(number).song_id]
    assert pairs.arrangement_known[rows].all()
    np.testing.assert_array_equal(pairs.arrangement[rows], latents(number + 2000, 2))


def test_songs_without_beats_have_nothing_to_arrange(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.claim(IDENTITY)
    features = np.zeros((1, 16, CHUNK_FRAMES), np.float16)
    silent = Guides([LeadSheet().to_json()], features)
    write_shard(
        store.root,
        "train-a.parquet",
        pairs_table(song(1), IDENTITY, latents(1, 1), latents(2, 1), [0.0], silent),
    )
    assert store.songs_without_guides() == {}


def test_the_lead_sheet_of_a_song_is_that_of_its_chunks() -> None:
    whole = sheet_of(parts(2))
    assert whole is not None
    cut = SHEET.between(0.0, 2 * CHUNK_SECONDS)
    np.testing.assert_allclose(whole.beats, cut.beats, atol=1e-3)
    np.testing.assert_allclose(whole.downbeats, cut.downbeats, atol=1e-3)
    for second in np.arange(0.6, 95, 0.3):
        one, other = whole.chord_at(second), cut.chord_at(second)
        assert (one and (one.root, one.quality)) == (other and (other.root, other.quality))
    assert sheet_of([parts(1)[0], None]) is None
    assert sheet_of([]) is None


def test_guides_out_of_latents() -> None:
    codec = load_codec("mini")
    played = play(SHEET, seconds=CHUNK_SECONDS, soundfont=SoundFontSynthesiser(SHIPPED))
    band = torch.from_numpy(played)[:, :CHUNK_SAMPLES]
    sung = torch.zeros(2, CHUNK_SAMPLES)
    sung[:, : 5 * SAMPLE_RATE] = voice(5.0)
    both = codec.encode(torch.stack([sung, band])).half().numpy()[:, :, :CHUNK_FRAMES]
    identity = Identity(codec.identity, "stems")
    rows = pairs_table(song(1), identity, both[:1], both[1:], [1.0]).drop_columns(["features", "lead_sheet"])
    found = completed(rows, codec)
    sheet = LeadSheet.from_json(found.column("lead_sheet")[0].as_py())
    assert sheet.bpm is not None
    assert min(abs(sheet.bpm / 100 / octave - 1) for octave in (0.5, 1, 2)) < 0.02
    roots = [chord.root for second in range(2, 46) if (chord := sheet.chord_at(float(second)))]
    assert np.mean([root in (9, 5) for root in roots]) > 0.8
    features = np.array(found.column("features")[0].as_py()).reshape(16, CHUNK_FRAMES)
    assert features[13, :100].mean() > 0.5  # voiced
    assert features[13, 120:].mean() < 0.2
    assert found.column("arrangement")[0].is_valid


def test_another_codec_is_refused(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.claim(IDENTITY)
    with pytest.raises(PopdbError, match="mini@0123456789ab"):
        Completer(store, "mini")


def test_a_bad_song_is_told(tmp_path: Path) -> None:
    codec = load_codec("mini")
    store = Store.at(tmp_path)
    store.claim(Identity(codec.identity, "stems"))
    report = Completer(store, "mini")("0" * 16)
    assert report.error
    assert not report.stop
