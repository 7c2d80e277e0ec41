"""`mini`: the small codec that comes with the package. 44.1 kHz stereo, 64 latents a 2048-sample frame.

A latent frame tells the decoder magnitudes, not a waveform. The encoder measures what hearing goes by, as
amplitudes to the power 0.3: the mid channel in pitch bands over long windows, where chords are told apart;
its envelope in coarse bands four times a frame; the side channel in coarse bands. A linear map (the 64
leading principal components) with a residual network around it makes latents of about zero mean and unit
variance. The decoder maps latents, linearly and with a residual network, to the magnitudes of a spectrum
fine in frequency and one fine in time. The first becomes sound: with Griffin-Lim's phases up to 5.5 kHz, where a
spectrum a quarter as wide does, and above, where bands are wide, as a noise with these magnitudes; below 220 Hz, where its
bins are wider than semitones, with the oscillators of `bass`, where the codec has them. The second
then shapes the result's envelope. The side channel is made of the mid's spectrum, turned by a quarter.

Layers work on (batch, frame, channel); the encoder's and decoder's outer shapes are (batch, channel, frame).
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from samuel.codec import phases, spectra
from samuel.codec.bass import BassHead
from samuel.config import FRAME_SAMPLES, LATENT_CHANNELS, SAMPLE_RATE

POWER = 0.3  # Stevens' exponent of loudness (for amplitudes about 0.6) halved: best of 0.2, 0.3, 0.5 and log

PITCH_WINDOW = 8192  # tells semitones apart from 100 Hz up
ENVELOPE_WINDOW, ENVELOPE_HOP = 1024, 512
SIDE_WINDOW = 4096
FINE_WINDOW, FINE_HOP = 4096, 1024
FINE_BINS = 512  # single bins up to 5.5 kHz, bands above
LOW_RATE = 4  # bins up to there are those of audio with a quarter of the samples
DECODER_REVISION = 3
"""Goes up with every change of how latents become sound: audio that was decoded and kept is then not this decoder's."""
ENVELOPE_GAIN = 4.0  # at most this much louder or softer when the envelope is shaped

# How much a unit of error counts beside the fine spectrum's 1.
ENVELOPE_WEIGHT = 0.4
SIDE_WEIGHT = 0.2


@dataclass(frozen=True)
class MiniConfig:
    """Sizes of the two residual networks; `context` is how many frames the linear decoder sees each way."""

    encoder_width: int = 192
    encoder_blocks: int = 3
    decoder_width: int = 320
    decoder_blocks: int = 4
    context: int = 4
    phase_iterations: int = 12


class Targets(NamedTuple):
    """Amplitudes to the power 0.3 that the decoder predicts."""

    fine: Float[Tensor, "batch frames fine"]
    envelope: Float[Tensor, "batch frames envelope"]
    side: Float[Tensor, "batch frames side"]


def pitch_bands() -> Tensor:
    """Quarter tones up to 2.5 kHz (or bins, where those are wider), then tenths of an octave."""
    low = spectra.log_axis(PITCH_WINDOW, 50.0, 2500.0, 24.0)
    high = spectra.log_axis(PITCH_WINDOW, low[-1] * 2 ** (1 / 10), 20_000.0, 10.0)
    return spectra.triangles(low + high, PITCH_WINDOW)


def envelope_bands() -> Tensor:
    return spectra.triangles(
        [*spectra.log_axis(ENVELOPE_WINDOW, 60.0, 21_000.0, 5.0), 22_000.0], ENVELOPE_WINDOW
    )


def side_bands() -> Tensor:
    axis = [*spectra.log_axis(SIDE_WINDOW, 60.0, 21_000.0, 4.0, min_bins=2.0), 22_000.0]
    return spectra.triangles(axis, SIDE_WINDOW)


