"""jobs/train.py on a small real Ray: one worker, two workers, S3, and what it refuses."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from jobs.runtime.cluster import Cluster
from jobs.runtime.training import choose_scaling
from jobs.runtime.training_progress import ProgressActor, State, clock
from jobs.train import app
from samuel.storage import as_path, read_bytes
from samuel.training import load_for_generation
from samuel.training.checkpoint import RunConfig
from samuel.training.data import load_training_data
from samuel.training.loop import Trainer
from samuel.training.presets import PRESETS
from tests.s3 import S3Location
from tests.training.popdbs import make_popdb

SCRIPT = Path(__file__).parents[2] / "jobs" / "train.py"

pytestmark = pytest.mark.timeout(900)

SHORT = ("--preset", "tiny", "--device", "cpu", "--epochs", "4", "--batch-size", "2", "--validate-every", "6")
"""Of three songs of two pairs: 12 steps."""


def train(data: str, out: Path | str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--data", data, "--out", str(out), *SHORT, *arguments])


def losses(run: Path | str) -> dict[tuple[str, int], float]:
    rows = csv.DictReader(read_bytes(as_path(run) / "curves.csv").decode().splitlines())
    return {(row["kind"], int(row["step"])): float(row["loss"]) for row in rows}


@pytest.fixture(scope="module")
def popdb(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_popdb(tmp_path_factory.mktemp("popdb"))


@pytest.fixture(scope="module")
def plain(popdb: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in plain torch, without Ray."""
    run = tmp_path_factory.mktemp("plain")
    data = load_training_data(popdb)
    training = PRESETS["tiny"].training.with_values(epochs=4, batch_size=2, validate_every=6)
    config = RunConfig("tiny", PRESETS["tiny"].model, training, data.identity.codec, data.fingerprint)
    Trainer(config, data, run, torch.device("cpu")).train()
    return run


def test_one_worker_trains_as_plain_torch_does(
    local_ray: None, popdb: str, plain: Path, tmp_path: Path
) -> None:
    finished = train(popdb, tmp_path)
    assert "finished at step 12 of 12" in finished.output, finished.output
    assert losses(tmp_path) == pytest.approx(
        losses(plain), rel=1e-4
    )  # another process may sum in another order
    assert load_for_generation(tmp_path).config.preset == "tiny"

    other = train(popdb, tmp_path, "--learning-rate", "0.1")
    assert other.exit_code == 2
    assert "training.learning_rate: 0.002 there, 0.1 asked for" in other.output


@pytest.mark.drill  # it starts its workers twice; `tests/training/test_loop.py` stops and resumes without Ray
def test_one_worker_stopped_and_called_again(
    local_ray: None, popdb: str, plain: Path, tmp_path: Path
) -> None:
    stopped = train(popdb, tmp_path, "--steps", "8")
    assert stopped.exit_code == 0, stopped.output
    assert "stopped at step 8 of 12" in stopped.output
    finished = train(popdb, tmp_path)
    assert "finished at step 12 of 12" in finished.output, finished.output
    assert losses(tmp_path) == pytest.approx(
        losses(plain), rel=1e-4
    )  # another process may sum in another order


