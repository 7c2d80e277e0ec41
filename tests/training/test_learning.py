"""Short runs that are compared: one thing differs at a time, a stopped comparison goes on."""

import dataclasses
from pathlib import Path

import pytest
import torch

from samuel.training.callbacks import NullCallback
from samuel.training.data import load_training_data
from samuel.training.learning import ARMS, FEW, few_pairs, run_all, table
from samuel.training.presets import PRESETS, Preset
from tests.training.popdbs import make_popdb

TINY = PRESETS["tiny"]


def test_every_arm_is_run_once_and_reported(tmp_path: Path) -> None:
    data = load_training_data(make_popdb(tmp_path / "popdb", train=4))
    short = Preset(TINY.model, dataclasses.replace(TINY.training, crop_frames=64))

    def run() -> str:
        learned = list(
            run_all(short, "tiny", data, tmp_path / "runs", 2, 2, torch.device("cpu"), NullCallback())
        )
        assert [one.name for one in learned[1:]] == list(ARMS)
        errors = {float(one.metrics["matched"].loss.mean()) for one in learned[1:]}
        assert len(errors) == len(ARMS)  # each arm is another training
        return table(learned)

    text = run()
    assert text.count("\n| ") + text.count("\n|") > len(ARMS)
    assert run() == text  # nothing is trained twice


def test_too_few_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"at least {FEW} training pairs"):
        few_pairs(load_training_data(make_popdb(tmp_path, train=1)))
