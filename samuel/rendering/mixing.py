"""From dry tracks to a song: rooms, balance between the stems, loudness.

Loudness is in LUFS (ITU-R BS.1770-4, by pyloudnorm), levels and gains in decibels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import butter, oaconvolve, sosfilt

from samuel.config import SAMPLE_RATE

Stereo = Float32[np.ndarray, "2 samples"]
Response = Float32[np.ndarray, "2 taps"]
PEAK = 10 ** (-1.5 / 20)  # half a decibel below -1 dBFS: lossy encoders overshoot
LIMITER_SECONDS = 0.04
PREDELAY_SECONDS = 0.012


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


def effects(
    rng: np.random.Generator,
    *,
    seconds: float,
    wet: float,
    presence: float = 0.0,
    lowest: float = 20.0,
    echo_seconds: float = 0.0,
    echo_gain: float = 0.0,
) -> Response:
    """The impulse response of everything linear that happens to a stem: filters, echo and room.

    A high-pass at `lowest` Hz (some SoundFonts' samples carry an offset), a shelf of `presence` decibels
    above 4 kHz, two echoes, and a diffuse stereo room: noise that dies by 60 dB in `seconds`, faster
    where it is bright. `wet` is the room's energy beside the dry sound's, as an amplitude ratio.
    """
    dry = np.zeros((2, int((0.25 + 2 * echo_seconds) * SAMPLE_RATE)))
    for count in range(3 if echo_gain else 1):
        dry[:, int(count * echo_seconds * SAMPLE_RATE)] = echo_gain**count
    length = int(seconds * SAMPLE_RATE)
    decay = 10 ** (-3 * np.arange(length) / length)
    tail = rng.standard_normal((2, length)) * decay
    dark = sosfilt(butter(2, 2500, fs=SAMPLE_RATE, output="sos"), tail, axis=1)
    tail = _highpass(dark + 0.35 * (tail - dark) * decay, 180.0, order=1)
    tail *= wet / np.sqrt((tail**2).sum(axis=1, keepdims=True))
    tail = np.pad(tail, ((0, 0), (int(PREDELAY_SECONDS * SAMPLE_RATE), 0)))
    response = np.zeros((2, max(dry.shape[1], tail.shape[1])))
    response[:, : dry.shape[1]] += dry
    response[:, : tail.shape[1]] += tail
    response = _highpass(response, lowest)
    response += (10 ** (presence / 20) - 1) * _highpass(response, 4000.0, order=1)
    return response.astype(np.float32)


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


def apply(response: Response, audio: Stereo) -> Stereo:
    """Convolves; the result has the audio's length."""
    return oaconvolve(audio, response, axes=1)[:, : audio.shape[1]].astype(np.float32)


def _highpass(audio: np.ndarray, hertz: float, order: int = 2) -> np.ndarray:
    return sosfilt(butter(order, hertz, "highpass", fs=SAMPLE_RATE, output="sos"), audio)


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


def loudness(audio: Float32[np.ndarray, "channel samples"], sample_rate: int = SAMPLE_RATE) -> float:
    """Integrated loudness in LUFS; -70 for silence and for less than 0.4 s."""
    import pyloudnorm

    if audio.shape[1] < 0.4 * sample_rate or not np.any(audio):
        return -70.0
    return max(-70.0, float(pyloudnorm.Meter(sample_rate).integrated_loudness(audio.T.astype(np.float64))))


def balance_stems(stems: dict[str, Stereo], balance: Balance) -> dict[str, Stereo]:
    """Sets each stem's loudness against the voice's, then brings the mix to the target loudness.

    Peaks are held at -1.5 dBFS by one limiter for all stems, so that the stems' sum is the limited mix.
    Silent stems stay silent.
    """
    offsets = {"vocals": 0.0, "drums": balance.drums, "bass": balance.bass, "other": balance.other}
    levelled = {}
    for name, audio in stems.items():
        level = loudness(_thinned(audio), SAMPLE_RATE // 2)
        gain = 0.0 if level <= -69 else 10 ** ((-20.0 + offsets[name] - level) / 20)
        levelled[name] = (audio * gain).astype(np.float32)
    mix = np.stack(list(levelled.values())).sum(axis=0)
    gain = 10 ** ((balance.loudness - loudness(mix)) / 20)
    limited = _limiter_gain([gain * mix, *(gain * audio for audio in levelled.values())])
    return {name: (gain * audio * limited).astype(np.float32) for name, audio in levelled.items()}


def _thinned(audio: Stereo) -> Float32[np.ndarray, "1 halved"]:
    """Mono at half the rate: a quarter of the work, and good enough to compare stems."""
    mono = audio.mean(axis=0)[: audio.shape[1] // 2 * 2]
    return mono.reshape(-1, 2).mean(axis=1)[None]


def _limiter_gain(signals: list[Stereo]) -> Float32[np.ndarray, " samples"]:
    """The gain that keeps every signal below `PEAK`, smooth over `LIMITER_SECONDS`.

    The smallest gain asked for within a window, averaged over a window of the same length: the mean
    never exceeds what its middle asked for.
    """
    peak = np.max([np.abs(signal).max(axis=0) for signal in signals], axis=0)
    asked = np.minimum(1.0, PEAK / np.maximum(peak, PEAK))
    window = 2 * int(LIMITER_SECONDS * SAMPLE_RATE / 2) + 1
    smallest = minimum_filter1d(asked, window, mode="nearest")
    return uniform_filter1d(smallest.astype(np.float64), window, mode="nearest").astype(np.float32)
