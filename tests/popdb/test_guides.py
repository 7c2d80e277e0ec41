"""What a POPDB holds of a song beside its latents, and that training reads it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from samuel.codec import load_codec
from samuel.config import CHUNK_FRAMES, CHUNK_SAMPLES, CHUNK_SECONDS, SAMPLE_RATE
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.energy import energy_of
from samuel.lead_sheet.frames import sheet_frames
from samuel.lead_sheet.locks import Locks
from samuel.model.conditions import ARRANGEMENT_KNOWN, FEATURES_KNOWN, SHEET, VOCALS_KNOWN
from samuel.popdb import Store, read_pairs
from samuel.popdb.guides import annotated_sheet, guides_of
from samuel.popdb.schema import Guides, pairs_table
from samuel.training.data import checked
from samuel.vocals import normal_form
from tests.popdb.pairs import IDENTITY, latents, song, table
from tests.training.popdbs import write_shard
from tests.vocals.test_vocals import voice

SHEET_OF_A_MINUTE = Locks.parse(bpm=100.0, first_beat=0.5, chords="| Am | F |").apply(LeadSheet(), 60.0)


def test_energy_follows_the_level() -> None:
    time = torch.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    loud = 10 ** (-(12 / 20) * (time < 10))
    points = np.array(energy_of((0.1 * loud * torch.sin(440 * time)).expand(2, -1)))
    assert np.allclose(points[points[:, 0] > 12, 1], 1, atol=0.02)
    assert np.allclose(points[points[:, 0] < 8, 1], 0.5, atol=0.02)
    assert energy_of(torch.zeros(2, 100)) == ()


def test_guides_of_a_song(tmp_path: Path) -> None:
    vocals = torch.zeros(2, CHUNK_SAMPLES)
    vocals[:, : 5 * SAMPLE_RATE] = voice(5.0)
    (tmp_path / "annotations.json").write_text(json.dumps(SHEET_OF_A_MINUTE.to_dict()))
    sheet = annotated_sheet(str(tmp_path), vocals)
    assert sheet is not None
    assert sheet.energy
    guides = guides_of(sheet, normal_form(vocals), load_codec("mini"), 1, "0" * 16)
    assert guides.features is not None
    assert guides.features.shape == (1, 16, CHUNK_FRAMES)
    assert guides.arrangement is not None
    assert guides.arrangement.shape == (1, 64, CHUNK_FRAMES)
    assert guides.lead_sheets is not None
    part = LeadSheet.from_json(guides.lead_sheets[0])
    assert part.chords[-1].end <= CHUNK_SECONDS + 1e-3
    assert annotated_sheet(str(tmp_path / "elsewhere"), vocals) is None


def test_training_reads_guides_and_older_shards_without(tmp_path: Path) -> None:
    Store.at(str(tmp_path)).claim(IDENTITY)
    random = np.random.default_rng(0)
    features = random.standard_normal((1, 16, CHUNK_FRAMES)).astype(np.float16)
    told = pairs_table(
        song(1), IDENTITY, latents(1, 1), latents(2, 1), [1.0],
        Guides([SHEET_OF_A_MINUTE.to_json()], features, latents(3, 1)),
    )  # fmt: skip
    older = table(2, pairs=1).drop_columns(["lead_sheet", "features", "arrangement"])
    write_shard(str(tmp_path), "train-a.parquet", told)
    write_shard(str(tmp_path), "train-b.parquet", older)
    pairs = read_pairs(str(tmp_path), "train")
    assert pairs.lead_sheets[1] is None
    assert pairs.features_known.tolist() == pairs.arrangement_known.tolist() == [True, False]
    guides = checked(pairs, "train", guided=True).guides
    assert guides is not None
    first = VOCALS_KNOWN + 1
    assert guides[:, ARRANGEMENT_KNOWN - first].amax(-1).tolist() == [1, 0]
    assert guides[:, FEATURES_KNOWN - first].amax(-1).tolist() == [1, 0]
    np.testing.assert_allclose(
        guides[0, SHEET.start - first : SHEET.stop - first].float(),
        sheet_frames(SHEET_OF_A_MINUTE, CHUNK_FRAMES),
        atol=1e-3,
    )
    assert not guides[1].any()


@pytest.mark.parametrize(("seconds", "points"), [(0.4, 0), (0.6, 1), (1.7, 3), (2.1, 4)])
def test_what_is_shorter_than_energy_is_measured_over_has_some(seconds: float, points: int) -> None:
    assert energy_of(torch.full((2, int(seconds * 44_100)), 0.1)) == tuple(
        (n / 2 + 0.25, 1.0) for n in range(points)
    )
