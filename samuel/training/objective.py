"""One training step's loss, and the errors by which a network is judged.

All randomness of a step is a function of (seed, step) and drawn for the batch of all workers, of which
each takes its part: so neither a restart nor the number of workers changes what is learned.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from samuel.diffusion.loss import weighted_error
from samuel.diffusion.process import add_noise, alpha_at, cosine_schedule, velocity, x0_from_v
from samuel.lead_sheet import frames
from samuel.model.conditions import CONDITION_CHANNELS, GROUPS, SHEET, VOCALS
from samuel.model.preconditioning import preconditioning

Latents = Float[Tensor, "batch channel frame"]
Levels = Float[Tensor, " batch"]

NOISE_LEVELS = 10
"""Bands of timesteps, of equal width, in which errors are reported."""


def _sheet_channels(values: slice, known: int) -> tuple[int, ...]:
    return tuple(SHEET.start + channel for channel in (*range(values.start, values.stop), known))


UNKNOWN: dict[str, tuple[tuple[int, ...], float]] = {
    "vocals": (tuple(range(GROUPS["vocals"].start, GROUPS["vocals"].stop)), 0.15),
    "arrangement": (tuple(range(GROUPS["arrangement"].start, GROUPS["arrangement"].stop)), 0.25),
    "features": (tuple(range(GROUPS["features"].start, GROUPS["features"].stop)), 0.15),
    "chords": (_sheet_channels(frames.CHORDS, frames.CHORDS_KNOWN), 0.2),
    "beats": (_sheet_channels(frames.BEATS, frames.BEATS_KNOWN), 0.15),
    "energy": (_sheet_channels(slice(frames.ENERGY, frames.ENERGY + 1), frames.ENERGY_KNOWN), 0.3),
}
"""Parts of `samuel.model.conditions` that may be unknown: their channels, and how often training hides them."""


@dataclass(frozen=True)
class StepNoise:
    """What is random in a step."""

    timesteps: Int[Tensor, " batch"]
    alpha: Levels
    noise: Latents
    vocal_noise: Latents
    unconditional: Bool[Tensor, " batch"]
    """Of everything that is given: for guidance."""
    unknown: Bool[Tensor, "batch part"]
    """Which of `UNKNOWN` each sample is not told."""
    crop_offsets: Float[Tensor, " batch"]
    """Where in its pair each sample's crop lies: 0 at the start, towards 1 at the end."""
    chances: Float[Tensor, "batch 2"]
    """What a student and its teacher are asked (`samuel.training.distillation`), and a critic and its network
    (`samuel.training.adversarial`)."""
    critic_noise: Float[Tensor, "batch 2 channel frame"]
    """See `samuel.training.adversarial`."""

    def at(self, own: slice) -> "StepNoise":
        """Of some samples alone."""
        return StepNoise(*(getattr(self, field.name)[own] for field in dataclasses.fields(StepNoise)))


def draw_step_noise(
    shape: tuple[int, int, int], seed: int, step: int, cond_dropout: float, device: torch.device
) -> StepNoise:
    """The draws of one step for a batch of all workers, of the crops' shape.

    `unconditional`: probability that a sample's vocals are.
    """
    generator = torch.Generator(device).manual_seed(hash((seed, step)))
    schedule = _schedule_on(device)
    timesteps = torch.randint(len(schedule), shape[:1], generator=generator, device=device)
    return StepNoise(
        timesteps=timesteps,
        alpha=alpha_at(schedule, timesteps),
        noise=torch.randn(shape, generator=generator, device=device),
        vocal_noise=torch.randn(shape, generator=generator, device=device),
        unconditional=torch.rand(shape[:1], generator=generator, device=device) < cond_dropout,
        crop_offsets=torch.rand(shape[:1], generator=generator, device=device),
        unknown=torch.rand((shape[0], len(UNKNOWN)), generator=generator, device=device)
        < torch.tensor([chance for _, chance in UNKNOWN.values()], device=device),
        chances=torch.rand((shape[0], 2), generator=generator, device=device),
        critic_noise=torch.randn((shape[0], 2, *shape[1:]), generator=generator, device=device),
    )


