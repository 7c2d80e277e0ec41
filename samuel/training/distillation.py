"""A student that goes in one step where its teacher takes several (progressive distillation, Salimans & Ho 2022).

The student's steps lie between fixed noise levels, the `trailing` ones of its number of steps. From any noise level it
learns to go to the next of these below, where its teacher arrives in `SUBSTEPS` steps of DDIM. So each level has one
goal, and a start at any strength (Meng et al. 2022) takes part of the way. A teacher's guidance is learnt along
(Meng et al. 2023, stage 1): the student needs one forward.
"""

from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor, nn

from samuel.diffusion.guidance import Denoise, Guidance, guided
from samuel.diffusion.process import (
    add_noise,
    cosine_schedule,
    noise_from_v,
    sigma,
    velocity_between,
    x0_from_v,
)
from samuel.diffusion.sampler import InpaintMask, trailing_timesteps
from samuel.model import SamuelUNet
from samuel.model.conditions import ARRANGEMENT, ARRANGEMENT_KNOWN, CONDITION_CHANNELS
from samuel.training.config import Student
from samuel.training.objective import StepNoise, ValidationMetrics, ValidationSet, error_of_v, evaluate, told

Latents = Float[Tensor, "batch channel frame"]
Levels = Float[Tensor, " batch"]
Timesteps = Float[Tensor, " batch"]

SUBSTEPS = 4
FROM_ARRANGEMENT = 0.5
"""Share of the samples that begin at an arrangement under noise, as generation does, where one is known."""
HELD = 0.25
"""Share of the samples of which the first frames are held, as all windows of a song but its first are."""


class Distillation:
    """The objective of a student, beside `training_loss`."""

    def __init__(self, student: Student, teacher: SamuelUNet, device: torch.device) -> None:
        self.teacher, self.guidance = teacher, Guidance(scale=student.guidance)
        self.schedule = cosine_schedule().to(device)
        self.goals = torch.tensor([*trailing_timesteps(len(self.schedule), student.steps), -1], device=device)
        """Timesteps at which the student's steps end, the noisiest first; -1 is clean."""

    def loss(
        self,
        model: nn.Module,
        conditions: Float[Tensor, "batch condition frame"],
        accompaniment: Latents,
        draws: StepNoise,
        vocal_noise: float,
    ) -> Float[Tensor, ""]:
        """The error of v against that which leads where the teacher arrives. As `training_loss`."""
        conditions = told(conditions, draws, vocal_noise)
        start = accompaniment
        if conditions.shape[1] == CONDITION_CHANNELS:
            begins = (draws.chances[:, 0] < FROM_ARRANGEMENT) & ~draws.unconditional
            known = conditions[:, ARRANGEMENT_KNOWN, None] > 0
            start = torch.where(begins[:, None, None] & known, conditions[:, ARRANGEMENT], start)
        frames = torch.arange(accompaniment.shape[-1], device=start.device)
        # Of the samples that hold frames, 0 to all of them; the others none.
        share = (draws.chances[:, 1] / HELD).clamp(max=1)
        held = frames < ((1 - share) * accompaniment.shape[-1])[:, None]
        start = torch.where(held[:, None], accompaniment, start)
        x = add_noise(start, draws.noise, draws.alpha)
        target = self.target(
            x, draws.timesteps, conditions, draws.unconditional, InpaintMask(accompaniment, held)
        )
        predicted = model(x, draws.alpha, conditions, draws.unconditional)
        predicted = torch.where(held[:, None], target, predicted.float())
        alone = getattr(model, "module", model)
        return error_of_v(alone, predicted, target, draws.alpha).mean()

    @torch.no_grad()
    def target(
        self,
        x: Latents,
        timesteps: Num[Tensor, " batch"],
        conditions: Float[Tensor, "batch condition frame"],
        unconditional: Bool[Tensor, " batch"],
        known: InpaintMask | None = None,
    ) -> Latents:
        """The v of one step of DDIM from `x` to where the teacher arrives in `SUBSTEPS`."""
        timesteps = timesteps.float()
        goal = self.goal(timesteps)
        denoise = self._teacher(conditions, unconditional)
        path = [self._alpha(timesteps + (goal - timesteps) * step / SUBSTEPS) for step in range(SUBSTEPS + 1)]
        arrived = x
        for alpha, following in pairwise(path):
            v = denoise(arrived, alpha).float()
            x0 = x0_from_v(arrived, v, alpha)
            noise = noise_from_v(arrived, v, alpha)
            if known is not None:
                held = known.into(x0)
                noise = torch.where(
                    known.frames[:, None],
                    (arrived - alpha[:, None, None] * held) / sigma(alpha)[:, None, None],
                    noise,
                )
                x0 = held
            arrived = add_noise(x0, noise, following)
        return velocity_between(x, arrived, path[0], path[-1])

    def goal(self, timesteps: Timesteps) -> Timesteps:
        """Where the student's step from each timestep ends: the next of its levels below."""
        below = self.goals[None] < timesteps[:, None] - 0.5
        return self.goals[below.int().argmax(dim=1)].float()

    def evaluate(
        self, model: nn.Module, validation_set: ValidationSet, vocals: str = "matched", batch_size: int = 16
    ) -> ValidationMetrics:
        """As `samuel.training.objective.evaluate`, against the teacher's arrival in place of the truth."""
        return evaluate(model, validation_set, vocals, batch_size, self.target)

    def _teacher(self, conditions: Tensor, unconditional: Bool[Tensor, " batch"]) -> Denoise:
        if self.guidance.scale != 1:
            return guided(self.teacher, conditions, self.guidance)
        context = self.teacher.encode_conditions(conditions, unconditional)
        return lambda x, alpha: self.teacher.denoise(x, alpha, context)

    def _alpha(self, timesteps: Timesteps) -> Levels:
        """Between timesteps, too; 1 at -1, which is clean."""
        whole = torch.cat(
            (torch.ones(1, dtype=self.schedule.dtype, device=self.schedule.device), self.schedule)
        )
        place = (timesteps.double() + 1).clamp(0, len(self.schedule))
        low = place.floor().long()
        high = (low + 1).clamp(max=len(self.schedule))
        return torch.lerp(whole[low], whole[high], place - low).float()
