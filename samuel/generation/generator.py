"""Vocals -> accompaniment, of any length, with a trained network and the codec of its latents.

Audio is float32 (2, samples) in [-1, 1] at 44.1 kHz; latents are (64, frames) as the codec gives them, a frame
for 2048 samples. An accompaniment is as long as its vocals, and aligned to the sample.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from samuel.audio import AudioError, is_silent
from samuel.codec import Codec, load_codec
from samuel.config import FRAME_SAMPLES, LATENT_CHANNELS, SAMPLE_RATE
from samuel.diffusion import Guidance, InpaintMask, cosine_schedule, guided, sample, seeded_noise
from samuel.diffusion.sampler import rates_from
from samuel.generation.config import GenerationConfig
from samuel.generation.dynamics import at_level
from samuel.generation.regions import Region
from samuel.generation.schedule import Guides, Latents, Material, Schedule, WindowTask
from samuel.generation.windows import Window
from samuel.lanes import lanes, side_by_side
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.frames import sheet_frames
from samuel.model.conditions import GUIDE_CHANNELS
from samuel.model.precision import autocast, keep_as_multiplied
from samuel.storage import Location
from samuel.training import Trained, load_for_generation
from samuel.training.config import Student
from samuel.vocals import NORMAL_FORM, Voice, extract_features

Audio = Float[Tensor, "2 samples"]
Progress = Callable[[float], None]
"""Is told the share that is done, in [0, 1]. What it raises stops the work."""

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""The checkpoint in the package."""

SILENT_VOICE_DBFS = -90.0
"""All in all, about the rounding of 16 bits: any voice above is brought to one level, however quietly it was recorded."""

LEAST_FRAMES = 256
"""Shorter vocals are followed by silence up to here: the network was trained on nothing shorter."""


