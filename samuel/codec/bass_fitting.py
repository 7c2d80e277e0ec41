"""Fitting `BassHead` to a codec that stays as it is: its latents of songs against what sounds below 220 Hz in them.

The loss is the cross entropy between a frame's shares of power and those that are read from its latents with noise added;
a frame counts by its loudness (power to 0.15). Some thousand steps of a linear map: seconds.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from samuel.catalogue.songs import Song, read_catalogue
from samuel.codec.bass import BASS_FILE, CONTEXT, BassHead, semitone_powers
from samuel.codec.codec import Codec
from samuel.codec.corpus import parts_of
from samuel.config import FRAME_SAMPLES, LATENT_CHANNELS
from samuel.learning_rate import warmup_cosine

LOUDNESS_EXPONENT = 0.15


@dataclass(frozen=True)
class BassTraining:
    """The rate falls from `rate` to 0 along a cosine, after `warmup` steps of rising."""

    steps: int = 2000
    batch: int = 512
    rate: float = 2e-3
    warmup: int = 50
    decay: float = 0.05
    noise: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """One part of a song."""

    latents: Float[Tensor, "frames 64"]
    powers: Float[Tensor, "frames semitones"]


@torch.no_grad()
def lessons_in(codec: Codec, songs: str, max_seconds: float) -> Iterator[tuple[Song, list[Lesson] | str]]:
    """Of each song of a catalogue its lessons, or its error; vocals alone, which have no bass, are left out."""
    for song in read_catalogue(songs).songs:
        try:
            parts = [samples for name, samples in parts_of(song, max_seconds) if name != "vocals"]
        except (OSError, ValueError) as error:
            yield song, str(error)
            continue
        whole = [samples[None, :, : samples.shape[-1] // FRAME_SAMPLES * FRAME_SAMPLES] for samples in parts]
        yield (
            song,
            [Lesson(codec.encode(x)[0].T.cpu(), semitone_powers(x)[0]) for x in whole if x.shape[-1]],
        )


def fit_bass(
    lessons: list[Lesson], config: BassTraining | None = None, report: Callable[[str], None] = print
) -> BassHead:
    """The same lessons and seed give the same head."""
    config = config or BassTraining()
    if not lessons:
        raise ValueError("expected songs to fit the bass to, found none")
    chance = torch.Generator().manual_seed(config.seed)
    powers = torch.cat([lesson.powers for lesson in lessons])
    total = powers.sum(dim=1, keepdim=True)
    wanted = powers / total.clamp(min=1e-9)
    weight = total[:, 0] ** LOUDNESS_EXPONENT
    weight = weight / weight.mean().clamp(min=1e-9)
    padded = [F.pad(lesson.latents.T[None], (CONTEXT, CONTEXT), mode="replicate")[0] for lesson in lessons]
    inputs = torch.cat([one.unfold(1, 2 * CONTEXT + 1, 1).transpose(0, 1) for one in padded])
    head = BassHead()
    torch.nn.init.zeros_(head.linear.weight)
    assert head.linear.bias is not None
    torch.nn.init.zeros_(head.linear.bias)
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.rate, weight_decay=config.decay)
    losses = []
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.rate * warmup_cosine(step, config.steps, config.warmup)
        rows = torch.randint(len(inputs), (config.batch,), generator=chance)
        noise = torch.randn(config.batch, LATENT_CHANNELS, 2 * CONTEXT + 1, generator=chance)
        logits = F.conv1d(inputs[rows] + config.noise * noise, head.linear.weight, head.linear.bias)[..., 0]
        losses.append(-(wanted[rows] * logits.log_softmax(dim=1)).sum(dim=1) @ weight[rows] / config.batch)
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
        losses[-1] = losses[-1].detach()
    last = losses[-100:]
    report(f"bass: {len(inputs)} frames, loss {float(sum(last)) / max(1, len(last)):.3f}")
    return head.eval()


def save_bass(folder: Path, head: BassHead) -> None:
    """In half precision, beside the codec's weights: `load_codec` finds it there."""
    save_file({k: v.half().contiguous() for k, v in head.state_dict().items()}, folder / "bass.part")
    os.replace(folder / "bass.part", folder / BASS_FILE)
