"""Checkpoints: whole or not there, loaded strictly, never mixed up."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from samuel.model import SamuelUNet
from samuel.training import Statistics, load_for_generation
from samuel.training import checkpoint as checkpoints
from samuel.training.checkpoint import Checkpoint, CheckpointError, RunConfig
from samuel.training.presets import PRESETS

TINY = PRESETS["tiny"]
CONFIG = RunConfig("tiny", TINY.model, TINY.training, "mini@0123456789ab", "fingerprint")
FILES = {
    "model.safetensors",
    "ema.safetensors",
    "statistics.safetensors",
    "training.pt",
    "progress.json",
    "config.json",
}


def moment(step: int, seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    model, ema = SamuelUNet(TINY.model), SamuelUNet(TINY.model)
    torch.nn.init.normal_(ema.output.weight)
    optimizer = torch.optim.AdamW(model.parameters())
    torch.stack([one.sum() for one in model.parameters()]).sum().backward()
    optimizer.step()
    return Checkpoint(
        CONFIG,
        model.state_dict(),
        ema.state_dict(),
        Statistics(torch.randn(2, 64), torch.randn(2, 64).abs()),
        optimizer.state_dict(),
        {"step": step, "history": [[1, 0.5]]},
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = moment(7)
    folder = checkpoints.save(tmp_path, saved, best=True)
    assert {file.name for file in Path(folder).iterdir()} == FILES
    found = checkpoints.load(folder)
    assert found.config == saved.config
    assert found.progress == saved.progress
    for name in ("model", "ema"):
        mine, theirs = getattr(found, name), getattr(saved, name)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert torch.equal(found.statistics.vocals, saved.statistics.vocals)
    exp = found.optimizer["state"][0]["exp_avg"]
    assert torch.equal(exp, saved.optimizer["state"][0]["exp_avg"])


def test_generation_gets_the_averaged_weights_and_the_statistics(tmp_path: Path) -> None:
    """The authors keep an average that nobody saves or loads, and save no statistics."""
    saved = moment(7)
    for folder in (checkpoints.save(tmp_path, saved, best=True), str(tmp_path)):
        trained = load_for_generation(folder)
        assert torch.equal(trained.model.output.weight, saved.ema["output.weight"])
        assert not torch.equal(trained.model.output.weight, saved.model["output.weight"])
        assert torch.equal(trained.statistics.accompaniment, saved.statistics.accompaniment)
        assert trained.codec == "mini@0123456789ab"
        assert not trained.model.training
        assert not any(one.requires_grad for one in trained.model.parameters())


def test_what_is_exported_generates_the_same_at_half_the_size(tmp_path: Path) -> None:
    saved = moment(7)
    checkpoints.save(tmp_path / "run", saved, best=True)
    assert checkpoints.export(tmp_path / "run", tmp_path / "shared").endswith("step-00000007")
    assert {file.name for file in (tmp_path / "shared").iterdir()} == {
        "ema.safetensors",
        "statistics.safetensors",
        "config.json",
    }
    found = load_for_generation(tmp_path / "shared")
    assert found.model.output.weight.dtype == torch.float32
    torch.testing.assert_close(found.model.output.weight, saved.ema["output.weight"], rtol=1e-3, atol=1e-6)
    assert torch.equal(found.statistics.vocals, saved.statistics.vocals)


def test_exported_weights_may_be_the_mean_of_several_runs(tmp_path: Path) -> None:
    one, other = moment(7, seed=1), moment(9, seed=2)
    for name, saved in (("one", one), ("other", other)):
        checkpoints.save(tmp_path / name, saved, best=True)
    checkpoints.export(tmp_path / "one", tmp_path / "shared", [tmp_path / "other"])
    mean = (one.ema["output.weight"] + other.ema["output.weight"]) / 2
    found = load_for_generation(tmp_path / "shared")
    torch.testing.assert_close(found.model.output.weight, mean, rtol=1e-3, atol=1e-6)
    assert torch.equal(found.statistics.vocals, one.statistics.vocals)


def test_networks_of_other_codecs_are_not_averaged(tmp_path: Path) -> None:
    one = moment(7)
    checkpoints.save(tmp_path / "one", one, best=True)
    other = dataclasses.replace(one, config=dataclasses.replace(one.config, codec="another"))
    checkpoints.save(tmp_path / "other", other, best=True)
    with pytest.raises(CheckpointError, match="codec is another"):
        checkpoints.export(tmp_path / "one", tmp_path / "shared", [tmp_path / "other"])
    assert not (tmp_path / "shared").exists()


def test_nothing_is_exported_over_what_is_exported(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "run", moment(7), best=True)
    (tmp_path / "link").symlink_to(tmp_path / "run" / "checkpoints" / "step-00000007")
    for folder in (tmp_path / "run", tmp_path / "run" / "checkpoints" / "step-00000007", tmp_path / "link"):
        with pytest.raises(CheckpointError, match="choose another folder"):
            checkpoints.export(tmp_path / "run", folder)


def test_generation_gets_the_best_not_the_newest(tmp_path: Path) -> None:
    best = moment(1, seed=1)
    checkpoints.save(tmp_path, best, best=True)
    checkpoints.save(tmp_path, moment(2, seed=2), best=False)
    assert torch.equal(load_for_generation(tmp_path).model.output.weight, best.ema["output.weight"])


@pytest.mark.parametrize("missing", sorted(FILES))
def test_without_one_of_its_files_it_is_refused(tmp_path: Path, missing: str) -> None:
    folder = Path(checkpoints.save(tmp_path, moment(7), best=True))
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=missing):
        checkpoints.load(folder)


def test_half_a_checkpoint_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any file, the run still has its last whole checkpoint."""
    checkpoints.save(tmp_path, moment(1), best=True)
    write = checkpoints.write_atomic
    written: list[object] = []
    count = 0

    def killed(path: object, data: bytes) -> None:
        if len(written) == count:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoints, "write_atomic", killed)
    for count in range(len(FILES)):  # noqa: B007  `killed` reads it
        written.clear()
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(tmp_path, moment(2), best=True)
        latest = checkpoints.latest(tmp_path)
        assert latest is not None
        assert checkpoints.load(latest).progress["step"] == 1
        load_for_generation(tmp_path)


