"""Systems that make accompaniments, ours and others', behind one call: what is compared in one run.

A system is named in one word, with a place for its weights after an @ where the default is not wanted:

- `samuel`: this package's, from the vocals (a checkpoint or run; default: the one in the package);
- `musicgen-small`, `-medium`, `-large`: MusicGen (Copet et al. 2023) through transformers, from a prompt;
- `musicgen-melody`: from a prompt and the chroma of the vocals;
- `stable-audio-open`: Stable Audio Open (Evans et al. 2024) through diffusers, from a prompt; gated on the hub.

Weights come from the hub or a local folder in the hub's layout. (Jukebox is no longer kept up: give its samples.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.audio import resample
from samuel.config import SAMPLE_RATE
from samuel.evaluation.aesthetics import WeightsError
from samuel.evaluation.hub import only_here
from samuel.generation import PRETRAINED, GenerationConfig, Generator

PROMPT = "pop song, instrumental accompaniment with drums, bass, guitar and keyboards, no vocals"
"""For tracks without a prompt of their own."""

MUSICGEN_SECONDS = 30.0  # its training length: longer music is made in turns
MUSICGEN_CONTEXT_SECONDS = 10.0
MELODY_FADE_SECONDS = 0.5
GUIDANCE = 3.0  # MusicGen's own default
STABLE_AUDIO_SECONDS = 47.0  # its longest; more is refused


@dataclass(frozen=True)
class Task:
    """What to make: as long as the vocals, which text-driven systems do not hear otherwise."""

    vocals: Float[Tensor, "2 samples"]
    prompt: str = PROMPT
    seed: int = 0


@runtime_checkable
class System(Protocol):
    """A loaded system. The same task gives the same accompaniment on the same machine."""

    parameters: int
    """Of all networks that run, codec and text encoder included."""
    conditioning: str
    """What it hears: vocals, text."""

    def generate(self, task: Task) -> Float[Tensor, "2 samples"]:
        """An accompaniment as long as the vocals, float32 stereo at 44.1 kHz in [-1, 1]."""
        ...


class Samuel:
    """This package's own generator, at its standard quality."""

    conditioning = "vocals"

    def __init__(self, weights: str, device: str) -> None:
        self.generator = Generator.load(weights, device=device)
        self.parameters = count_parameters([self.generator.trained.model]) + self.generator.codec.parameters

    def generate(self, task: Task) -> Float[Tensor, "2 samples"]:
        return self.generator.accompany(task.vocals, GenerationConfig(seed=task.seed))


