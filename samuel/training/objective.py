"""One training step's loss, and the errors by which a network is judged.

All randomness of a step is a function of (seed, step) and drawn for the batch of all workers, of which
each takes its part: so neither a restart nor the number of workers changes what is learned.
"""

import dataclasses
import functools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from samuel.diffusion.loss import weighted_error
from samuel.diffusion.process import add_noise, cosine_schedule, signal_at, velocity, x0_of

Latents = Float[Tensor, "batch channel frame"]
Levels = Float[Tensor, " batch"]

PROBE_LEVELS = 10
"""Bands of timesteps, of equal width, in which errors are reported."""


@dataclass(frozen=True)
class Draws:
    """What is random in a step."""

    signal: Levels
    noise: Latents
    vocal_noise: Latents
    dropped: Bool[Tensor, " batch"]
    places: Float[Tensor, " batch"]
    """Where in its pair each sample's crop lies: 0 at the start, towards 1 at the end."""


def draw(shape: tuple[int, int, int], seed: int, step: int, dropped: float, device: torch.device) -> Draws:
    """The draws of one step for a batch of all workers, of the crops' shape.

    `dropped`: probability that a sample's vocals are.
    """
    generator = torch.Generator(device).manual_seed(hash((seed, step)))
    schedule = _schedule_on(device)
    timesteps = torch.randint(len(schedule), shape[:1], generator=generator, device=device)
    return Draws(
        signal=signal_at(schedule, timesteps),
        noise=torch.randn(shape, generator=generator, device=device),
        vocal_noise=torch.randn(shape, generator=generator, device=device),
        dropped=torch.rand(shape[:1], generator=generator, device=device) < dropped,
        places=torch.rand(shape[:1], generator=generator, device=device),
    )


def part(draws: Draws, rank: int, workers: int) -> Draws:
    """The `rank`-th of `workers` equal parts."""
    size = len(draws.signal) // workers
    own = slice(rank * size, (rank + 1) * size)
    return Draws(*(getattr(draws, field.name)[own] for field in dataclasses.fields(Draws)))


def crop(
    latents: Float[Tensor, "batch channel _"], places: Levels, frames: int
) -> Float[Tensor, "batch channel {frames}"]:
    """`frames` frames of each pair, beginning at its place of `Draws.places`."""
    starts = (places * (latents.shape[-1] - frames + 1)).long()
    index = starts[:, None, None] + torch.arange(frames, device=latents.device)
    return latents.gather(-1, index.expand(-1, latents.shape[1], -1))


def training_loss(
    model: nn.Module, vocals: Latents, accompaniment: Latents, draws: Draws, vocal_noise: float
) -> Float[Tensor, ""]:
    """The weighted error of v, averaged over a batch of normalized latents."""
    x = add_noise(accompaniment, draws.noise, draws.signal)
    predicted = model(x, draws.signal, vocals + vocal_noise * draws.vocal_noise, draws.dropped)
    return weighted_error(predicted, velocity(accompaniment, draws.noise, draws.signal), draws.signal).mean()


@dataclass(frozen=True)
class Probe:
    """Fixed questions to a network: normalized pairs, each with its timestep and noise."""

    vocals: Latents
    accompaniment: Latents
    other_vocals: Latents
    """Vocals of another song for each pair."""
    timesteps: Tensor
    noise: Latents

    def __len__(self) -> int:
        return len(self.timesteps)


def make_probe(
    vocals: Latents, accompaniment: Latents, song_ids: list[str], items: int, seed: int = 0
) -> Probe:
    """`items` questions (rounded up to whole bands), pairs taken in turn, timesteps evenly spaced.

    With one song alone, its own vocals half a chunk later stand for those of another.
    """
    items += -items % PROBE_LEVELS
    steps = len(cosine_schedule())
    generator = torch.Generator().manual_seed(seed)
    # A shuffle, so that no pair sits always in the same band.
    order = torch.randperm(items, generator=generator) % len(song_ids)
    partners = torch.tensor([_partner(song_ids, int(pair)) for pair in order])
    other = vocals[partners]
    if len(set(song_ids)) == 1:
        other = other.roll(other.shape[-1] // 2, dims=-1)
    return Probe(
        vocals=vocals[order],
        accompaniment=accompaniment[order],
        other_vocals=other,
        timesteps=((torch.arange(items) + 0.5) / items * steps).long(),
        noise=torch.randn((items, *vocals.shape[1:]), generator=generator).to(vocals.device),
    )


@dataclass(frozen=True)
class Answers:
    """Per question: the weighted error of v, the squared error of x0, and the deviation of v and of x0."""

    loss: Levels
    x0_error: Levels
    v_deviation: Levels
    x0_deviation: Levels

    def by_level(self, name: str) -> list[float]:
        """The mean of a field in each of the `PROBE_LEVELS` bands, the least noise first."""
        return [float(band.mean()) for band in getattr(self, name).chunk(PROBE_LEVELS)]


@torch.no_grad()
def ask(model: nn.Module, probe: Probe, vocals: str = "right", batch_size: int = 16) -> Answers:
    """Answers in float32 on the CPU, with the `vocals` "right", of an "other" song, or "dropped"."""
    found: list[Tensor] = []
    device = probe.noise.device
    schedule = _schedule_on(device)
    for start in range(0, len(probe), batch_size):
        chosen = slice(start, start + batch_size)
        x0, noise = probe.accompaniment[chosen], probe.noise[chosen]
        signal = signal_at(schedule, probe.timesteps[chosen].to(device))
        given = probe.other_vocals[chosen] if vocals == "other" else probe.vocals[chosen]
        dropped = torch.full((len(x0),), vocals == "dropped", device=device)
        x = add_noise(x0, noise, signal)
        v = model(x, signal, given, dropped).float()
        guess = x0_of(x, v, signal)
        found.append(
            torch.stack(
                (
                    weighted_error(v, velocity(x0, noise, signal), signal),
                    (guess - x0).square().mean(dim=(1, 2)),
                    v.std(dim=(1, 2)),
                    guess.std(dim=(1, 2)),
                )
            )
        )
    return Answers(*torch.cat(found, dim=1).cpu())


@functools.cache
def _schedule_on(device: torch.device) -> Float[Tensor, " step"]:
    return cosine_schedule().to(device)


def _partner(song_ids: list[str], pair: int) -> int:
    """A pair of another song, half the set away or the next after that."""
    count = len(song_ids)
    for distance in range(count):
        partner = (pair + count // 2 + distance) % count
        if song_ids[partner] != song_ids[pair]:
            return partner
    return pair
