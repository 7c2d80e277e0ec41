"""A checkpoint: a folder from which to generate, and to go on training as if nothing had happened.

<run>/checkpoints/step-00001000/
    model.safetensors       weights as trained
    ema.safetensors         their exponential moving average: for validation and generation
    statistics.safetensors  of the training split: normalized latents <-> latents of the codec
    training.pt             state of AdamW
    adversary.pt            the critic and the state of its optimizer, where there is one
    progress.json           step, best loss, history; seed and step are the state of all random numbers
    config.json             network, training, codec identity, data; written last: without it there is no checkpoint
<run>/best.json             the name of the checkpoint with the best validation loss
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from samuel import __version__
from samuel.model import ModelConfig, SamuelUNet
from samuel.storage import Location, as_path, delete, exists, list_files, read_bytes, write_atomic
from samuel.storage.overwriting import same_place
from samuel.training.config import Student, TrainingConfig
from samuel.training.statistics import Statistics
from samuel.vocals import AS_RECORDED

FORMER_NAMES = {"dropped": "cond_dropout", "emphasis": "latent_weighting"}
"""Of the fields of `TrainingConfig` in checkpoints that were written before."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: says what was expected, what is there, what to do."""


@dataclass(frozen=True)
class RunConfig:
    """All that decides what a run learns; in every checkpoint, and never changed under a run's name."""

    preset: str
    model: ModelConfig
    training: TrainingConfig
    codec: str
    """Identity of the codec whose latents were trained on."""
    data: str
    """Fingerprint of the pairs."""
    start: str = ""
    """Fingerprint of the weights that the run began with; "" for random ones."""
    vocals: str = AS_RECORDED
    """The form that vocals are brought to before they are encoded."""
    student: Student | None = None
    """Of a distilled network: how it is to be sampled."""

    def to_json(self) -> str:
        return json.dumps({"samuel": __version__, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "RunConfig":
        """Raises CheckpointError where a field is missing or unknown."""
        try:
            fields = json.loads(text)
            fields.pop("samuel")
            model: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in fields.pop("model").items()
            }
            student = fields.pop("student", None)
            return cls(
                model=ModelConfig(**model),
                training=TrainingConfig(
                    **{FORMER_NAMES.get(key, key): value for key, value in fields.pop("training").items()}
                ),
                student=student and Student(**student),
                **fields,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{where} is no configuration of this version of samuel ({__version__}): {error}"
            ) from error

    def require_equal(self, other: "RunConfig", where: str) -> None:
        """Raise CheckpointError, naming each difference, where a run asks for something else than `where` has."""
        mine, theirs = _flat(dataclasses.asdict(self)), _flat(dataclasses.asdict(other))
        changed = [
            f"{key}: {mine.get(key)!r} there, {theirs[key]!r} asked for"
            for key in theirs
            if mine.get(key) != theirs[key]
        ]
        if changed:
            raise CheckpointError(
                f"{where} was begun with other settings or data ({'; '.join(changed)}). "
                f"Choose another --out for a new run, or ask for the same as before"
            )


@dataclass(frozen=True)
class Checkpoint:
    """A moment of training. Tensors are on the CPU."""

    config: RunConfig
    model: dict[str, Tensor]
    ema: dict[str, Tensor]
    statistics: Statistics
    optimizer: dict[str, Any]
    progress: dict[str, Any]
    """JSON: `step`, and what else the loop keeps."""
    adversary: dict[str, Any] = field(default_factory=dict)
    """Of `samuel.training.adversarial`; empty where there is none."""


@dataclass(frozen=True)
class Trained:
    """What generation needs: the averaged network in evaluation mode, the statistics, the codec's identity."""

    model: SamuelUNet
    statistics: Statistics
    config: RunConfig

    @property
    def codec(self) -> str:
        return self.config.codec

    @property
    def fingerprint(self) -> str:
        """Of the weights: 12 hexadecimal digits."""
        return hashlib.sha256(to_safetensors(self.model.state_dict())).hexdigest()[:12]


def load_for_generation(folder: Location, device: torch.device | str = "cpu") -> Trained:
    """The trained network in a checkpoint, or in the best checkpoint of a run.

    Raises CheckpointError where there is none or a file is missing, damaged or of another shape.
    """
    path = best_of(folder)
    config = _config(path)
    model = SamuelUNet(config.model)
    load_strictly(model, _tensors(path, "ema.safetensors"), path)
    statistics = Statistics(**_tensors(path, "statistics.safetensors"))
    return Trained(model.eval().requires_grad_(False).to(device), statistics.to(device), config)


def save(run: Location, checkpoint: Checkpoint, *, best: bool) -> str:
    """Write a checkpoint of a run, then make it the best one if it is. Returns its folder."""
    name = f"step-{checkpoint.progress['step']:08d}"
    folder = as_path(run) / "checkpoints" / name
    adversary = [("adversary.pt", _pickled(checkpoint.adversary))] if checkpoint.adversary else []
    for file, data in (
        *adversary,
        ("model.safetensors", to_safetensors(checkpoint.model)),
        ("ema.safetensors", to_safetensors(checkpoint.ema)),
        ("statistics.safetensors", to_safetensors(checkpoint.statistics.state())),
        ("training.pt", _pickled(checkpoint.optimizer)),
        ("progress.json", json.dumps(checkpoint.progress).encode()),
        ("config.json", checkpoint.config.to_json().encode()),
    ):
        write_atomic(folder / file, data)
    if best:
        write_atomic(as_path(run) / "best.json", json.dumps({"checkpoint": name}).encode())
    return str(folder)


def export(run: Location, folder: Location, averaged_with: Sequence[Location] = ()) -> str:
    """Copy what generation needs of a run's best checkpoint, or of a checkpoint, in half precision: to share it.

    `averaged_with`: runs or checkpoints that went on from one another; each weight is their mean ("model soup",
    Wortsman et al. 2022, arXiv 2203.05482), with the statistics of `run`.
    Returns the checkpoint that was copied. Raises CheckpointError as `load_for_generation` does, and for networks that
    cannot be averaged.
    """
    paths = [best_of(one) for one in (run, *averaged_with)]
    for what in (run, *averaged_with, *paths):
        if same_place(folder, what):
            raise CheckpointError(
                f"{folder} is what is exported, and would be written over; choose another folder"
            )
    parts = [_tensors(path, "ema.safetensors") for path in paths]
    if averaged_with:
        _require_alike(paths)
    half = {name: torch.stack([part[name].float() for part in parts]).mean(dim=0).half() for name in parts[0]}
    for file, data in (
        ("ema.safetensors", to_safetensors(half)),
        ("statistics.safetensors", _read(paths[0], "statistics.safetensors")),
        ("config.json", _read(paths[0], "config.json")),
    ):
        write_atomic(as_path(folder) / file, data)
    return paths[0]


def _require_alike(paths: list[str]) -> None:
    """Raises CheckpointError where networks differ in more than their weights."""
    first, *others = (_config(path) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        for what in ("model", "codec", "vocals", "student"):
            if getattr(other, what) != getattr(first, what):
                raise CheckpointError(
                    f"{path} cannot be averaged with {paths[0]}: its {what} is {getattr(other, what)}, "
                    f"not {getattr(first, what)}; average checkpoints of one network that went on from one another"
                )


def load(folder: Location) -> Checkpoint:
    """Read a whole checkpoint. Raises CheckpointError as `load_for_generation` does."""
    path = str(as_path(folder))
    config = _config(path)
    return Checkpoint(
        config=config,
        model=_tensors(path, "model.safetensors"),
        ema=_tensors(path, "ema.safetensors"),
        statistics=Statistics(**_tensors(path, "statistics.safetensors")),
        optimizer=_unpickled(path, "training.pt"),
        progress=json.loads(_read(path, "progress.json")),
        adversary=_unpickled(path, "adversary.pt") if config.training.adversarial else {},
    )


def latest(run: Location) -> str | None:
    """The newest complete checkpoint of a run, or None."""
    found = complete(run)
    return str(as_path(run) / "checkpoints" / found[-1]) if found else None


def complete(run: Location) -> list[str]:
    """Names of the complete checkpoints of a run, the oldest first."""
    files = list_files(as_path(run) / "checkpoints").files
    return sorted(file.name.split("/")[0] for file in files if file.name.endswith("/config.json"))


def best_of(folder: Location) -> str:
    """`folder` where it is a checkpoint, or the best checkpoint of the run that it is."""
    path = as_path(folder)
    if exists(path / "config.json"):
        return str(path)
    try:
        name = json.loads(read_bytes(path / "best.json"))["checkpoint"]
    except FileNotFoundError:
        raise CheckpointError(
            f"no checkpoint at {path}: expected a run of jobs/train.py that has validated once, or one of its "
            f"checkpoints"
        ) from None
    return str(path / "checkpoints" / name)


def fingerprint(folder: Location) -> str:
    """A name for all that generation takes from a checkpoint: another one for other weights, wherever they lie.

    Raises CheckpointError.
    """
    digest = hashlib.sha256()
    for file in ("config.json", "statistics.safetensors", "ema.safetensors"):
        digest.update(_read(best_of(folder), file))
    return digest.hexdigest()[:12]


def prune(run: Location, keep: int = 2) -> None:
    """Delete all checkpoints of a run but the best and the newest `keep`."""
    names = complete(run)
    keeping = {*names[-keep:], best_of(run).rsplit("/", 1)[-1]}
    for name in set(names) - keeping:
        folder = as_path(run) / "checkpoints" / name
        delete(folder / "config.json")  # first: from here on it is no checkpoint
        for file in list_files(folder).files:
            delete(folder / file.name)
        if not str(folder).startswith("s3"):
            folder.rmdir()


def load_strictly(model: torch.nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Every weight there and of its shape, and no other. Raises CheckpointError naming those that are not."""
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"the weights in {where} are of another network: {error}") from error


def _pickled(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _unpickled(path: str, file: str) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(io.BytesIO(_read(path, file)), weights_only=True)
    return state


def _config(path: str) -> RunConfig:
    return RunConfig.from_json(_read(path, "config.json").decode(), f"{path}/config.json")


def _tensors(path: str, file: str) -> dict[str, Tensor]:
    try:
        return from_safetensors(_read(path, file))
    except Exception as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}/{file} is damaged ({error}); use another checkpoint") from error


def _read(path: str, file: str) -> bytes:
    try:
        return read_bytes(as_path(path) / file)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is no complete checkpoint: {file} is missing") from None


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