@pytest.mark.parametrize("file", ["model.safetensors", "ema.safetensors"])
def test_loading_is_strict(tmp_path: Path, file: str) -> None:
    """The authors load with strict=False: what is missing stays random."""
    saved = moment(7)
    name = file.split(".")[0]
    weights = dict(getattr(saved, name))
    weights.pop("stem.bias")
    changes: dict[str, Any] = {name: weights}
    folder = checkpoints.save(tmp_path, dataclasses.replace(saved, **changes), best=True)
    state = checkpoints.load(folder)
    with pytest.raises(CheckpointError, match=r"stem\.bias"):
        checkpoints.load_strictly(SamuelUNet(TINY.model), getattr(state, name), folder)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = Path(checkpoints.save(tmp_path, moment(7), best=True))
    (folder / "ema.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="damaged"):
        load_for_generation(folder)


def test_no_run_is_told_apart_from_a_damaged_one(tmp_path: Path) -> None:
    assert checkpoints.latest(tmp_path) is None
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_for_generation(tmp_path)


def test_a_configuration_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = Path(checkpoints.save(tmp_path, moment(7), best=True))
    fields = json.loads((folder / "config.json").read_text())
    fields["model"]["flux"] = 3
    (folder / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match="flux"):
        load_for_generation(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"codec": "other@ba9876543210"}, "other@ba9876543210"),
        ({"data": "else"}, "data"),
        ({"preset": "paper"}, "paper"),
        ({"model": dataclasses.replace(TINY.model, mixing="equation")}, r"model\.mixing"),
        ({"training": dataclasses.replace(TINY.training, batch_size=8)}, r"training\.batch_size"),
    ],
)
def test_what_changed_under_a_name_is_named(change: dict, named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        CONFIG.require_equal(dataclasses.replace(CONFIG, **change), "runs/one")
    CONFIG.require_equal(CONFIG, "runs/one")


def test_pruning_keeps_the_best_and_the_newest(tmp_path: Path) -> None:
    for step in range(1, 7):
        checkpoints.save(tmp_path, moment(step), best=step == 2)
    checkpoints.prune(tmp_path, keep=2)
    assert checkpoints.complete(tmp_path) == ["step-00000002", "step-00000005", "step-00000006"]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3


def test_on_s3_as_on_a_disk(s3) -> None:  # type: ignore[no-untyped-def]
    run = f"{s3.url}/run"
    for step in (1, 2, 3, 4):
        checkpoints.save(run, moment(step), best=step == 1)
    checkpoints.prune(run, keep=1)
    assert checkpoints.complete(run) == ["step-00000001", "step-00000004"]
    assert load_for_generation(run).config == CONFIG
    newest = checkpoints.latest(run)
    assert newest is not None
    assert checkpoints.load(newest).progress["step"] == 4


def test_configurations_of_before_are_read_by_their_former_names() -> None:
    config = RunConfig("paper", PRESETS["paper"].model, PRESETS["paper"].training, "mini@0", "data")
    before = config.to_json().replace("cond_dropout", "dropped").replace("latent_weighting", "emphasis")
    assert before != config.to_json()
    assert RunConfig.from_json(before, "here") == config
