"""The bass of what `mini` decodes.

A bin of the decoder's spectrum is 10.8 Hz wide: more than a semitone below 180 Hz, so that phases found for it sound
between two notes. The latents know better. A linear map of nine frames of them tells how the power below 220 Hz is shared
between semitones; each semitone has an oscillator, whose phase runs on from the song's beginning; and what these sound
together gets, bin by bin, about the power that the decoder's spectrum has there.

Latents are (batch, frame, channel) here, pitches MIDI numbers.
"""

from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from samuel.codec import spectra
from samuel.config import FRAME_SAMPLES, LATENT_CHANNELS, SAMPLE_RATE

BASS_FILE = "bass.safetensors"
"""Beside a codec's weights."""
LOWEST, SEMITONES = 28, 29  # from 41 Hz to 208 Hz
CONTEXT = 4  # frames each way
PITCH_WINDOW = 16384  # tells semitones apart from 65 Hz up, and their strongest from 41 Hz up
RATE = 16  # samples of the audio to one of the oscillators
FADED = (0.8, 0.6, 0.4, 0.2)  # what the last bins have of the oscillators' power
BINS = 20  # of the oscillators, the faded ones among them
CONTRAST = 2.0  # power of the shares: neighbours of the strongest semitone are mostly its leakage
_GOLDEN_ANGLE = 2.399963


class Bass(NamedTuple):
    """Amplitudes, and phases of the bins that have oscillators (as a spectrum with any amplitudes)."""

    magnitudes: Float[Tensor, "batch shorts bins"]
    tones: Complex[Tensor, "batch shorts low"]


class BassHead(nn.Module):
    """Latents -> the share of each semitone in the power below 220 Hz."""

    hertz: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv1d(
            LATENT_CHANNELS, SEMITONES, 2 * CONTEXT + 1, padding=CONTEXT, padding_mode="replicate"
        )
        self.register_buffer("hertz", _hertz(torch.arange(LOWEST, LOWEST + SEMITONES)), persistent=False)

    def logits(self, latents: Float[Tensor, "batch frames 64"]) -> Float[Tensor, "batch frames semitones"]:
        return self.linear(latents.transpose(1, 2)).transpose(1, 2)

    def forward(self, latents: Float[Tensor, "batch frames 64"]) -> Float[Tensor, "batch frames semitones"]:
        return self.logits(latents).softmax(dim=-1)

    def applied(
        self,
        magnitudes: Float[Tensor, "batch shorts bins"],
        shares: Float[Tensor, "batch frames semitones"],
        first: Int[Tensor, " batch"],
        window: int,
    ) -> Bass:
        """Magnitudes whose bass is that of oscillators with these shares of its power.

        `window` is that of the spectrum, in samples of the audio; `first` the place in the song of the first frame.
        """
        shorts = magnitudes.shape[1] // shares.shape[1]
        sound = self.oscillate(shares**CONTRAST, first)
        tones = spectra.spectrum(sound, window // RATE, FRAME_SAMPLES // shorts // RATE)[..., : BINS + 1]
        wanted, found = magnitudes[..., : BINS + 1].square(), spectra.power(tones)
        gain = (_smoothed(wanted) / _smoothed(found).clamp(min=1e-20)).sqrt()
        tones = (tones * gain)[..., :BINS]
        share = magnitudes.new_ones(BINS)
        share[-len(FADED) :] = torch.tensor(FADED, device=share.device)
        mixed = torch.lerp(wanted[..., :BINS], spectra.power(tones), share).sqrt()
        return Bass(torch.cat([mixed, magnitudes[..., BINS:]], dim=-1), tones)

    def oscillate(
        self, powers: Float[Tensor, "batch frames semitones"], first: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Sines at the semitones, of these relative powers in each frame, at `SAMPLE_RATE` / `RATE`."""
        step = FRAME_SAMPLES // RATE
        amplitudes = (powers / powers.sum(dim=-1, keepdim=True)).sqrt().transpose(1, 2)
        amplitudes = F.interpolate(amplitudes, scale_factor=step, mode="linear")
        place = torch.arange(amplitudes.shape[-1], device=first.device) + first[:, None] * step
        turns = self.hertz.double()[:, None] * place[:, None].double() * (RATE / SAMPLE_RATE) % 1
        start = _GOLDEN_ANGLE * torch.arange(SEMITONES, device=first.device) ** 2
        return (amplitudes * torch.sin(2 * torch.pi * turns.float() + start[:, None])).sum(dim=1)


def semitone_powers(audio: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch frames semitones"]:
    """What `BassHead` learns: the power of each semitone in the mid channel, over a long window."""
    edges = _hertz(torch.arange(LOWEST - 1, LOWEST + SEMITONES + 1)).tolist()
    filters = spectra.triangles(edges, PITCH_WINDOW).to(audio.device)
    return spectra.power(spectra.spectrum(audio.mean(dim=1), PITCH_WINDOW, FRAME_SAMPLES)) @ filters.T


def _hertz(pitch: Tensor) -> Tensor:
    return 440 * 2 ** ((pitch - 69) / 12)


def _smoothed(power: Float[Tensor, "batch shorts bins"]) -> Float[Tensor, "batch shorts bins"]:
    """Each bin with half of both neighbours."""
    return power + 0.5 * (F.pad(power[..., :-1], (1, 0)) + F.pad(power[..., 1:], (0, 1)))