class StudentError(ValueError):
    """A distilled network was asked for what it cannot do."""


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
        trained = load_for_generation(checkpoint, device)
        keep_as_multiplied(trained.model)
        return cls(trained, load_codec(codec, device))

    @property
    def device(self) -> torch.device:
        return self.codec.device

    @property
    def guidance(self) -> Guidance:
        """Where a config leaves it open. A network that is told everything follows it without guidance."""
        alone = self.trained.model.config.plays_lead_sheets or self.trained.config.student
        return Guidance(scale=1.0) if alone else Guidance()

    def require(self, config: GenerationConfig) -> None:
        """Raises StudentError for a config that the network cannot follow."""
        require_for(self.trained.config.student, config)

    def accompany(
        self,
        vocals: Audio,
        config: GenerationConfig | None = None,
        *,
        lead_sheet: LeadSheet | None = None,
        arrangement: Audio | None = None,
        voice: Voice | None = None,
        keep: Float[Tensor, "2 kept"] | None = None,
        region: tuple[float, float] | None = None,
        progress: Progress | None = None,
    ) -> Audio:
        """The accompaniment of `vocals`, played from a `lead_sheet` and an `arrangement` of it where they are given.

        `arrangement` is as long as the vocals (`samuel.arranging.play`); how much of it stays says the config's
        strength. A network that was trained on vocals alone is told nothing of the lead sheet but what the
        arrangement has of it. `voice`: the vocals, where they were heard before (`Directed.voice`).
        With `keep`, an accompaniment made before, only `region` (from, to, in seconds) is made anew: all else
        stays to the bit, but for the fades of `Region` on each side. Without a region it goes on where `keep` ends.
        Raises ValueError for silent vocals, or a region that is not within them.
        """
        config = config or GenerationConfig()
        require_sound(vocals)
        if keep is None:
            if region is not None:
                raise ValueError("a region to make anew needs the accompaniment to keep around it")
            pieces = self.stream(
                vocals, config, progress, lead_sheet=lead_sheet, arrangement=arrangement, voice=voice
            )
            return torch.cat(list(pieces), dim=1)
        anew = Region.of(vocals.shape[-1], keep.shape[-1], region)
        kept = F.pad(keep, (0, vocals.shape[-1] - keep.shape[-1]))
        material, latents = self.prepare(vocals, lead_sheet, arrangement, voice), self.encode(kept)
        song = Schedule(material, config, vocals.shape[-1], self.codec.decoder_reach, latents, anew)
        for final in self._run(song, progress):
            audible = [piece for piece in final if anew.is_audible(*piece)]
            for (start, _), made in zip(audible, self.decode_all(song.latents, audible), strict=True):
                place = slice(start * FRAME_SAMPLES, start * FRAME_SAMPLES + made.shape[1])
                before = kept[:, place]
                before[:] = anew.blend(before, made[:, : before.shape[1]], place.start)
        return kept

    def accompany_all(
        self,
        recordings: list[Float[Tensor, "2 _"]],
        config: GenerationConfig | None = None,
        lead_sheets: list[LeadSheet | None] | None = None,
        arrangements: list[Float[Tensor, "2 _"] | None] | None = None,
        voices: list[Voice | None] | None = None,
    ) -> list[Float[Tensor, "2 _"]]:
        """The accompaniment of each recording of vocals, the windows of all denoised together."""
        config = config or GenerationConfig()
        for vocals in recordings:
            require_sound(vocals)
        nothing = [None] * len(recordings)
        given = zip(
            recordings, lead_sheets or nothing, arrangements or nothing, voices or nothing, strict=True
        )
        reach = self.codec.decoder_reach
        songs = [Schedule(self.prepare(*one), config, one[0].shape[-1], reach) for one in given]
        while going := [(song, task) for song in songs if (task := song.task()) is not None]:
            for (song, _), made in zip(going, self.sample([task for _, task in going]), strict=True):
                song.place(made)
        return [
            torch.cat(self.decode_all(song.latents, list(song.finished())), dim=1)[:, : one.shape[-1]]
            for song, one in zip(songs, recordings, strict=True)
        ]

    def stream(
        self,
        vocals: Audio,
        config: GenerationConfig | None = None,
        progress: Progress | None = None,
        *,
        lead_sheet: LeadSheet | None = None,
        arrangement: Audio | Iterator[Float[Tensor, "2 _"]] | None = None,
        voice: Voice | None = None,
    ) -> Iterator[Audio]:
        """As `accompany`, in pieces, each as soon as it is made; they follow on each other.

        Of voice and arrangement no more is encoded than a window needs; of an arrangement in blocks, as
        `Director.play_blocks` gives them, no more is played.
        """
        require_sound(vocals)
        config = config or GenerationConfig()
        samples = vocals.shape[-1]
        blocks = None
        if arrangement is not None:
            blocks = iter([whole(arrangement, vocals)]) if isinstance(arrangement, Tensor) else arrangement
        if config.strength == 0 and blocks is not None:
            yield from blocks
            return
        material, complete = self._begun(vocals, lead_sheet, blocks, voice)
        song = Schedule(material, config, samples, self.codec.decoder_reach, complete=complete)
        place = 0
        for pieces in self._run(song, progress):
            soon = (
                pieces[: lanes()] if place == 0 else []
            )  # heard at once; the others while the next window is got ready
            for some, beside in ((soon, None), (pieces[len(soon) :], song.get_ready)):
                for piece in self.decode_all(song.latents, some, beside):
                    yield piece[:, : samples - place]
                    place += piece.shape[1]

    def prepare(
        self,
        vocals: Audio,
        lead_sheet: LeadSheet | None = None,
        arrangement: Audio | None = None,
        voice: Voice | None = None,
    ) -> Material:
        """What the network is given of a recording, brought to the form that it was trained on."""
        blocks = None if arrangement is None else iter([whole(arrangement, vocals)])
        material, complete = self._begun(vocals, lead_sheet, blocks, voice)
        complete(material.vocals.shape[-1])
        return material

    def _begun(
        self,
        vocals: Audio,
        lead_sheet: LeadSheet | None,
        arrangement: Iterator[Float[Tensor, "2 _"]] | None,
        voice: Voice | None,
    ) -> tuple[Material, Callable[[int], None]]:
        """`prepare`'s material without latents, and what fills them in up to a frame."""
        normal = self.trained.config.vocals == NORMAL_FORM
        if normal:
            voice = voice or Voice(vocals)
            vocals = voice.normal
        samples = max(vocals.shape[-1], LEAST_FRAMES * FRAME_SAMPLES)
        frames = -(-samples // FRAME_SAMPLES)
        latents = torch.zeros(LATENT_CHANNELS, frames)
        arranged = None if arrangement is None else torch.zeros_like(latents)
        guides = None
        if self.trained.model.config.plays_lead_sheets:
            features = voice.features if voice and normal else extract_features(vocals)
            guides = guides_of(arranged, sheet_frames(lead_sheet, frames), features.frames(frames))
        encodings = [Filling(self.codec.encode_blocks([vocals], samples), latents)]
        if arrangement is not None and arranged is not None:
            places = [arranged] if guides is None else [arranged, guides[:LATENT_CHANNELS]]
            encodings.append(Filling(self.codec.encode_blocks(arrangement, samples), *places))

        def complete(frame: int) -> None:
            side_by_side(lambda fill: fill(frame), encodings)

        return Material(latents, arranged, guides), complete

    def encode(self, vocals: Audio) -> Latents:
        """Latents of a recording, silent at the end up to `LEAST_FRAMES` where it is shorter."""
        missing = LEAST_FRAMES * FRAME_SAMPLES - vocals.shape[-1]
        return self.codec.encode(F.pad(vocals, (0, max(0, missing)))[None])[0].cpu()

    def sample(self, tasks: list[WindowTask], progress: Progress | None = None) -> list[Latents]:
        """The latents of each task's window, held frames as they were.

        Tasks that share length, sampler, steps and guidance are denoised together on a GPU. On a CPU, where that
        would be no faster, they go one by one: so no bit depends on what else is asked for.
        """
        for task in tasks:
            self.require(task.config)
        outputs: dict[int, Latents] = {}
        done = 0

        def key(number: int) -> tuple[object, ...]:
            task = tasks[number]
            alone = number if self.device.type == "cpu" else 0
            return (task.vocals.shape[-1], task.config.sampling, task.arrangement is None, alone)

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
        (audio,) = self.decode_all(latents, [(start, stop)])
        return audio

    def decode_all(
        self, latents: Latents, pieces: Sequence[tuple[int, int]], beside: Callable[[], None] | None = None
    ) -> list[Audio]:
        """`decode` of each of these pieces, frames from and to, on a CPU side by side; `beside`: what else is done meanwhile."""

        def decoded(piece: tuple[int, int] | None) -> Audio:
            if piece is None:
                assert beside
                beside()
                return torch.zeros(2, 0)
            start, stop = piece
            reach = self.codec.decoder_reach if stop - start < latents.shape[-1] else 0
            begin = max(0, start - reach) // 2 * 2  # a codec may treat even and odd frames differently
            audio = self.codec.decode(latents[None, :, begin : stop + reach], begin)[0].cpu()
            return audio[:, (start - begin) * FRAME_SAMPLES : (stop - begin) * FRAME_SAMPLES]

        works: list[tuple[int, int] | None] = [*([None] if beside else []), *pieces]
        made = side_by_side(decoded, works) if self.device.type == "cpu" else [*map(decoded, works)]
        return made[1:] if beside else made

    def _run(self, song: Schedule, progress: Progress | None) -> Iterator[list[tuple[int, int]]]:
        """Make a song's windows in turn; yields the frames of the pieces that are final after each."""

        def tell(share: float) -> None:
            if progress:
                progress(song.share(share))

        while (task := song.task()) is not None:
            (made,) = self.sample([task], tell)
            song.place(made)
            yield list(song.finished())

    @torch.inference_mode()
    def _sample_alike(self, tasks: list[WindowTask], progress: Progress) -> list[Latents]:
        sampler, steps, scale, strength = tasks[0].config.sampling
        student = self.trained.config.student
        vocals = torch.stack([task.vocals for task in tasks]).to(self.device)
        known = torch.stack([torch.zeros_like(t.vocals) if t.known is None else t.known for t in tasks])
        frames = torch.stack([held_frames(task.window) for task in tasks])
        noise = torch.cat([noise_of(task.window, task.config.seed) for task in tasks]).to(self.device)
        statistics = self.trained.statistics
        mask = InpaintMask(
            statistics.normalize(known.to(self.device), "accompaniment"), frames.to(self.device)
        )
        start = None
        arranged = [task.arrangement for task in tasks if task.arrangement is not None]
        if arranged and strength < 1:
            start = statistics.normalize(torch.stack(arranged).to(self.device), "accompaniment")
        distilled_to = student.steps if student else None
        forwards = len(rates_from(self.schedule, steps, strength if start is not None else 1.0, distilled_to))
        done = 0

        def denoise_and_tell(x: Tensor, alpha: Tensor) -> Tensor:
            nonlocal done
            v = denoise(x, alpha)
            done += 1
            progress(done / forwards)
            return v

        with autocast(self.device):
            conditions = statistics.conditions(vocals, self._guides(tasks))
            guidance = self.guidance if scale is None else Guidance(scale=scale)
            denoise = guided(self.trained.model, conditions, guidance)
            made = sample(
                denoise_and_tell,
                noise,
                self.schedule,
                sampler=sampler,
                steps=steps,
                known=mask,
                start=start,
                strength=strength,
                distilled_to=distilled_to,
            )
        made = torch.where(frames[:, None], known, statistics.denormalize(made, "accompaniment").cpu())
        if not arranged or not (law := self.codec.gain_law):
            return list(made)
        return [at_level(*one, law) for one in zip(made, arranged, frames, strict=True)]

    def _guides(self, tasks: list[WindowTask]) -> Float[Tensor, "task guide frame"] | None:
        """For a network that is told of them; zeros, for not known, where a task has none."""
        if not self.trained.model.config.plays_lead_sheets:
            return None
        guides = [
            torch.zeros(GUIDE_CHANNELS, task.vocals.shape[-1]) if task.guides is None else task.guides
            for task in tasks
        ]
        return torch.stack(guides).to(self.device)


class Filling:
    """Latents that come, written into all `places` as far as they are asked for."""

    def __init__(self, coming: Iterator[Float[Tensor, "64 _"]], *places: Latents) -> None:
        self.coming, self.places, self.done = coming, places, 0

    def __call__(self, frame: int) -> None:
        """Up to `frame`."""
        while self.done < frame:
            latents = next(self.coming).cpu()
            stop = self.done + latents.shape[1]
            for place in self.places:
                place[:, self.done : stop] = latents
            self.done = stop


def whole(arrangement: Audio, vocals: Float[Tensor, "2 _"]) -> Audio:
    """An arrangement as it is. Raises ValueError where it is not as long as the vocals."""
    if arrangement.shape != vocals.shape:
        raise ValueError(
            f"expected an arrangement as long as the vocals, {vocals.shape[-1]} samples, "
            f"got {arrangement.shape[-1]}"
        )
    return arrangement


def guides_of(arrangement: Latents | None, sheet: np.ndarray, features: np.ndarray) -> Guides:
    """The channels of `samuel.model.conditions` after the vocals', the arrangement's as the codec gives them."""
    frames = sheet.shape[1]
    known = torch.full((1, frames), float(arrangement is not None))
    arranged = torch.zeros(LATENT_CHANNELS, frames) if arrangement is None else arrangement
    told = (arranged, known, torch.from_numpy(sheet), torch.from_numpy(features), torch.ones(1, frames))
    return torch.cat(told)


def require_for(student: Student | None, config: GenerationConfig) -> None:
    """Raises StudentError for a config that a distilled network cannot follow; any quality takes its own steps."""
    if student is None:
        return
    if config.guidance not in (None, 1.0):
        raise StudentError(
            f"this checkpoint was distilled with a guidance of {student.guidance:g} in its weights and takes no "
            f"other, got {config.guidance:g}; leave guidance out, or use the checkpoint it was distilled from"
        )
    if config.steps not in (None, student.steps):
        raise StudentError(
            f"this checkpoint was distilled to {student.steps} steps, got {config.steps}; leave steps out, or use "
            "the checkpoint it was distilled from"
        )


def require_sound(vocals: Audio) -> None:
    """Raises AudioError for vocals that nothing could accompany: none at all, or silence."""
    if is_silent(vocals, SILENT_VOICE_DBFS):
        raise AudioError(
            f"the vocals are silent: {vocals.shape[-1] / SAMPLE_RATE:.2f} s, all in all below {SILENT_VOICE_DBFS:g} dBFS; "
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