def shard(draws: StepNoise, rank: int, workers: int) -> StepNoise:
    """The `rank`-th of `workers` equal parts."""
    size = len(draws.alpha) // workers
    return draws.at(slice(rank * size, (rank + 1) * size))


def crop(
    latents: Float[Tensor, "batch channel _"], crop_offsets: Levels, frames: int
) -> Float[Tensor, "batch channel {frames}"]:
    """`frames` frames of each pair, beginning at its place of `StepNoise.crop_offsets`."""
    starts = (crop_offsets * (latents.shape[-1] - frames + 1)).long()
    index = starts[:, None, None] + torch.arange(frames, device=latents.device)
    return latents.gather(-1, index.expand(-1, latents.shape[1], -1))


def training_loss(
    model: nn.Module,
    conditions: Float[Tensor, "batch condition frame"],
    accompaniment: Latents,
    draws: StepNoise,
    vocal_noise: float,
) -> Float[Tensor, ""]:
    """The error of v, averaged over a batch of normalized latents. `conditions`: `samuel.model.conditions`, or vocals."""
    asked = Question.of(accompaniment, draws)
    return asked.answered(model, told(conditions, draws, vocal_noise), draws.unconditional)[1].mean()


@dataclass(frozen=True)
class Question:
    """What a network is asked: latents `x` at the level `alpha`, of which it is to find `v`."""

    x: Latents
    alpha: Levels
    v: Latents

    @classmethod
    def of(cls, accompaniment: Latents, draws: StepNoise) -> "Question":
        """A band under the noise of a step."""
        return cls(
            add_noise(accompaniment, draws.noise, draws.alpha),
            draws.alpha,
            velocity(accompaniment, draws.noise, draws.alpha),
        )

    def answered(
        self,
        model: nn.Module,
        given: Float[Tensor, "batch condition frame"],
        unconditional: Bool[Tensor, " batch"],
    ) -> tuple[Latents, Levels]:
        """The network's v, told what is `given`, and each sample's error of it."""
        predicted = model(self.x, self.alpha, given, unconditional)
        alone = getattr(model, "module", model)  # also within DistributedDataParallel
        return predicted, error_of_v(alone, predicted, self.v, self.alpha)


def told(
    conditions: Float[Tensor, "batch condition frame"], draws: StepNoise, vocal_noise: float
) -> Float[Tensor, "batch condition frame"]:
    """What the network is told in a step: noisy vocals, and some parts not at all."""
    conditions = conditions.clone()
    conditions[:, VOCALS] += vocal_noise * draws.vocal_noise
    if conditions.shape[1] == CONDITION_CHANNELS:
        conditions = hidden(conditions, draws.unknown)
    return conditions


def hidden(
    conditions: Float[Tensor, "batch 179 frame"], unknown: Bool[Tensor, "batch part"]
) -> Float[Tensor, "batch 179 frame"]:
    """`conditions` where each sample is not told its parts of `UNKNOWN`."""
    kept = torch.ones(conditions.shape[:2], device=conditions.device)
    for part_unknown, (channels, _) in zip(unknown.T, UNKNOWN.values(), strict=True):
        kept[:, list(channels)] *= (~part_unknown).float()[:, None]
    return conditions * kept[:, :, None]


def error_of_v(model: nn.Module, predicted: Latents, target: Latents, alpha: Levels) -> Levels:
    """The weighted squared error of v of each sample.

    Of a preconditioned network it is the error of what the network itself gives, of unit variance at every noise
    level (Karras et al. 2022, lambda = 1 / c_out^2), with latents weighted by their deviation; else min-SNR's.
    """
    deviation = getattr(model, "deviation", None)
    if deviation is None:
        return weighted_error(predicted, target, alpha)
    _, _, c_out = preconditioning(alpha, deviation)
    weight = (deviation / deviation.mean())[:, None]
    return (weight * ((predicted.float() - target.float()) / c_out).square()).mean(dim=(1, 2))


