"""Size, speed and memory of a network, beside another's; the measurements of jobs/benchmarks/bench_training.py.

A candidate brings the same few actions as functions without arguments. What is timed alternates between
the candidates, the best of some repetitions counts: on a shared machine only the ratios mean something.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.diffusion import Guidance, cosine_schedule, guided, sample, seeded_noise
from samuel.model import SamuelUNet
from samuel.training.objective import draw_step_noise, training_loss
from samuel.training.optimization import make_ema, make_optimizer, update_ema
from samuel.training.presets import Preset

PAPER_PAIRS = 15_713
PAPER_EPOCHS = 100
SAMPLED = (800, 50, 25, 10)
"""Steps of a sampler that are timed."""

BF16_PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
"""Dense operations a second in bfloat16, by the makers' data sheets."""


@dataclass(frozen=True)
class Benchmarked:
    """A network and what is measured of it, all for 47.55 s of audio."""

    name: str
    model: nn.Module
    forward: Callable[[], Any]
    training_step: Callable[[], Any]
    """At batch 16, all of it."""
    sample: Callable[[int], Any]
    """With guidance, in so many steps."""
    steps_sampled: tuple[int, ...]
    """Numbers of steps that its sampler can do."""


@dataclass(frozen=True)
class Measured:
    """In seconds and bytes."""

    parameters: int
    operations: int
    """Of a forward: floating-point, two for a multiplication with its addition."""
    forward: float
    training_step: float
    sampling: dict[int, float]


def ours(preset: Preset, device: torch.device, batch_size: int = 16) -> Benchmarked:
    """SAMUeL as it trains and samples."""
    torch.manual_seed(0)
    model = SamuelUNet(preset.model).to(device)
    average = make_ema(model)
    optimizer = make_optimizer(model, preset.training)
    shape = (LATENT_CHANNELS, CHUNK_FRAMES)
    x, vocals = seeded_noise((2, 1, *shape), 0, device)
    stems = seeded_noise((2, batch_size, *shape), 1, device)
    level = torch.tensor([0.5], device=device)
    schedule = cosine_schedule()
    autocast = half_precision(device)

    def forward() -> None:
        with torch.no_grad(), autocast:
            model(x, level, vocals)

    def training_step() -> None:
        draws = draw_step_noise((batch_size, *shape), 0, 0, preset.training.cond_dropout, device)
        with autocast:
            loss = training_loss(model, stems[0], stems[1], draws, preset.training.vocal_noise)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), preset.training.gradient_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        update_ema(average, model, 1000, preset.training.ema_decay)

    def sampling(steps: int) -> None:
        with torch.no_grad(), autocast:
            name = "ddpm" if steps >= 100 else "dpm-solver"
            sample(guided(average, vocals, Guidance()), x, schedule, sampler=name, steps=steps)

    return Benchmarked("SAMUeL (ours)", model, forward, training_step, sampling, SAMPLED)


def authors(folder: str, device: torch.device, batch_size: int = 16) -> Benchmarked:
    """The authors' network and sampler, imported from a checkout of their code (`folder` holds model.py).

    In the same precision as ours. Their training step is given without their loss's weight and their averaging, which only cost time.
    Raises ValueError where there is no such checkout.
    """
    sys.path.insert(0, folder)
    try:
        from diffusion import Diffusion  # type: ignore[import-not-found]
        from model import DiffusionModel  # type: ignore[import-not-found]
        from sample import p_sample_v  # type: ignore[import-not-found]
    except ImportError as error:
        raise ValueError(
            f"expected the authors' model.py, diffusion.py and sample.py in {folder}: {error}"
        ) from error
    torch.manual_seed(0)
    model = DiffusionModel().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3.5e-4)
    shape = (LATENT_CHANNELS, CHUNK_FRAMES)
    x, vocals = seeded_noise((2, 1, *shape), 0, device)
    noisy, given, target = seeded_noise((3, batch_size, *shape), 1, device)
    timesteps = torch.arange(batch_size, device=device) * 50
    autocast = half_precision(device)

    def forward() -> None:
        with torch.no_grad(), autocast:
            model(x, vocals, timesteps[:1])

    def training_step() -> None:
        with autocast:
            loss = (model(noisy, given, timesteps) - target).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def sampling(steps: int) -> None:
        with autocast:
            p_sample_v(model, Diffusion(timesteps=steps).to(device), x, vocals, guidance_scale=3.0)

    return Benchmarked("authors", model, forward, training_step, sampling, (800,))