@pytest.mark.drill  # a whole training of two workers takes minutes
def test_two_workers_on_s3_learn_what_one_does(plain: Path, s3: S3Location) -> None:
    """The shared batch has the same samples and noise, so the losses differ by rounding alone."""
    popdb, run = make_popdb(f"{s3.url}/popdb"), f"{s3.url}/run"
    command = [sys.executable, str(SCRIPT), "--data", popdb, "--out", run, *SHORT, "--workers", "2"]
    environment = os.environ | s3.server.environment | {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "finished at step 12 of 12" in done.stdout, done.stdout + done.stderr
    assert losses(run) == pytest.approx(losses(plain), rel=1e-3)
    assert load_for_generation(run).codec.startswith("mini@")


@pytest.mark.drill  # two workers start, and begin to train
def test_a_worker_that_fails_alone_ends_the_others_at_once_with_its_reason(tmp_path: Path) -> None:
    """The other waits for its part of a gradient; torch lets it do so for 1800 s."""
    popdb, run = make_popdb(tmp_path / "popdb"), tmp_path / "run"
    program = f"""
import jobs.runtime.training as training
from samuel.training.loop import Trainer, TrainingError

def train_worker(given, original=training.train_worker):
    step = Trainer._step
    def failing(self, pairs):
        if self.workers.rank == 1 and self.progress.step == 2:
            raise TrainingError("this machine alone has no memory left")
        return step(self, pairs)
    Trainer._step = failing
    original(given)

training.train_worker = train_worker
from jobs.train import app
app({["--data", popdb, "--out", str(run), *SHORT, "--workers", "2"]!r})
"""
    environment = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=SCRIPT.parents[1],
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "this machine alone has no memory left" in done.stdout.replace("\n", " ")
    assert (done.stdout + done.stderr).count("Attempting to start training worker group") <= 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--device", "cuda"), "1 workers need 1 GPUs, the cluster has 0"),
        (("--workers", "9", "--batch-size", "9"), "9 workers need 9 cores"),
        (("--preset", "huge"), "expected a preset of ['band', 'paper', 'tiny'], got 'huge'"),
        (("--batch-size", "3", "--workers", "2"), "expected a batch size that 2 workers can share, got 3"),
        (("--codec", "mini"), "mini@0123456789ab made the latents"),
        (("--mixing", "both"), "expected mixing to be one of ['equation', 'prose'], got 'both'"),
    ],
)
def test_what_cannot_be_is_told(
    local_ray: None, popdb: str, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = train(popdb, tmp_path, *arguments)
    assert result.exit_code == 2
    assert says in result.output.replace("\n", " ")


def test_no_popdb_is_told(local_ray: None, tmp_path: Path) -> None:
    result = train(str(tmp_path / "nothing"), tmp_path / "run")
    assert result.exit_code == 2
    assert "Build one with jobs/build_popdb.py" in result.output


def test_a_popdb_that_is_not_whole_is_told_before_any_worker_starts(tmp_path: Path) -> None:
    """Without a running Ray: what only a person can mend is not tried again by it."""
    data = Path(make_popdb(tmp_path / "popdb"))
    shard = data / "data" / "train-0001.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    result = train(str(data), tmp_path / "run")
    assert result.exit_code == 2
    assert "train-0001.parquet is no whole Parquet file" in result.output.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_gpus_are_taken_where_there_are_some() -> None:
    on_gpus = choose_scaling(Cluster(cpus=16, gpus=4, nodes=1), 4, "auto")
    assert (on_gpus.num_workers, on_gpus.use_gpu) == (4, True)
    to_come = choose_scaling(Cluster(cpus=1, gpus=0, nodes=1, gpus_to_come=4), 4, "auto")
    assert to_come.use_gpu
    on_cpu = choose_scaling(Cluster(cpus=16, gpus=0, nodes=1), 2, "auto")
    assert (on_cpu.use_gpu, on_cpu.num_cpus_per_worker) == (False, 8)
    with pytest.raises(ValueError, match="tpu"):
        choose_scaling(Cluster(cpus=16, gpus=0, nodes=1), 2, "tpu")


def test_a_board_keeps_what_was_last_said() -> None:
    reporter = ProgressActor()
    reporter.begin(17, 100)
    reporter.trained(30, 90, {"loss": 0.5, "steps_per_second": 2.0})
    reporter.validated(30, {"loss": 0.25})
    assert reporter.state().line() == "loss 0.5000, 2.00 steps/s, 0:00:30 left, validation 0.2500"
    reporter.fail("first")
    reporter.fail("second")
    assert reporter.outcome().error == "first"
    assert clock(State().seconds_left) == "-"
    assert clock(3 * 3600 + 62) == "3:01:02"
