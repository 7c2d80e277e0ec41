"""Vocals -> accompaniment, of any length, with a trained network and the codec of its latents.

Audio is float32 (2, samples) in [-1, 1] at 44.1 kHz; latents are (64, frames) as the codec gives them, a frame
for 2048 samples. An accompaniment is as long as its vocals, and aligned to the sample.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from samuel.audio import SILENCE_DBFS, AudioError, is_silent
from samuel.codec import Codec, load_codec
from samuel.config import FRAME_SAMPLES, LATENT_CHANNELS, SAMPLE_RATE
from samuel.diffusion import Guidance, Hold, cosine_schedule, guided, sample, seeded_noise
from samuel.generation.recipe import Recipe
from samuel.generation.windows import Window, plan_windows
from samuel.precision import autocast
from samuel.storage import Location
from samuel.training import Trained, load_for_generation

Audio = Float[Tensor, "2 samples"]
Latents = Float[Tensor, "64 frames"]
Progress = Callable[[float], None]
"""Is told the share that is done, in [0, 1]. What it raises stops the work."""

FADE_SECONDS = 0.05

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""The checkpoint in the package."""

STREAMED_FRAMES = 150
"""What is decoded at a time, 7 s: with mini's reach on both sides it is one piece of the codec."""

LEAST_FRAMES = 256
"""Shorter vocals are followed by silence up to here: the network was trained on nothing shorter."""


@dataclass(frozen=True)
class WindowTask:
    """One window to denoise. `known` holds the song's latents so far there; only its held frames matter."""

    vocals: Latents
    known: Latents | None
    window: Window
    recipe: Recipe