def half_precision(device: torch.device) -> torch.autocast:
    """What all candidates multiply in: bfloat16 on a GPU, float32 elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def measure(
    candidates: list[Benchmarked], device: torch.device, repetitions: int, timed_steps: int
) -> list[Measured]:
    """Measure all candidates in turn. Of more than `timed_steps` sampling steps, that many are run and scaled."""
    forwards = _alternate([one.forward for one in candidates], 5 * repetitions, device)
    trainings = _alternate([one.training_step for one in candidates], repetitions, device)
    sampling: list[dict[int, float]] = [{} for _ in candidates]
    for steps in SAMPLED:
        able = [index for index, one in enumerate(candidates) if steps in one.steps_sampled]
        run = min(steps, timed_steps)
        actions: list[Callable[[], Any]] = [partial(candidates[index].sample, run) for index in able]
        for index, seconds in zip(able, _alternate(actions, 1, device), strict=True):
            sampling[index][steps] = seconds * steps / run
    return [
        Measured(
            parameters=sum(one.numel() for one in candidate.model.parameters()),
            operations=operations_of(candidate.forward),
            forward=forward,
            training_step=training,
            sampling=times,
        )
        for candidate, forward, training, times in zip(candidates, forwards, trainings, sampling, strict=True)
    ]


def operations_of(action: Callable[[], Any]) -> int:
    """Floating-point operations, counted with unfused attention: the counter does not see into the fused one."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        action()
    return int(counter.get_total_flops())


def training_memory(candidate: Benchmarked, device: torch.device) -> int:
    """Peak bytes of two training steps: on a GPU of its memory; on a CPU of this process, which must be a new one."""
    for _ in range(2):
        candidate.training_step()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def share_of_peak(operations_a_second: float, device: torch.device) -> float | None:
    """Of what the chip can do in bfloat16, or None for a chip that is not known here."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peaks = [peak for chip, peak in BF16_PEAK.items() if chip in name]
    return operations_a_second / peaks[0] if peaks else None


def table(names: list[str], measured: list[Measured], memory: list[int], device: torch.device) -> str:
    """The measurements in Markdown, the first candidate's beside each other's."""

    def row(title: str, cells: list[str]) -> str:
        return f"| {title} | {' | '.join(cells)} |"

    lines = [row("", names), row("---", ["---:"] * len(names))]
    lines.append(row("parameters", [f"{one.parameters / 1e6:.2f} M" for one in measured]))
    lines.append(row("operations of a forward", [f"{one.operations / 1e9:.2f} GFLOP" for one in measured]))
    lines.append(row("forward, 47.55 s of audio", _compared([one.forward for one in measured])))
    lines.append(row("training step, batch 16", _compared([one.training_step for one in measured])))
    if memory:
        lines.append(row("peak memory of training", [f"{one / 1e9:.2f} GB" for one in memory]))
    for steps in SAMPLED:
        others = [one.sampling.get(steps, one.sampling[max(one.sampling)]) for one in measured]
        title = f"sampling in {steps} steps, guided"
        cells = _compared(others)
        cells[1:] = [
            cell if steps in one.sampling else f"{cell} (in {max(one.sampling)} steps)"
            for cell, one in zip(cells[1:], measured[1:], strict=True)
        ]
        lines.append(row(title, cells))
    rates = [1 / one.training_step for one in measured]
    hours = [PAPER_EPOCHS * PAPER_PAIRS / 16 / rate / 3600 for rate in rates]
    lines.append(row("training steps a second", [f"{rate:.3g}" for rate in rates]))
    lines.append(row(f"{PAPER_EPOCHS} epochs of {PAPER_PAIRS:,} pairs", [f"{one:.3g} h" for one in hours]))
    shares = [share_of_peak(3 * 16 * one.operations / one.training_step, device) for one in measured]
    if any(shares):
        lines.append(
            row("share of the chip's bf16 peak", ["" if one is None else f"{one:.1%}" for one in shares])
        )
    return "\n".join(lines) + "\n"


def _compared(seconds: list[float]) -> list[str]:
    """The first alone, the others with how many times as long they take."""
    return [f"{seconds[0]:.4g} s", *(f"{one:.4g} s, {one / seconds[0]:.2f}x" for one in seconds[1:])]


def _alternate(actions: list[Callable[[], Any]], repetitions: int, device: torch.device) -> list[float]:
    """The least seconds of each action, done in turn."""
    best = [float("inf")] * len(actions)
    for repetition in range(repetitions + 1):
        for index, action in enumerate(actions):
            begin = time.perf_counter()
            action()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - begin
            if repetition or repetitions == 1:  # the first is to warm up
                best[index] = min(best[index], seconds)
    return best