@dataclass(frozen=True)
class ValidationSet:
    """Fixed questions to a network: normalized pairs, each with its timestep and noise."""

    conditions: Float[Tensor, "batch condition frame"]
    """The vocals' latents, or all of `samuel.model.conditions`."""
    accompaniment: Latents
    mismatched: Float[Tensor, "batch condition frame"]
    """The same with the vocals of another song."""
    timesteps: Tensor
    noise: Latents

    def __len__(self) -> int:
        return len(self.timesteps)


def make_validation_set(
    conditions: Float[Tensor, "batch condition frame"],
    accompaniment: Latents,
    song_ids: list[str],
    items: int,
) -> ValidationSet:
    """`items` questions (rounded up to whole bands), pairs taken in turn, timesteps evenly spaced.

    With one song alone, its own vocals half a chunk later stand for those of another.
    """
    items += -items % NOISE_LEVELS
    steps = len(cosine_schedule())
    generator = torch.Generator().manual_seed(0)
    # A shuffle, so that no pair sits always in the same band.
    order = torch.randperm(items, generator=generator) % len(song_ids)
    partners = torch.tensor([_partner(song_ids, int(pair)) for pair in order])
    theirs = conditions[partners]
    if len(set(song_ids)) == 1:
        theirs = theirs.roll(theirs.shape[-1] // 2, dims=-1)
    other = conditions[order].clone()
    groups = (GROUPS["vocals"], GROUPS["features"]) if other.shape[1] == CONDITION_CHANNELS else (VOCALS,)
    for group in groups:
        other[:, group] = theirs[:, group]
    return ValidationSet(
        conditions=conditions[order],
        accompaniment=accompaniment[order],
        mismatched=other,
        timesteps=((torch.arange(items) + 0.5) / items * steps).long(),
        noise=torch.randn((items, *accompaniment.shape[1:]), generator=generator).to(accompaniment.device),
    )


@dataclass(frozen=True)
class ValidationMetrics:
    """Per question: the weighted error of v, the squared error of x0, and the deviation of v and of x0."""

    loss: Levels
    x0_error: Levels
    v_deviation: Levels
    x0_deviation: Levels

    def by_level(self, name: str) -> list[float]:
        """The mean of a field in each of the `NOISE_LEVELS` bands, the least noise first."""
        return [float(band.mean()) for band in getattr(self, name).chunk(NOISE_LEVELS)]


@torch.no_grad()
def evaluate(
    model: nn.Module,
    validation_set: ValidationSet,
    vocals: str = "matched",
    batch_size: int = 16,
    goal: Callable[[Latents, Int[Tensor, " batch"], Tensor, Bool[Tensor, " batch"]], Latents] | None = None,
) -> ValidationMetrics:
    """ValidationMetrics in float32 on the CPU, with the `vocals` "matched", "mismatched" with another song's, or "unconditional".

    `goal`: the v to be judged by, of (x, timesteps, conditions, unconditional); None: the true one.
    """
    found: list[Tensor] = []
    device = validation_set.noise.device
    schedule = _schedule_on(device)
    for start in range(0, len(validation_set), batch_size):
        chosen = slice(start, start + batch_size)
        x0, noise = validation_set.accompaniment[chosen], validation_set.noise[chosen]
        timesteps = validation_set.timesteps[chosen].to(device)
        alpha = alpha_at(schedule, timesteps)
        given = (
            validation_set.mismatched[chosen] if vocals == "mismatched" else validation_set.conditions[chosen]
        )
        unconditional = torch.full((len(x0),), vocals == "unconditional", device=device)
        x = add_noise(x0, noise, alpha)
        v = model(x, alpha, given, unconditional).float()
        guess = x0_from_v(x, v, alpha)
        true = velocity(x0, noise, alpha)
        if goal:
            true = goal(x, timesteps, given, unconditional)
            x0 = x0_from_v(x, true, alpha)
        found.append(
            torch.stack(
                (
                    error_of_v(model, v, true, alpha),
                    (guess - x0).square().mean(dim=(1, 2)),
                    v.std(dim=(1, 2)),
                    guess.std(dim=(1, 2)),
                )
            )
        )
    return ValidationMetrics(*torch.cat(found, dim=1).cpu())


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
