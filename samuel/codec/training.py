"""Training `mini`: the closed form first, then the residual networks around it, the closed form kept.

Both sides learn together from the features of short excerpts; no waveform is made. The loss is the squared
error of the decoder's amplitudes (to the power 0.3) under latents with noise added, each band in units of
the closed form's own error there and weighted by its width in mels, plus a penalty that keeps the latents' mean at 0 and variance at 1.

Batches are drawn from the step's number alone, so a run that was stopped goes on as if it never was.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from samuel.codec.corpus import CorpusPart, parts_in
from samuel.codec.fitting import fit
from samuel.codec.mini import MiniAutoencoder, MiniConfig
from samuel.learning_rate import warmup_cosine

LATENT_PENALTY = 0.1


@dataclass(frozen=True)
class CodecTrainingConfig:
    """Learning rates fall from `rate` to 0 along a cosine, after `warmup` steps of rising."""

    steps: int = 2600
    batch: int = 16
    frames: int = 32
    rate: float = 1e-3
    warmup: int = 100
    noise: float = 0.1  # standard deviation at the most: each excerpt draws its own
    seed: int = 0
    fit_frames: int = 600  # of each part, for the closed form
    save_every: int = 500


def train(
    features: Path,
    run: Path,
    config: CodecTrainingConfig,
    model_config: MiniConfig | None = None,
    report: Callable[[str], None] = print,
) -> MiniAutoencoder:
    """Train on the features in one folder; checkpoints, `mini.safetensors` and `config.json` go to `run`.

    Starts from the run's checkpoint if there is one.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    parts = parts_in(features, config.frames)
    if not parts:
        raise ValueError(
            f"{features}: expected features of songs, found none of {config.frames} frames or more"
        )
    model = MiniAutoencoder(model_config or MiniConfig())
    for side in (model.encoder, model.decoder):
        side.linear.requires_grad_(False)  # its inputs go together: small steps of each would undo it
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=config.rate, weight_decay=0.01)
    checkpoint = run / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        report(f"going on from step {step}")
    else:
        step = 0
        explained = fit(model, parts, config.fit_frames, config.seed)
        report(f"{len(parts)} parts; closed form explains {explained:.3f} of the features' variance")
        _save(run, model, optimizer, step, config)
    lengths = torch.tensor([part.frames for part in parts], dtype=torch.float64)
    began, losses = time.monotonic(), []
    while step < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = config.rate * warmup_cosine(step, config.steps, config.warmup)
        losses.append(float(_step(model, optimizer, parts, lengths, step, config)))
        step += 1
        if step % 50 == 0:
            pace = (time.monotonic() - began) / len(losses)
            report(f"step {step}: loss {sum(losses[-50:]) / len(losses[-50:]):.4f}, {pace:.2f} s a step")
        if step % config.save_every == 0 or step == config.steps:
            _save(run, model, optimizer, step, config)
    return model.eval()


def loss_of(model: MiniAutoencoder, features: Tensor, fine: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and latents (batch, frames, 64) of excerpts; `noise` is added to the latents."""
    latents = model.encoder.latents_of(features)
    predicted = model.decoder.predict(latents + noise)
    wanted = model.encoder.features.targets(features, fine)
    loss = model.distance(predicted, wanted).mean()
    mean, variance = latents.mean(dim=(0, 1)), latents.var(dim=(0, 1))
    penalty = mean.square().mean() + (variance - 1).square().mean()
    return loss + LATENT_PENALTY * penalty, latents


def _step(
    model: MiniAutoencoder,
    optimizer: torch.optim.Optimizer,
    parts: list[CorpusPart],
    lengths: Tensor,
    step: int,
    config: CodecTrainingConfig,
) -> Tensor:
    """One step on excerpts that only the seed and the step's number choose."""
    chance = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    chosen = torch.multinomial(lengths, config.batch, replacement=True, generator=chance).tolist()
    starts = torch.rand(config.batch, generator=chance).tolist()
    excerpts = [
        parts[i].rows(int(where * (parts[i].frames - config.frames + 1)), config.frames)
        for i, where in zip(chosen, starts, strict=True)
    ]
    features, fine = (torch.stack(kind) for kind in zip(*excerpts, strict=True))
    gains = 2 ** (
        0.2 * torch.randn(config.batch, 1, 1, generator=chance)
    )  # 4 dB, as amplitudes to the power 0.3
    keep_features, keep_fine = model.encoder.features.band_limit(config.batch, chance)
    features, fine = features * gains * keep_features, fine * gains * keep_fine
    noise = torch.randn(config.batch, config.frames, 64, generator=chance)
    noise = noise * config.noise * torch.rand(config.batch, 1, 1, generator=chance)
    loss, _ = loss_of(model, features, fine, noise)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def _save(
    run: Path,
    model: MiniAutoencoder,
    optimizer: torch.optim.Optimizer,
    step: int,
    config: CodecTrainingConfig,
) -> None:
    """The checkpoint to go on from, and the codec as it is now, in half precision."""
    state: dict[str, Any] = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, run / "checkpoint.part")
    os.replace(run / "checkpoint.part", run / "checkpoint.pt")
    save_codec(run, model, {"step": step, **asdict(config)})


def save_codec(folder: Path, model: MiniAutoencoder, training: dict[str, Any]) -> None:
    """`mini.safetensors` and `config.json`: a folder that `load_codec` reads."""
    half = {key: value.half().contiguous() for key, value in model.state_dict().items()}
    save_file(half, folder / "mini.part")
    os.replace(folder / "mini.part", folder / "mini.safetensors")
    (folder / "config.json").write_text(
        json.dumps(model.to_config() | {"training": training}, indent=2) + "\n"
    )