class Generator:
    """A trained network, its statistics, and a codec. Keeps no state between calls."""

    def __init__(self, trained: Trained, codec: Codec):
        if trained.codec != codec.identity:
            raise ValueError(
                f"the checkpoint was trained on latents of the codec {trained.codec}, but the codec given is "
                f"{codec.identity}; pass the codec that it was trained with"
            )
        self.trained, self.codec = trained, codec
        self.schedule = cosine_schedule()

    @classmethod
    def load(
        cls, checkpoint: Location = PRETRAINED, codec: str = "mini", device: str | torch.device = "cpu"
    ) -> "Generator":
        """A checkpoint, or the best of a run; local or on S3. Raises ValueError, saying what to do."""
        return cls(load_for_generation(checkpoint, device), load_codec(codec, device))

    @property
    def device(self) -> torch.device:
        return self.codec.device

    def accompany(
        self,
        vocals: Audio,
        recipe: Recipe | None = None,
        *,
        keep: Float[Tensor, "2 kept"] | None = None,
        region: tuple[float, float] | None = None,
        progress: Progress | None = None,
    ) -> Audio:
        """The accompaniment of `vocals`.

        With `keep`, an accompaniment made before, only `region` (from, to, in seconds) is made anew: all else
        stays to the bit, but for `FADE_SECONDS` on each side. Without a region it goes on where `keep` ends.
        Raises ValueError for silent vocals, or a region that is not within them.
        """
        recipe = recipe or Recipe()
        require_sound(vocals)
        if keep is None:
            if region is not None:
                raise ValueError("a region to make anew needs the accompaniment to keep around it")
            return torch.cat(list(self.stream(vocals, recipe, progress)), dim=1)
        first, last = _region_samples(vocals.shape[-1], keep.shape[-1], region)
        kept = F.pad(keep, (0, vocals.shape[-1] - keep.shape[-1]))
        latents, canvas = self.encode(vocals), self.encode(kept)
        frames = first // FRAME_SAMPLES, -(-last // FRAME_SAMPLES)
        for _ in self._fill(latents, canvas, plan_windows(latents.shape[-1], frames), recipe, progress):
            pass
        fade = round(FADE_SECONDS * SAMPLE_RATE)
        begin, end = max(0, first - fade), min(vocals.shape[-1], last + fade)
        start, stop = begin // FRAME_SAMPLES, -(-end // FRAME_SAMPLES)
        made = self.decode(canvas, start, stop)[:, begin - start * FRAME_SAMPLES :][:, : end - begin]
        share = torch.ones(end - begin)  # of what is made anew; powers add up to 1, as the two are unlike
        if first > 0:
            share[: first - begin] = torch.linspace(0, 1, first - begin)
        if last < vocals.shape[-1]:
            share[last - begin :] = torch.linspace(1, 0, end - last)
        angle = share * (torch.pi / 2)
        kept[:, begin:end] = angle.sin() * made + angle.cos() * kept[:, begin:end]
        return kept

    def accompany_all(
        self, recordings: list[Float[Tensor, "2 _"]], recipe: Recipe | None = None
    ) -> list[Float[Tensor, "2 _"]]:
        """The accompaniment of each recording of vocals, the windows of all denoised together."""
        recipe = recipe or Recipe()
        for vocals in recordings:
            require_sound(vocals)
        latents = [self.encode(vocals) for vocals in recordings]
        canvases = [torch.zeros_like(one) for one in latents]
        plans = [plan_windows(one.shape[-1]) for one in latents]
        for turn in range(max(map(len, plans), default=0)):
            songs = [song for song, plan in enumerate(plans) if turn < len(plan)]
            tasks = [task_at(latents[song], canvases[song], plans[song][turn], recipe) for song in songs]
            for song, task, made in zip(songs, tasks, self.sample(tasks), strict=True):
                canvases[song][:, task.window.start : task.window.stop] = made
        return [self.decode(c)[:, : v.shape[-1]] for c, v in zip(canvases, recordings, strict=True)]

    def stream(
        self, vocals: Audio, recipe: Recipe | None = None, progress: Progress | None = None
    ) -> Iterator[Audio]:
        """The accompaniment of `vocals` in pieces, each as soon as it is made; they follow on each other."""
        require_sound(vocals)
        latents = self.encode(vocals)
        canvas = torch.zeros_like(latents)
        frames, samples, decoded = latents.shape[-1], vocals.shape[-1], 0
        for made in self._fill(latents, canvas, plan_windows(frames), recipe or Recipe(), progress):
            sure = frames if made == frames else made - self.codec.decoder_reach
            while decoded < sure and decoded * FRAME_SAMPLES < samples:
                following = min(decoded + STREAMED_FRAMES, sure)
                piece = self.decode(canvas[:, :made], decoded, following)
                yield piece[:, : samples - decoded * FRAME_SAMPLES]
                decoded = following

    def encode(self, vocals: Audio) -> Latents:
        """Latents of a recording, silent at the end up to `LEAST_FRAMES` where it is shorter."""
        missing = LEAST_FRAMES * FRAME_SAMPLES - vocals.shape[-1]
        return self.codec.encode(F.pad(vocals, (0, max(0, missing)))[None])[0].cpu()

    def sample(self, tasks: list[WindowTask], progress: Progress | None = None) -> list[Latents]:
        """The latents of each task's window, held frames as they were.

        Tasks that share length, sampler, steps and guidance are denoised together on a GPU. On a CPU, where that
        would be no faster, they go one by one: so no bit depends on what else is asked for.
        """
        outputs: dict[int, Latents] = {}
        done = 0

        def key(number: int) -> tuple[object, ...]:
            task = tasks[number]
            return (task.vocals.shape[-1], task.recipe.sampling, number if self.device.type == "cpu" else 0)

        for _, group in groupby(sorted(range(len(tasks)), key=key), key=key):
            numbers = list(group)
            share = len(numbers) / len(tasks)

            def tell(steps_done: float, before: float = done / len(tasks), share: float = share) -> None:
                if progress:
                    progress(before + steps_done * share)

            outputs.update(
                zip(numbers, self._sample_alike([tasks[one] for one in numbers], tell), strict=True)
            )
            done += len(numbers)
        return [outputs[number] for number in range(len(tasks))]

    def decode(self, latents: Latents, start: int = 0, stop: int | None = None) -> Audio:
        """The audio of frames `start` to `stop`; the frames around them shape its ends."""
        stop = latents.shape[-1] if stop is None else stop
        reach = self.codec.decoder_reach if stop - start < latents.shape[-1] else 0
        begin = max(0, start - reach) // 2 * 2  # a codec may treat even and odd frames differently
        audio = self.codec.decode(latents[None, :, begin : stop + reach])[0].cpu()
        return audio[:, (start - begin) * FRAME_SAMPLES : (stop - begin) * FRAME_SAMPLES]

    def _fill(
        self,
        vocals: Latents,
        canvas: Latents,
        windows: list[Window],
        recipe: Recipe,
        progress: Progress | None,
    ) -> Iterator[int]:
        """Make the windows of `canvas` in turn; yields how many frames are final after each."""
        for number, window in enumerate(windows):

            def tell(share: float, number: int = number) -> None:
                if progress:
                    progress((number + share) / len(windows))

            (made,) = self.sample([task_at(vocals, canvas, window, recipe)], tell)
            canvas[:, window.start : window.stop] = made
            yield window.stop - window.held_after

    @torch.inference_mode()
    def _sample_alike(self, tasks: list[WindowTask], progress: Progress) -> list[Latents]:
        sampler, steps, scale = tasks[0].recipe.sampling
        vocals = torch.stack([task.vocals for task in tasks]).to(self.device)
        known = torch.stack([torch.zeros_like(t.vocals) if t.known is None else t.known for t in tasks])
        frames = torch.stack([held_frames(task.window) for task in tasks])
        noise = torch.cat([noise_of(task.window, task.recipe.seed) for task in tasks]).to(self.device)
        statistics = self.trained.statistics
        hold = Hold(statistics.normalize(known.to(self.device), "accompaniment"), frames.to(self.device))
        vocals = statistics.normalize(vocals, "vocals")
        done = 0

        def denoise_and_tell(x: Tensor, signal: Tensor) -> Tensor:
            nonlocal done
            v = denoise(x, signal)
            done += 1
            progress(done / steps)
            return v

        with autocast(self.device):
            denoise = guided(self.trained.model, vocals, Guidance(scale=scale))
            made = sample(denoise_and_tell, noise, self.schedule, sampler=sampler, steps=steps, hold=hold)
        made = statistics.denormalize(made, "accompaniment").cpu()
        return list(torch.where(frames[:, None], known, made))


