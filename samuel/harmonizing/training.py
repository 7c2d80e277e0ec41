"""The loop that trains the harmonizer's networks: AdamW, a warm start, a cosine to zero, averaged weights.

A step's songs and its dropout are drawn from the seed and the step's number: a run that was stopped and goes on gives
the weights of one that never stopped.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from samuel.learning_rate import warmup_cosine

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class HarmonizerTrainingConfig:
    steps: int = 3000
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 100
    ema: float = 0.998
    seed: int = 0
    checkpoint_every: int = 250


def train(
    network: Network,
    loss: Callable[[Network, np.random.Generator], Tensor],
    judge: Callable[[Network], str],
    out: Path,
    config: HarmonizerTrainingConfig,
    report: Callable[[str], None] = print,
) -> Network:
    """Trains, or goes on from the checkpoint `out`. Returns the averaged network, ready to use.

    `loss` draws its examples from the generator. Raises ValueError for a checkpoint of another training.
    """
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
    )
    step = 0
    if out.is_file():
        state = torch.load(out, weights_only=True)
        if state["config"] != asdict(config):
            raise ValueError(f"{out} is of another training ({state['config']}); choose another folder")
        try:
            network.load_state_dict(state["network"])
            average.load_state_dict(state["average"])
        except RuntimeError as error:  # other layers
            raise ValueError(
                f"{out} is of another training, of another network; choose another folder"
            ) from error
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        report(f"{out.stem} goes on from step {step}")
    losses: list[float] = []
    network.train()
    while step < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * warmup_cosine(step, config.steps, config.warmup)
        torch.manual_seed(config.seed * 1_000_003 + step)
        value = loss(network, np.random.default_rng((config.seed, step)))
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        update_ema(average, network, min(config.ema, step / (step + 10)))
        losses.append(float(value.detach()))
        if step % config.checkpoint_every == 0 or step == config.steps:
            _save(out, network, average, optimizer, step, config)
            judged = judge(average.eval())
            report(
                f"{out.stem} step {step} of {config.steps}: loss {np.mean(losses):.3f}, held out: {judged}"
            )
            losses.clear()
    return average.eval()


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, keep: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


def save_weights(network: nn.Module, path: Path) -> None:
    """In half precision, with the network's sizes (`network.config`) beside."""
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, metadata={"config": json.dumps(network.config)})


def load_weights(kind: type[Network], path: Path) -> Network:
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    network = kind(**config)
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network.eval()


def _save(
    out: Path, network: Any, average: Any, optimizer: Any, step: int, config: HarmonizerTrainingConfig
) -> None:
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": asdict(config),
    }
    temporary = out.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.rename(out)
