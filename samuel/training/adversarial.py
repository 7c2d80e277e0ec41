"""A critic that tells what the network guesses from what was played (adversarial post-training).

The squared error alone asks for the mean of all that may have been played: a haze, where a sampler takes few steps. A critic
that sees the same conditions tells it from a band. Its losses are relativistic (Jolicoeur-Martineau 2018; with
penalties on its slope, Huang et al. 2024, "R3GAN") and contrastive (Novack et al. 2025, "ARC": the right conditions
against another sample's); the penalty is the finite difference of Lin et al. 2025 ("APT"). As in diffusion GANs both are
shown under noise, so that latents count by how far they stand out of it.

A sampler of few steps asks for more than what stands under the noise of bands: it begins from an arrangement, and goes on from
guesses of the network's own. So a part of the samples are such questions ("backward simulation", Yin et al. 2024, "DMD2");
of their answers the critic alone judges, since no band belongs to them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from samuel.diffusion.process import add_noise, alpha_at, cosine_schedule, noise_from_v, x0_from_v
from samuel.model.conditions import ARRANGEMENT, ARRANGEMENT_KNOWN, CONDITION_CHANNELS
from samuel.training.objective import Question, StepNoise, told
from samuel.training.workers import Workers

Latents = Float[Tensor, "batch channel frame"]
Conditions = Float[Tensor, "batch condition frame"]
Levels = Float[Tensor, " batch"]

WIDTH, SCALES = 192, 4
LEARNING_RATE = 2e-4
NOISIEST = 0.5
"""Of the timesteps, up to which the critic is shown latents under noise."""
BEGUN, GONE_ON = 0.25, 0.25
"""Shares of the samples that begin from an arrangement under much noise, and that go on from the guess made there."""
SLOPE, NUDGE = 0.02, 0.05
"""Weight of the penalty on the critic's slope, and the step by which it is measured."""


class Critic(nn.Module):
    """Latents and what they were made for -> how real each stretch of them sounds, at several scales."""

    def __init__(self, latent_channels: int, condition_channels: int):
        super().__init__()
        self.stem = nn.Conv1d(latent_channels + 1, WIDTH, 3, padding=1)
        self.given = nn.Conv1d(condition_channels, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
            )
            for _ in range(SCALES)
        )
        self.judge = nn.ModuleList(nn.Conv1d(WIDTH, 1, 1) for _ in range(SCALES))

    def forward(self, x: Latents, alpha: Levels, conditions: Conditions) -> Float[Tensor, "batch opinion"]:
        level = alpha[:, None, None].expand(-1, 1, x.shape[-1])
        hidden = self.stem(torch.cat((x, level.to(x.dtype)), dim=1)) + self.given(conditions)
        opinions = []
        for block, judge in zip(self.blocks, self.judge, strict=True):
            hidden = hidden + block(hidden)
            opinions.append(judge(hidden).flatten(1))
            hidden = F.avg_pool1d(hidden, 2, ceil_mode=True)
        return torch.cat(opinions, dim=1).float()