class MusicGen:
    """From a prompt; music of more than 30 s goes on from the last 10 s of what there is."""

    conditioning = "text"
    kind = "MusicgenForConditionalGeneration"
    """Of the library's classes, the one whose weights these are."""

    def __init__(self, weights: str, device: str) -> None:
        import transformers

        self.device = torch.device(device)
        here = only_here(weights)
        self.processor = transformers.AutoProcessor.from_pretrained(weights, local_files_only=here)
        loaded: Any = getattr(transformers, self.kind).from_pretrained(weights, local_files_only=here)
        self.model = loaded.to(self.device).eval()
        self.parameters = count_parameters([self.model])
        self.rate = int(self.model.config.audio_encoder.sampling_rate)
        self.token_rate = self.model.config.audio_encoder.frame_rate
        self.delay = self.model.decoder.num_codebooks  # each codebook lags a token behind the one before

    @torch.inference_mode()
    def generate(self, task: Task) -> Float[Tensor, "2 samples"]:
        torch.manual_seed(task.seed)
        wanted = -(-task.vocals.shape[1] * self.rate // SAMPLE_RATE)
        made = self._go_on(task.prompt, None, wanted)
        while made.shape[1] < wanted:
            context = made[:, -round(MUSICGEN_CONTEXT_SECONDS * self.rate) :]
            new = self._go_on(task.prompt, context, wanted - made.shape[1])
            made = torch.cat([made, new], dim=1)
        return stereo(made[:, :wanted], self.rate, task.vocals.shape[1])

    def _go_on(self, prompt: str, context: Tensor | None, wanted: int) -> Float[Tensor, "channel samples"]:
        """Up to 30 s, context included; returns what is new."""
        sound = {} if context is None else {"audio": context[0].cpu().numpy(), "sampling_rate": self.rate}
        inputs = self.processor(text=[prompt], padding=True, return_tensors="pt", **sound).to(self.device)
        known = 0 if context is None else context.shape[1]
        room = MUSICGEN_SECONDS - known / self.rate
        tokens = ceil(min(room, wanted / self.rate) * self.token_rate) + self.delay
        sampled = self.model.generate(
            **inputs, do_sample=True, guidance_scale=GUIDANCE, max_new_tokens=tokens
        )
        new = sampled[0].float().cpu()[:, known:]
        if not new.shape[1]:
            raise ValueError(
                "MusicGen went no further than its context; is this a MusicGen of another codec?"
            )
        return new


class MusicGenMelody(MusicGen):
    """From a prompt and the chroma of the vocals, in turns of 30 s that are cross-faded: it takes no context."""

    conditioning = "vocals, text"
    kind = "MusicgenMelodyForConditionalGeneration"

    @torch.inference_mode()
    def generate(self, task: Task) -> Float[Tensor, "2 samples"]:
        torch.manual_seed(task.seed)
        voice = resample(task.vocals, SAMPLE_RATE, self.rate).mean(dim=0)
        size, fade = (round(seconds * self.rate) for seconds in (MUSICGEN_SECONDS, MELODY_FADE_SECONDS))
        made = torch.zeros(1, 0)
        while made.shape[1] < len(voice):
            start = max(0, made.shape[1] - fade)
            new = self._turn(task.prompt, voice[start : start + size])
            made = cross_fade(made, new, made.shape[1] - start)
        return stereo(made[:, : len(voice)], self.rate, task.vocals.shape[1])

    def _turn(self, prompt: str, voice: Float[Tensor, " samples"]) -> Float[Tensor, "channel samples"]:
        inputs = self.processor(
            audio=voice.numpy(), sampling_rate=self.rate, text=[prompt], padding=True, return_tensors="pt"
        ).to(self.device)
        tokens = ceil(len(voice) / self.rate * self.token_rate) + self.delay
        sampled = self.model.generate(
            **inputs, do_sample=True, guidance_scale=GUIDANCE, max_new_tokens=tokens
        )
        made = sampled[0].float().cpu()
        return torch.nn.functional.pad(made, (0, max(0, len(voice) - made.shape[1])))[:, : len(voice)]


class StableAudioOpen:
    """From a prompt, 47 s at the most."""

    conditioning = "text"

    def __init__(self, weights: str, device: str) -> None:
        from diffusers import StableAudioPipeline

        dtype = torch.float16 if device == "cuda" else torch.float32
        loaded: Any = StableAudioPipeline.from_pretrained(
            weights, torch_dtype=dtype, local_files_only=only_here(weights)
        )
        self.pipeline = loaded.to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.device = device
        networks = [one for one in self.pipeline.components.values() if isinstance(one, torch.nn.Module)]
        self.parameters = count_parameters(networks)

    def generate(self, task: Task) -> Float[Tensor, "2 samples"]:
        seconds = task.vocals.shape[1] / SAMPLE_RATE
        made = self.pipeline(
            task.prompt,
            audio_end_in_s=min(seconds, STABLE_AUDIO_SECONDS),
            generator=torch.Generator(self.device).manual_seed(task.seed),
        ).audios[0]
        return stereo(made.float().cpu(), self.pipeline.vae.sampling_rate, task.vocals.shape[1])


SYSTEMS: dict[str, tuple[Callable[[str, str], System], str]] = {
    "samuel": (Samuel, str(PRETRAINED)),
    "musicgen-small": (MusicGen, "facebook/musicgen-small"),
    "musicgen-medium": (MusicGen, "facebook/musicgen-medium"),
    "musicgen-large": (MusicGen, "facebook/musicgen-large"),
    "musicgen-melody": (MusicGenMelody, "facebook/musicgen-melody"),
    "stable-audio-open": (StableAudioOpen, "stabilityai/stable-audio-open-1.0"),
}


def check_name(name: str) -> None:
    """Raises ValueError unless it names a system, with or without @weights."""
    if name.partition("@")[0] not in SYSTEMS:
        raise ValueError(f"expected a system among {', '.join(SYSTEMS)}, or SYSTEM@WEIGHTS; got {name!r}")


def weights_of(name: str) -> str:
    """Where a system's weights are: a folder, or a name on the hub."""
    word, _, weights = name.partition("@")
    return weights or SYSTEMS[word][1]


def load_system(name: str, device: str = "cpu") -> System:
    """Load a system by its name (`SYSTEM` or `SYSTEM@WEIGHTS`). Raises ValueError and WeightsError."""
    check_name(name)
    word, weights = name.partition("@")[0], weights_of(name)
    try:
        return SYSTEMS[word][0](weights, device)
    except ImportError as error:
        raise WeightsError(
            f"{word} needs a package that is not installed: {error}; uv sync --group baselines"
        ) from error
    except OSError as error:  # the hub's clients say so for whatever cannot be had
        first_line = next(iter(str(error).splitlines()), "")
        raise WeightsError(
            f"the weights of {word} cannot be had from {weights}: {first_line} Expected the hub to be "
            f"reachable (HF_TOKEN for gated weights) or a local folder in its layout, as {word}@FOLDER"
        ) from error


def count_parameters(modules: list[torch.nn.Module]) -> int:
    """Of all modules together, each parameter once."""
    parameters = {id(one): one.numel() for module in modules for one in module.parameters()}
    return sum(parameters.values())


def stereo(made: Float[Tensor, "channel samples"], rate: int, samples: int) -> Float[Tensor, "2 wanted"]:
    """Mono or stereo at `rate` as clipped stereo of `samples` at 44.1 kHz; what is missing at the end is silent."""
    audio = resample(made, rate, SAMPLE_RATE)[:, :samples].expand(2, -1).clamp(-1, 1)
    return torch.nn.functional.pad(audio, (0, samples - audio.shape[1]))


def cross_fade(
    first: Float[Tensor, "channel m"], second: Float[Tensor, "channel n"], overlap: int
) -> Float[Tensor, "channel joined"]:
    """The end of one into the beginning of the other, with constant power."""
    angle = torch.linspace(0, torch.pi / 2, overlap) if overlap else torch.zeros(0)
    begin = first.shape[1] - overlap
    joint = angle.cos() * first[:, begin:] + angle.sin() * second[:, :overlap]
    return torch.cat([first[:, :begin], joint, second[:, overlap:]], dim=1)
