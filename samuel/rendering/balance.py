"""From dry tracks to a song: drawn rooms, balance between the stems, a compressed voice.

Loudness is in LUFS (ITU-R BS.1770-4), levels and gains in decibels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from samuel.arranging.mastering import Response, Stereo, effects, limited_blocks
from samuel.audio.loudness import SILENCE, loudness
from samuel.config import SAMPLE_RATE


@dataclass(frozen=True)
class Balance:
    """How one song is mixed. Decibels are relative to the voice."""

    drums: float
    bass: float
    other: float
    voice_room_seconds: float
    voice_wet: float
    band_room_seconds: float
    band_wet: float
    loudness: float  # of the whole mix, LUFS
    voice_presence: float  # shelf above 4 kHz on the voice
    band_presence: float  # the same on the band but for the bass
    takes: tuple[tuple[float, float], ...]  # (gain, pan) of each take of the voice; more than one: doubled
    echo_seconds: float
    echo_gain: float  # 0: no echo


def draw_balance(rng: np.random.Generator) -> Balance:
    doubled = rng.random() < 0.2
    spread = float(rng.uniform(0.2, 0.8))
    return Balance(
        drums=float(rng.uniform(-7.0, 0.0)),
        bass=float(rng.uniform(-8.0, -2.0)),
        other=float(rng.uniform(-6.0, 1.0)),
        voice_room_seconds=float(np.exp(rng.uniform(np.log(0.25), np.log(1.8)))),
        voice_wet=float(rng.uniform(0.03, 0.22)),
        band_room_seconds=float(np.exp(rng.uniform(np.log(0.25), np.log(1.4)))),
        band_wet=float(rng.uniform(0.03, 0.2)),
        loudness=float(rng.uniform(-16.5, -12.0)),
        voice_presence=float(rng.uniform(0.0, 6.0)),
        band_presence=float(rng.uniform(0.0, 6.0)),
        takes=((1.0, -0.3 * spread), (0.5, spread)) if doubled else ((1.0, 0.0),),
        echo_seconds=float(rng.uniform(0.09, 0.38)),
        echo_gain=float(rng.uniform(0.06, 0.22)) if rng.random() < 0.3 else 0.0,
    )


def voice_effects(balance: Balance, rng: np.random.Generator) -> Response:
    return effects(
        rng,
        seconds=balance.voice_room_seconds,
        wet=balance.voice_wet,
        presence=balance.voice_presence,
        lowest=80.0,
        echo_seconds=balance.echo_seconds,
        echo_gain=balance.echo_gain,
    )


def band_effects(balance: Balance, stem: str, rng: np.random.Generator) -> Response:
    """The drums get less of the room than the chords, the bass none."""
    share = {"drums": 0.6, "bass": 0.0, "other": 1.0}[stem]
    return effects(
        rng,
        seconds=balance.band_room_seconds,
        wet=share * balance.band_wet,
        presence=0.0 if stem == "bass" else balance.band_presence,
    )


def compress_voice(voice: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Evens out a singer's loud and soft notes, as on every record."""
    return _compress(voice, ratio=2.5, threshold_below_peak=14.0)


def _compress(audio: np.ndarray, *, ratio: float, threshold_below_peak: float) -> np.ndarray:
    """Levels above the threshold grow by 1/ratio only; the level is an RMS over 30 ms."""
    block = int(0.01 * SAMPLE_RATE)
    blocks = np.pad(audio, (0, -len(audio) % block)).reshape(-1, block)
    power = np.convolve((blocks**2).mean(axis=1), np.ones(3) / 3, mode="same")
    level = 10 * np.log10(power + 1e-10)
    over = np.maximum(0.0, level - (level.max() - threshold_below_peak))
    gain = 10 ** (-over * (1 - 1 / ratio) / 20)
    centres = (np.arange(len(gain)) + 0.5) * block
    return (audio * np.interp(np.arange(len(audio)), centres, gain)).astype(np.float32)


def balance_stems(stems: dict[str, Stereo], balance: Balance) -> dict[str, Stereo]:
    """Sets each stem's loudness against the voice's, then brings the mix to the target loudness.

    Peaks are held at -1.5 dBFS by one limiter for all stems, so that the stems' sum is the limited mix.
    Silent stems stay silent.
    """
    offsets = {"vocals": 0.0, "drums": balance.drums, "bass": balance.bass, "other": balance.other}
    gains = {name: _gain_to(-20.0 + offsets[name], audio.mean(axis=0)) for name, audio in stems.items()}
    levelled = {name: gains[name] * audio for name, audio in stems.items()}
    gain = _gain_to(balance.loudness, np.sum(list(levelled.values()), axis=0))
    (limited,) = limited_blocks([{name: gain * audio for name, audio in levelled.items()}])
    return limited


def _gain_to(lufs: float, audio: Float32[np.ndarray, "*channels samples"]) -> np.float32:
    """That brings audio, mono as if it came from both sides, to a loudness; 1 for silence."""
    level = loudness(torch.from_numpy(audio).expand(2, -1))
    return np.float32(1.0 if level <= SILENCE else 10 ** ((lufs - level) / 20))