def fine_bands() -> Tensor:
    """Every bin up to 5.5 kHz, then 24 bands an octave."""
    bin_width = SAMPLE_RATE / FINE_WINDOW
    single = torch.eye(FINE_BINS, FINE_WINDOW // 2 + 1)
    axis = spectra.log_axis(FINE_WINDOW, FINE_BINS * bin_width, 21_500.0, 24.0)
    above = spectra.triangles([(FINE_BINS - 1) * bin_width, *axis, SAMPLE_RATE / 2], FINE_WINDOW)
    return torch.cat([single, above])


class Features(nn.Module):
    """What the encoder measures in audio, and what the decoder should predict."""

    pitch: Tensor
    envelope: Tensor
    side: Tensor
    fine: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, filters in (
            ("pitch", pitch_bands()),
            ("envelope", envelope_bands()),
            ("side", side_bands()),
            ("fine", fine_bands()),
        ):
            self.register_buffer(name, spectra.averaging(filters), persistent=False)

    def forward(self, audio: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch frames features"]:
        """Pitch, envelope and side, in this order; samples must be whole frames."""
        mid, side = audio.mean(dim=1), (audio[:, 0] - audio[:, 1]) / 2
        parts = (
            self._bands(mid, PITCH_WINDOW, FRAME_SAMPLES, self.pitch),
            self._bands(mid, ENVELOPE_WINDOW, ENVELOPE_HOP, self.envelope),
            self._bands(side, SIDE_WINDOW, FRAME_SAMPLES, self.side),
        )
        return torch.cat(parts, dim=-1)

    def fine_of(self, audio: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch frames fine"]:
        return self._bands(audio.mean(dim=1), FINE_WINDOW, FINE_HOP, self.fine)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Numbers a frame: pitch, envelope, side, fine."""
        envelope = len(self.envelope) * (FRAME_SAMPLES // ENVELOPE_HOP)
        return len(self.pitch), envelope, len(self.side), len(self.fine) * (FRAME_SAMPLES // FINE_HOP)

    def band_limit(
        self, batch: int, chance: torch.Generator
    ) -> tuple[Float[Tensor, "batch 1 features"], Float[Tensor, "batch 1 fine"]]:
        """Masks for features and fine that end half of the excerpts' spectra at 14 to 20 kHz.

        Songs from the web end there, by their lossy formats; songs rendered from notes do not.
        """
        cutoff = 14_000 + 6_000 * torch.rand(batch, 1, 1, generator=chance)
        cutoff[torch.rand(batch, 1, 1, generator=chance) < 0.5] = SAMPLE_RATE
        features, fine = self.centers
        return (features < cutoff).float(), (fine < cutoff).float()

    @property
    def centers(self) -> tuple[Float[Tensor, " features"], Float[Tensor, " fine"]]:
        """The band that each number is about: its mean frequency, in Hz."""

        def of(filters: Tensor, window: int, hop: int) -> Tensor:
            hertz = torch.arange(filters.shape[1], device=filters.device) * SAMPLE_RATE / window
            return (filters @ hertz).repeat(FRAME_SAMPLES // hop)

        features = (
            of(self.pitch, PITCH_WINDOW, FRAME_SAMPLES),
            of(self.envelope, ENVELOPE_WINDOW, ENVELOPE_HOP),
            of(self.side, SIDE_WINDOW, FRAME_SAMPLES),
        )
        return torch.cat(features), of(self.fine, FINE_WINDOW, FINE_HOP)

    @property
    def fine_weights(self) -> Float[Tensor, " fine"]:
        """How many mels each band of the fine spectrum is wide, with a mean of 1: what an error there counts."""
        hertz = self.centers[1].chunk(FRAME_SAMPLES // FINE_HOP)[0]
        (width,) = torch.gradient(torch.log1p(hertz / 700))
        return (width / width.mean()).repeat(FRAME_SAMPLES // FINE_HOP)

    def targets(self, features: Tensor, fine: Tensor) -> Targets:
        _, envelope, side = features.split(self.sizes[:3], dim=-1)
        return Targets(fine, envelope, side)

    def _bands(self, audio: Tensor, window: int, hop: int, filters: Tensor) -> Tensor:
        powers = spectra.power(spectra.spectrum(audio, window, hop))
        bands = (powers @ filters.T) ** (POWER / 2)
        return bands.reshape(bands.shape[0], -1, bands.shape[-1] * (FRAME_SAMPLES // hop))


class Block(nn.Module):
    """ConvNeXt's block (Liu et al. 2022, section 2): each channel over time, then all channels at a time."""

    def __init__(self, width: int, expansion: int = 2):
        super().__init__()
        self.over_time = nn.Conv1d(width, width, 7, padding=3, groups=width, padding_mode="replicate")
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        y = self.over_time(x.transpose(1, 2)).transpose(1, 2)
        return x + self.scale * self.narrow(F.gelu(self.widen(self.norm(y))))


def residual_network(inputs: int, width: int, blocks: int, outputs: int) -> nn.Sequential:
    """Blocks between linear maps; the last map starts at zero, so that the linear codec comes first."""
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs, width), *(Block(width) for _ in range(blocks)), nn.LayerNorm(width), last
    )


def limit(audio: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch 2 samples"]:
    """Audio as it is up to 0.8, bent smoothly to stay within 1 above: found phases pile up higher than true ones."""
    if max(-audio.min(), audio.max()) <= 0.8:
        return audio
    excess = (audio.abs() - 0.8).clamp(min=0)
    return audio.clamp(-0.8, 0.8) + audio.sign() * 0.2 * torch.tanh(excess / 0.2)


class MiniEncoder(nn.Module):
    """Audio (batch, 2, 2048 n) -> mean and scale of the latents, (batch, 128, n)."""

    center: Tensor
    spread: Tensor
    scale: Tensor

    def __init__(self, config: MiniConfig):
        super().__init__()
        self.features = Features()
        inputs = sum(self.features.sizes[:3])
        self.register_buffer("center", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.linear = nn.Linear(inputs, LATENT_CHANNELS)
        self.residual = residual_network(inputs, config.encoder_width, config.encoder_blocks, LATENT_CHANNELS)
        # before the bottleneck's softplus: a standard deviation of 0.05, the noise that training adds
        self.register_buffer("scale", torch.full((LATENT_CHANNELS,), -2.97))

    def latents_of(
        self, features: Float[Tensor, "batch frames features"]
    ) -> Float[Tensor, "batch frames 64"]:
        normal = (features - self.center) / self.spread
        return self.linear(features) + self.residual(normal)

    def forward(self, audio: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch 128 frames"]:
        with torch.autocast(audio.device.type, enabled=False):  # squares of faint amplitudes need float32
            features = self.features(audio.float())
        mean = self.latents_of(features).transpose(1, 2)
        return torch.cat([mean, self.scale[:, None].expand_as(mean)], dim=1)


class MiniDecoder(nn.Module):
    """Latents (batch, 64, n) -> audio (batch, 2, 2048 n)."""

    spread: Tensor
    envelope_of_bins: Tensor
    side_of_bins: Tensor
    fine_to_bins: Tensor
    envelope_to_bins: Tensor
    side_to_bins: Tensor

    def __init__(self, config: MiniConfig, features: Features):
        super().__init__()
        _, *self.sizes = features.sizes
        outputs = sum(self.sizes)
        self.iterations = config.phase_iterations
        self.linear = nn.Conv1d(
            LATENT_CHANNELS,
            outputs,
            2 * config.context + 1,
            padding=config.context,
            padding_mode="replicate",
        )
        self.residual = residual_network(
            LATENT_CHANNELS, config.decoder_width, config.decoder_blocks, outputs
        )
        self.bass: BassHead | None = None
        """Not among the weights that a codec is known by: latents do not depend on it."""
        self.register_buffer("spread", torch.ones(outputs))  # of the targets: the residual's unit
        self.register_buffer("envelope_of_bins", features.envelope, persistent=False)
        self.register_buffer("side_of_bins", features.side, persistent=False)
        for name, filters in (
            ("fine", fine_bands()[FINE_BINS:, FINE_BINS:]),
            ("envelope", envelope_bands()),
            ("side", side_bands()),
        ):
            self.register_buffer(f"{name}_to_bins", spectra.interpolating(filters), persistent=False)

    def predict(self, latents: Float[Tensor, "batch frames 64"]) -> Targets:
        linear = self.linear(latents.transpose(1, 2)).transpose(1, 2)
        envelope, side, fine = (linear + self.spread * self.residual(latents)).split(self.sizes, dim=-1)
        return Targets(fine, envelope, side)

    def predict_envelope(
        self, latents: Float[Tensor, "batch frames 64"]
    ) -> Float[Tensor, "batch frames envelope"]:
        """That of `predict` alone, whose other maps to amplitudes are most of its work."""
        count = self.sizes[0]
        bias, last = self.linear.bias, self.residual[-1]
        assert bias is not None
        assert isinstance(last, nn.Linear)
        padding = (self.linear.kernel_size[0] // 2,) * 2
        padded = F.pad(latents.transpose(1, 2), padding, "replicate")
        linear = F.conv1d(padded, self.linear.weight[:count], bias[:count]).transpose(1, 2)
        residual = F.linear(self.residual[:-1](latents), last.weight[:count], last.bias[:count])
        return linear + self.spread[:count] * residual

    def forward(
        self, latents: Float[Tensor, "batch 64 frames"], first_frame: int | Int[Tensor, " batch"] = 0
    ) -> Float[Tensor, "batch 2 samples"]:
        """`first_frame` is the place in the song of the first frame: phases and noise run on from there."""
        latents = latents.transpose(1, 2)
        first = torch.as_tensor(first_frame, device=latents.device).expand(len(latents))
        predicted = self.predict(latents)
        with torch.autocast(latents.device.type, enabled=False):
            shares = self.bass(latents.float()) if self.bass else None
            return self.synthesize(Targets(*(part.float() for part in predicted)), first, shares)

    def synthesize(
        self,
        targets: Targets,
        first: Int[Tensor, " batch"],
        shares: Float[Tensor, "batch frames semitones"] | None = None,
    ) -> Float[Tensor, "batch 2 samples"]:
        """Audio with about these amplitudes; `shares` are those of the semitones below 220 Hz."""
        fine, envelope, side = (part.clamp(min=0) ** (1 / POWER) for part in targets)
        spectrum = self._spectrum(fine, first, shares)
        mid_audio = spectra.overlap_add(spectrum, FINE_WINDOW, FINE_HOP)
        mid_audio = self._shape_envelope(mid_audio, envelope)
        side_audio = self._make_side(mid_audio, side)
        return limit(torch.stack([mid_audio + side_audio, mid_audio - side_audio], dim=1))

    def _spectrum(
        self, fine: Tensor, first: Tensor, shares: Tensor | None
    ) -> Complex[Tensor, "batch shorts bins"]:
        """The mid channel's spectrum: found phases in the lower bins, the carrier's in the upper ones."""
        shorts = FRAME_SAMPLES // FINE_HOP
        fine = fine.unflatten(-1, (shorts, -1)).flatten(1, 2)
        low, high = fine[..., :FINE_BINS], fine[..., FINE_BINS:] @ self.fine_to_bins
        window, hop = FINE_WINDOW // LOW_RATE, FINE_HOP // LOW_RATE
        low, tones = F.pad(low, (0, 1)), None
        if self.bass and shares is not None:
            low, tones = self.bass.applied(low, shares, first, FINE_WINDOW)
        low = phases.griffin_lim(low, window, hop, self.iterations, first * shorts, tones)
        places = (
            first[:, None] * shorts + torch.arange(fine.shape[1], device=fine.device)
        ) % phases.CARRIER_FRAMES
        noise = phases.carrier(FINE_WINDOW, FINE_HOP)[:, FINE_BINS:].to(fine.device)
        return torch.cat([low[..., :FINE_BINS], noise[places] * high], dim=-1)

    def _shape_envelope(self, audio: Tensor, wanted: Tensor) -> Tensor:
        """Audio with the amplitudes `wanted` in coarse bands over short windows."""
        short = spectra.spectrum(audio, ENVELOPE_WINDOW, ENVELOPE_HOP)
        wanted = wanted.reshape(short.shape[0], short.shape[1], -1)
        gains = self._gains(short, wanted, self.envelope_of_bins, ENVELOPE_GAIN) @ self.envelope_to_bins
        return spectra.overlap_add(short * gains, ENVELOPE_WINDOW, ENVELOPE_HOP)

    def _make_side(self, mid: Tensor, wanted: Tensor) -> Tensor:
        """A side channel with the amplitudes `wanted` in coarse bands, made of the mid channel.

        A quarter of a turn ahead of the mid or behind it, so that left and right come out equally loud.
        """
        spectrum = spectra.spectrum(mid, SIDE_WINDOW, FINE_HOP)
        wanted = wanted.repeat_interleave(FRAME_SAMPLES // FINE_HOP, dim=1)
        gains = self._gains(spectrum, wanted, self.side_of_bins, 100.0) @ self.side_to_bins
        bins = torch.arange(gains.shape[-1], device=mid.device)
        turns = torch.sign(torch.sin(4 * torch.pi * torch.log2(bins + 1)))  # changes four times an octave
        return spectra.overlap_add(spectrum * (1j * turns * gains), SIDE_WINDOW, FINE_HOP)

    @staticmethod
    def _gains(spectrum: Tensor, wanted: Tensor, filters: Tensor, most: float) -> Tensor:
        have = (spectra.power(spectrum) @ filters.T).sqrt()
        return (wanted / have.clamp(min=1e-7)).clamp(max=most)


class MiniAutoencoder(nn.Module):
    """The pair, with the calls of stable-audio-tools' autoencoders that a codec needs.

    `AudioAutoencoder(model.encoder, model.decoder, 64, 2048, 44100, bottleneck=VAEBottleneck())` is the same
    thing inside stable-audio-tools.
    """

    revision = DECODER_REVISION
    gain_exponent = POWER

    def __init__(self, config: MiniConfig):
        super().__init__()
        self.config = config
        self.encoder = MiniEncoder(config)
        self.decoder = MiniDecoder(config, self.encoder.features)

    def power(self, latents: Float[Tensor, "batch 64 frames"]) -> Float[Tensor, "batch frames"]:
        """About the mean square of the sound of each frame, but for a constant factor."""
        envelope = self.decoder.predict_envelope(latents.transpose(1, 2)).float()
        return (envelope.clamp(min=0) ** (2 / POWER)).sum(dim=-1)

    @classmethod
    def from_config(cls, settings: dict[str, Any]) -> "MiniAutoencoder":
        return cls(MiniConfig(**settings))

    def to_config(self) -> dict[str, Any]:
        return {
            "model_type": "samuel-mini",
            "sample_rate": SAMPLE_RATE,
            "model": asdict(self.config),
        }

    def encode(self, audio: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch 64 frames"]:
        """The latents' mean; samples must be whole frames."""
        return self.encoder(audio).chunk(2, dim=1)[0]

    def decode(
        self, latents: Float[Tensor, "batch 64 frames"], first_frame: int | Int[Tensor, " batch"] = 0
    ) -> Float[Tensor, "batch 2 samples"]:
        return self.decoder(latents, first_frame)

    def distance(self, predicted: Targets, wanted: Targets) -> Float[Tensor, " batch"]:
        """Mean squared error of amplitudes: in units of the closed form's own error in each band, each band of
        the fine spectrum weighted by its width in mels."""
        envelope, side, fine_spread = self.decoder.spread.split(self.decoder.sizes)
        fine_error, envelope_error, side_error = (
            ((guess - truth) / spread).square()
            for guess, truth, spread in zip(predicted, wanted, (fine_spread, envelope, side), strict=True)
        )
        return (
            (fine_error * self.encoder.features.fine_weights).mean(dim=(1, 2))
            + ENVELOPE_WEIGHT * envelope_error.mean(dim=(1, 2))
            + SIDE_WEIGHT * side_error.mean(dim=(1, 2))
        )

    @torch.no_grad()
    def perceptual_weight(self) -> Float[Tensor, " 64"]:
        """How far from silence of all latents a unit of each of them takes the decoder: `distance`, 1 on average.

        The first components carry loudness and tilt and count a hundred times as much as the last.
        """
        reach = max(self.config.context, 3 * self.config.decoder_blocks)
        latents = torch.zeros(LATENT_CHANNELS + 1, 2 * reach + 1, LATENT_CHANNELS)
        latents[:-1, reach] = torch.eye(LATENT_CHANNELS)
        predicted = self.decoder.predict(latents.to(self.decoder.spread.device))
        moved, still = (
            Targets(*parts) for parts in zip(*((part[:-1], part[-1:]) for part in predicted), strict=True)
        )
        distance = self.distance(moved, still)
        return distance / distance.mean()