class Adversary:
    """The objective of a network with a critic beside it, in place of `training_loss`.

    `weight`: how hard the critic pulls at the guess, beside the error of v.
    """

    def __init__(
        self, weight: float, latents: int, conditions: int, device: torch.device, workers: Workers
    ) -> None:
        self.weight, self.workers = weight, workers
        self.critic = Critic(latents, conditions).to(device)
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=LEARNING_RATE, betas=(0.0, 0.99))
        self.schedule = cosine_schedule().to(device)
        self.told_apart = 0.0
        """Share of the critic's opinions of the last step by which the band was more real than the guess."""

    def loss(
        self,
        model: nn.Module,
        conditions: Conditions,
        accompaniment: Latents,
        draws: StepNoise,
        vocal_noise: float,
    ) -> Float[Tensor, ""]:
        """As `training_loss`; the critic's own gradients are added to it on the way."""
        given = told(conditions, draws, vocal_noise)
        asked, of_bands = Question.of(accompaniment, draws), torch.ones_like(draws.alpha)
        if conditions.shape[1] == CONDITION_CHANNELS:
            asked, of_bands = self._as_a_sampler(model, asked, conditions, given, draws)
        predicted, errors = asked.answered(model, given, draws.unconditional)
        error = (errors * of_bands).mean()
        guess = x0_from_v(asked.x, predicted.float(), asked.alpha)
        given = given * ~draws.unconditional[:, None, None]
        alpha = alpha_at(self.schedule, (draws.chances[:, 0] * NOISIEST * len(self.schedule)).long())

        def seen(latents: Latents) -> Latents:
            return add_noise(latents, draws.critic_noise[:, 0], alpha)

        self._learn(seen(accompaniment), seen(guess.detach()), alpha, given, draws.critic_noise[:, 1])
        self.critic.requires_grad_(False)
        real = self.critic(seen(accompaniment), alpha, given)
        pull = F.softplus(real - self.critic(seen(guess), alpha, given)).mean()
        self.critic.requires_grad_(True)
        return error + self._balance(error, pull, predicted) * pull

    @torch.no_grad()
    def _as_a_sampler(
        self, model: nn.Module, asked: Question, conditions: Conditions, given: Conditions, draws: StepNoise
    ) -> tuple[Question, Levels]:
        """`asked` with a part of it in a sampler's words, and 1 for each sample that still is of a band.

        Of the noisier half of all levels; those that go on do so at a quarter to three quarters of the timestep.
        """
        chance, steps = draws.chances[:, 1], len(self.schedule)
        begun = (
            (chance < BEGUN + GONE_ON) & ~draws.unconditional & (conditions[:, ARRANGEMENT_KNOWN].amin(1) > 0)
        )
        timesteps = (steps + draws.timesteps) // 2
        alpha = torch.where(begun, alpha_at(self.schedule, timesteps), asked.alpha)
        x = torch.where(
            begun[:, None, None], add_noise(conditions[:, ARRANGEMENT], draws.noise, alpha), asked.x
        )
        ahead = begun & (chance < GONE_ON)
        if ahead.any():
            before = x[ahead], alpha[ahead]
            alone = getattr(model, "module", model)  # also within DistributedDataParallel
            v = alone(*before, given[ahead], draws.unconditional[ahead]).float()
            guess, noise = (part(before[0], v, before[1]) for part in (x0_from_v, noise_from_v))
            shorter = timesteps[ahead] * (0.25 + 0.5 * chance[ahead] / GONE_ON)
            alpha[ahead] = alpha_at(self.schedule, shorter.long())
            x[ahead] = add_noise(guess, noise, alpha[ahead])
        return Question(x, alpha, asked.v), (~begun).float()

    def _balance(self, error: Tensor, pull: Tensor, predicted: Latents) -> Tensor:
        """The weight at which the critic's pull at the guess is `self.weight` times as strong as the error's
        (Esser et al. 2021, equation 7)."""
        from_error, from_pull = (
            torch.autograd.grad(loss, predicted, retain_graph=True)[0].norm() for loss in (error, pull)
        )
        return self.weight * (from_error / from_pull.clamp(min=1e-8)).clamp(max=1e3)

    def _learn(self, real: Latents, fake: Latents, alpha: Levels, given: Conditions, nudge: Latents) -> None:
        """Add the critic's gradients of one part of a batch."""
        opinion, of_fake = self.critic(real, alpha, given), self.critic(fake, alpha, given)
        elsewhere = self.critic(real, alpha, given.roll(1, dims=0))
        slope = (self.critic(real + NUDGE * nudge, alpha, given) - opinion).square().mean() + (
            self.critic(fake + NUDGE * nudge, alpha, given) - of_fake
        ).square().mean()
        self.told_apart = float((opinion > of_fake).float().mean())
        loss = F.softplus(of_fake - opinion).mean() + F.softplus(elsewhere - opinion).mean()
        (loss + SLOPE / NUDGE**2 * slope).backward()

    def update(self) -> None:
        """One step of the critic, with the mean of all workers' gradients."""
        for parameter in self.critic.parameters():
            if parameter.grad is not None:
                parameter.grad = self.workers.mean(parameter.grad)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