def task_at(vocals: Latents, canvas: Latents, window: Window, recipe: Recipe) -> WindowTask:
    """The task of a window, from the latents of the whole vocals and those made so far."""
    place = slice(window.start, window.stop)
    return WindowTask(vocals[:, place], canvas[:, place], window, recipe)


def require_sound(vocals: Audio) -> None:
    """Raises AudioError for vocals that nothing could accompany: none at all, or silence."""
    if is_silent(vocals):
        raise AudioError(
            f"the vocals are silent: {vocals.shape[-1] / SAMPLE_RATE:.2f} s, all in all below {SILENCE_DBFS:g} dBFS; "
            "check the recording"
        )


def held_frames(window: Window) -> Bool[Tensor, " frame"]:
    """Which frames of a window are known before it is made."""
    held = torch.zeros(window.stop - window.start, dtype=torch.bool)
    held[: window.held] = True
    held[len(held) - window.held_after :] = True
    return held


def noise_of(window: Window, seed: int) -> Float[Tensor, "1 64 frames"]:
    """The noise a window starts from: a function of the seed and of its place in the song."""
    (mixed,) = np.random.SeedSequence((seed, window.start)).generate_state(1, np.uint64)
    return seeded_noise((1, LATENT_CHANNELS, window.stop - window.start), int(mixed) >> 1)


def _region_samples(vocals: int, keep: int, region: tuple[float, float] | None) -> tuple[int, int]:
    """First and past-the-last sample to make anew; all lengths in samples."""
    if keep > vocals:
        raise ValueError(
            f"the accompaniment to keep has {keep / SAMPLE_RATE:.2f} s, its vocals only {vocals / SAMPLE_RATE:.2f} s"
        )
    if region is None:
        if keep == vocals:
            raise ValueError(
                "the accompaniment to keep is as long as the vocals; say which region to make anew"
            )
        return keep, vocals
    first, last = (min(vocals, round(second * SAMPLE_RATE)) for second in region)
    if not 0 <= first < last:
        raise ValueError(
            f"expected a region within the {vocals / SAMPLE_RATE:.2f} s of the vocals, "
            f"got {region[0]:g} to {region[1]:g} s"
        )
    if keep < (vocals if last < vocals else first):
        raise ValueError(
            f"the accompaniment to keep ends at {keep / SAMPLE_RATE:.2f} s, but the region leaves "
            f"more of it than that; end the region with the vocals, at {vocals / SAMPLE_RATE:.2f} s"
        )
    return first, last
