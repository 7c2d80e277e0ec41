"""Audio <-> latents, for songs of any length, in bounded memory.

Audio is stereo at 44.1 kHz, full scale [-1, 1]. Latents have 64 channels, one frame per 2048 samples;
frame i stands for samples [2048 i, 2048 (i + 1)). They are the mean of the autoencoder's bottleneck,
neither sampled nor normalized, so encoding is deterministic.

A song longer than a piece is worked on in pieces of equal length that overlap. Each piece keeps only the
frames that its own edges cannot influence, so the result is what one pass over the whole song would give,
up to rounding. How far an edge reaches is given, or measured on the network itself when first needed.
On a CPU each piece goes by itself, as many at once as torch has threads, so that results do not depend, in a single bit,
on what else is in the batch.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from math import ceil

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from samuel.config import AUDIO_CHANNELS, FRAME_SAMPLES, LATENT_CHANNELS
from samuel.lanes import side_by_side

Network = Callable[..., Tensor]

PIECE_FRAMES = 192  # about 9 s: the Stable Audio Open VAE then needs 1.2 GB
PIECES_AT_ONCE = {"cpu": 1, "cuda": 8}
REACH_TOLERANCE = 1e-5  # of the largest output: changes below it are rounding


@dataclass(frozen=True)
class GainLaw:
    """What a gain does to latents: the sound of silence + gain ** exponent * (latents - silence) is as much louder."""

    exponent: float
    silence: Float[Tensor, "64 1"]
    power: Callable[[Float[Tensor, "batch 64 frames"]], Float[Tensor, "batch frames"]]
    """About the mean square of the sound of each frame, but for a constant factor."""

    def amplified(
        self, latents: Float[Tensor, "64 frames"], gains: Float[Tensor, " frames"]
    ) -> Float[Tensor, "64 frames"]:
        """`gains` are factors of amplitude, 1 for no change; they should change slowly."""
        return self.silence + gains**self.exponent * (latents - self.silence)


class Codec:
    """An autoencoder and where it runs.

    `encoder` maps (batch, 2, 2048 n) to (batch, 64, n), `decoder` back; both must be deterministic. A decoder that
    `counts_frames` takes a second argument, (batch,): the place in the song of the first frame.
    `identity` is name@hash of the weights that make latents: those of different identities must not be mixed.
    `decoding` names what makes sound of latents, for audio that is kept: it changes with the decoder, where `identity`
    stays and latents stay good.
    `parameters` is how many the networks have. `power` and `gain_exponent`: of its `GainLaw`, where it has one.
    On CUDA the networks run in half precision, under autocast; results are float32 all the same.
    """

    def __init__(
        self,
        encoder: Network,
        decoder: Network,
        identity: str,
        device: torch.device | str,
        piece_frames: int = PIECE_FRAMES,
        reach: dict[str, int] | None = None,
        perceptual_weight: Callable[[], Float[Tensor, " 64"]] | None = None,
        parameters: int = 0,
        counts_frames: bool = False,
        decoding: str = "",
        power: Callable[[Tensor], Tensor] | None = None,
        gain_exponent: float = 1.0,
    ):
        self.encoder, self.decoder, self.identity = encoder, decoder, identity
        self.device = torch.device(device)
        self.piece_frames = piece_frames
        self.parameters = parameters
        self.counts_frames = counts_frames
        self.decoding = decoding or identity
        self._reach = dict(reach or {})
        self._perceptual_weight = perceptual_weight
        self._power, self._gain_exponent = power, gain_exponent

    @torch.no_grad()
    def encode(self, audio: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch 64 frames"]:
        """Latents, float32, on the codec's device; frames = ceil(samples / 2048), the last one zero-padded."""
        if audio.shape[-1] == 0:
            raise ValueError("expected audio to encode, received 0 samples; leave empty songs out")
        frames = ceil(audio.shape[-1] / FRAME_SAMPLES)
        audio = F.pad(audio, (0, frames * FRAME_SAMPLES - audio.shape[-1]))
        reach = self.encoder_reach if frames > self.piece_frames else 0
        return self._in_pieces(self._encoded, audio, FRAME_SAMPLES, 1, reach)

    def encode_blocks(
        self, blocks: Iterable[Float[Tensor, "2 _"]], samples: int
    ) -> Iterator[Float[Tensor, "64 _"]]:
        """As `encode` of one song of so many samples, whose audio comes in blocks: latents as soon as they are sure.

        The same bits. Where the blocks end early there is silence.
        """
        frames = ceil(samples / FRAME_SAMPLES)
        reach = self.encoder_reach if frames > self.piece_frames else 0
        places = [(0, start, end) for start, end in pieces_of(frames, self.piece_frames, reach)]
        coming = iter(blocks)
        held, begin, done = torch.zeros(AUDIO_CHANNELS, 0), 0, 0
        for group in _groups(places, PIECES_AT_ONCE.get(self.device.type, 1)):
            first, last = group[0][1], group[-1][2]
            parts = [held[:, first * FRAME_SAMPLES - begin :]]
            missing = (last - first) * FRAME_SAMPLES - parts[0].shape[1]
            while missing > 0:
                block = next(coming, None)
                parts.append(torch.zeros(AUDIO_CHANNELS, missing) if block is None else block)
                missing -= parts[-1].shape[1]
            held, begin = torch.cat(parts, dim=1) if parts[1:] else parts[0], first * FRAME_SAMPLES
            inputs = [held[:, s * FRAME_SAMPLES - begin : e * FRAME_SAMPLES - begin] for _, s, e in group]
            with torch.no_grad():
                encoded = self._run(self._encoded, torch.stack(inputs), [start for _, start, _ in group])
            for (_, start, end), latents in zip(group, encoded, strict=True):
                sure = end if end == frames else end - reach
                yield latents[:, done - start : sure - start]
                done = sure

    @torch.no_grad()
    def decode(
        self, latents: Float[Tensor, "batch 64 frames"], first_frame: int = 0
    ) -> Float[Tensor, "batch 2 samples"]:
        """Audio, float32, samples = 2048 frames, on the codec's device.

        `first_frame` is the place in the song of the first frame given: parts of a song that are decoded apart
        fit together where each says which it is.
        """
        if latents.shape[-1] == 0:
            raise ValueError("expected latents to decode, received 0 frames")
        reach = self.decoder_reach if latents.shape[-1] > self.piece_frames else 0
        return self._in_pieces(self._decoded, latents, 1, FRAME_SAMPLES, reach, first_frame)

    @property
    def encoder_reach(self) -> int:
        """How many frames away a change of the audio still changes a latent."""
        if "encoder" not in self._reach:
            noise = torch.randn(1, AUDIO_CHANNELS, self.piece_frames * FRAME_SAMPLES, generator=_generator())
            self._reach["encoder"] = self._measure_reach(self._encoded, 0.1 * noise, FRAME_SAMPLES, 1)
        return self._reach["encoder"]

    @property
    def decoder_reach(self) -> int:
        """How many frames away a change of a latent still changes the audio."""
        if "decoder" not in self._reach:
            noise = torch.randn(1, LATENT_CHANNELS, self.piece_frames, generator=_generator())
            self._reach["decoder"] = self._measure_reach(self._decoded, noise, 1, FRAME_SAMPLES)
        return self._reach["decoder"]

    @property
    def perceptual_weight(self) -> Float[Tensor, " 64"] | None:
        """How much a unit of each latent changes the sound, 1 on average; None where the codec does not tell."""
        return self._perceptual_weight() if self._perceptual_weight else None

    @cached_property
    def gain_law(self) -> GainLaw | None:
        """None where the codec does not tell."""
        if self._power is None:
            return None
        silence = self.encode(torch.zeros(1, AUDIO_CHANNELS, self.piece_frames * FRAME_SAMPLES))
        middle = silence.shape[-1] // 2
        return GainLaw(self._gain_exponent, silence[0, :, middle : middle + 1].cpu(), self._power_of)

    @torch.no_grad()
    def _power_of(self, latents: Tensor) -> Tensor:
        assert self._power
        return self._power(latents.to(self.device)).cpu()

    def _encoded(self, audio: Tensor, first: Int[Tensor, " batch"]) -> Tensor:
        return self.encoder(audio)

    def _decoded(self, latents: Tensor, first: Int[Tensor, " batch"]) -> Tensor:
        return self.decoder(latents, first) if self.counts_frames else self.decoder(latents)

    def _run(self, network: Network, x: Tensor, first: list[int]) -> Tensor:
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            return network(x.to(self.device, torch.float32), torch.tensor(first, device=self.device)).float()

    def _in_pieces(
        self, network: Network, x: Tensor, samples_in: int, samples_out: int, reach: int, first_frame: int = 0
    ) -> Tensor:
        """`network` over (batch, channels, frames * samples_in), a few pieces at a time."""
        frames = x.shape[-1] // samples_in
        places = [
            (song, start, end)
            for song in range(x.shape[0])
            for start, end in pieces_of(frames, self.piece_frames, reach)
        ]
        groups = list(_groups(places, PIECES_AT_ONCE.get(self.device.type, 1)))

        @torch.no_grad()  # of this thread alone
        def run(group: list[tuple[int, int, int]]) -> Tensor:
            inputs = [x[song, :, start * samples_in : end * samples_in] for song, start, end in group]
            return self._run(network, torch.stack(inputs), [first_frame + start for _, start, _ in group])

        results = side_by_side(run, groups) if self.device.type == "cpu" else [*map(run, groups)]
        kept: list[list[Tensor]] = [[] for _ in range(x.shape[0])]
        for group, made in zip(groups, results, strict=True):
            for (song, start, end), result in zip(group, made, strict=True):
                done = sum(part.shape[-1] for part in kept[song]) // samples_out
                sure = end if end == frames else end - reach
                kept[song].append(result[:, (done - start) * samples_out : (sure - start) * samples_out])
        return torch.stack([torch.cat(parts, dim=-1) for parts in kept])

    @torch.no_grad()
    def _measure_reach(self, network: Network, noise: Tensor, samples_in: int, samples_out: int) -> int:
        """Change one half of the input and see how far into the other half the output changes, in frames."""
        middle = self.piece_frames // 2
        left, right = noise.clone(), noise.clone()
        left[..., : middle * samples_in] *= -1
        right[..., middle * samples_in :] *= -1
        whole = self._run(network, noise, [0])
        reach = 0
        for changed, untouched in ((left, slice(middle, None)), (right, slice(None, middle))):
            difference = (self._run(network, changed, [0]) - whole).abs().amax(dim=(0, 1))
            by_frame = difference.reshape(-1, samples_out).amax(dim=1)[untouched]
            touched = (by_frame > REACH_TOLERANCE * whole.abs().max()).nonzero().flatten()
            if len(touched):
                distance = touched + 1 if untouched.start else middle - touched
                reach = max(reach, int(distance.max()))
        if 3 * reach > self.piece_frames:
            raise ValueError(
                f"{self.identity}: one frame reaches {reach} frames of a {self.piece_frames}-frame piece; "
                "this autoencoder sees too far to be run in pieces: pass a larger piece_frames"
            )
        return reach + 1


def pieces_of(frames: int, piece: int, reach: int) -> list[tuple[int, int]]:
    """First and past-the-last frames of pieces that cover `frames`, overlapping by 2 `reach` frames or more.

    Pieces are `piece` long, the last of them a frame longer where `frames` asks for it: every piece starts on
    an even frame, because a network may treat even and odd frames differently.
    """
    if frames <= piece:
        return [(0, frames)]
    hop = (piece - 2 * reach) // 2 * 2
    starts = [*range(0, frames - piece, hop), (frames - piece) // 2 * 2]
    if len(starts) > 1 and starts[-1] == starts[-2]:  # one frame was left over
        starts.pop()
    return [(start, start + piece) for start in starts[:-1]] + [(starts[-1], frames)]


def _groups(places: list[tuple[int, int, int]], size: int) -> Iterator[list[tuple[int, int, int]]]:
    """Neighbouring places of the same length, at most `size` together."""
    for _, alike in groupby(places, key=lambda place: place[2] - place[1]):
        while group := list(islice(alike, size)):
            yield group


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
