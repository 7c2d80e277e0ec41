"""Control curves -> a singing voice: a glottal source through a vocal tract that moves.

The source is a band-limited wavetable of the glottal flow's derivative, with aspiration noise; the
tract is a cascade of resonators, applied frame by frame in the frequency domain (overlap-add).

References: Doval and d'Alessandro (2003), "The voice source as a causal/anticausal linear filter"
(the source's spectrum); Fant (1960), "Acoustic theory of speech production" (the cascade);
Sundberg (1987), "The science of the singing voice" (singer's formant, formant tuning).
"""

import numpy as np
import scipy.fft
from jaxtyping import Float, Float32
from numpy.lib.stride_tricks import sliding_window_view

from samuel.config import SAMPLE_RATE
from samuel.rendering.singer import HOP, NOISES, Controls, Singer

_STRIDE = 2 * HOP
_WINDOW = 2 * _STRIDE  # Hann windows half overlapped add up to 1
_FFT = 2 * _WINDOW  # room for the tract's ringing behind each windowed frame
_TABLE = 2048
_BLOCK = 1024  # frames filtered at once: bounds the memory
_HIGHEST_PARTIAL = 19_000.0
_MALE_BANDWIDTHS = (75.0, 100.0, 160.0, 260.0, 340.0)
_MALE_UPPER_FORMANTS = (3350.0, 4100.0)
# Centre, width (Hz) and gain of each noise's spectrum, in the order of NOISES.
_NOISE_SPECTRA = {
    "s": (8000.0, 2800.0, 1.0),
    "S": (4300.0, 1900.0, 1.0),
    "f": (6000.0, 5000.0, 0.6),
    "h": (1800.0, 1500.0, 0.6),
    "p": (900.0, 900.0, 0.9),
    "t": (4800.0, 2200.0, 1.0),
    "k": (2100.0, 800.0, 1.0),
    "breath": (2400.0, 2600.0, 0.6),
    "air": (10500.0, 4000.0, 1.0),
}


def synthesise(
    singer: Singer, controls: Controls, rng: np.random.Generator
) -> Float32[np.ndarray, " samples"]:
    """Mono, `HOP` samples for each frame, peak near 1 for a full voice."""
    source = _source(singer, controls, rng)
    samples = len(source)
    noise = rng.standard_normal(samples + 2 * _WINDOW, dtype=np.float32)
    output = np.zeros(samples + 2 * _FFT, dtype=np.float32)
    padded = np.pad(source, (_WINDOW // 2, 2 * _WINDOW))
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    spectra = _noise_spectra(singer)
    fixed = _fixed_response(singer)
    filtered = np.arange(0, len(controls.pitch), _STRIDE // HOP)
    voiced = (controls.voicing > 1e-4) | (controls.aspiration > 1e-4)
    hissing = controls.noises.max(axis=1) > 1e-4
    for first in range(0, len(filtered), _BLOCK):
        frames = filtered[first : first + _BLOCK]
        spectrum = np.zeros((len(frames), _FFT // 2 + 1), np.complex64)
        sung = voiced[frames]
        if sung.any():
            windowed = sliding_window_view(padded, _WINDOW)[frames[sung] * HOP] * window
            response = _response(singer, controls, frames[sung]) * fixed
            spectrum[sung] = scipy.fft.rfft(windowed, _FFT, axis=1) * response
        hiss = hissing[frames]
        if hiss.any():
            windowed = sliding_window_view(noise, _WINDOW)[frames[hiss] * HOP] * window
            shape = controls.noises[frames[hiss]].astype(np.float32) @ spectra
            spectrum[hiss] += scipy.fft.rfft(windowed, _FFT, axis=1) * shape
        _overlap_add(output, scipy.fft.irfft(spectrum, _FFT, axis=1), first)
    # A frame's window is centred on its instant: half a window of lead-in is dropped again.
    return output[_WINDOW // 2 : _WINDOW // 2 + samples].copy()


def _overlap_add(output: np.ndarray, frames: np.ndarray, first: int) -> None:
    """Adds frames, `_STRIDE` apart, in pieces of that length: few large additions, not many small ones."""
    count = len(frames)
    pieces = frames.reshape(count, _FFT // _STRIDE, _STRIDE)
    for piece in range(_FFT // _STRIDE):
        begin = (first + piece) * _STRIDE
        end = min(begin + count * _STRIDE, len(output))
        output[begin:end] += pieces[:, piece].reshape(-1)[: end - begin]


def _source(singer: Singer, controls: Controls, rng: np.random.Generator) -> np.ndarray:
    """The glottal flow's derivative, times the voicing gain, with noise while the glottis is open."""
    fundamental = _hertz(controls.pitch)
    phase = np.cumsum(_to_samples(fundamental) / SAMPLE_RATE, dtype=np.float64)
    phase -= np.floor(phase)

    tables, edges = _wavetables(singer.open_quotient)
    row = np.repeat(np.searchsorted(edges, fundamental).astype(np.int32), HOP)
    position = phase * _TABLE
    below = position.astype(np.int32)
    weight = (position - below).astype(np.float32)
    flat = tables.reshape(-1)
    index = row * (_TABLE + 1) + below
    wave = flat[index] * (1 - weight) + flat[index + 1] * weight

    hiss = np.diff(rng.standard_normal(len(phase) + 1, dtype=np.float32))
    opening = 0.4 + 0.6 * np.sin(np.pi * phase.astype(np.float32)) ** 2
    return wave * _to_samples(controls.voicing) + hiss * opening * _to_samples(controls.aspiration)


def _hertz(pitch: np.ndarray) -> np.ndarray:
    """MIDI numbers -> Hz."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _to_samples(curve: Float[np.ndarray, " frames"]) -> Float32[np.ndarray, " samples"]:
    """A curve of frames, at every sample: straight lines from each frame to the next."""
    here = curve.astype(np.float32)
    step = np.diff(here, append=here[-1])
    ramp = np.arange(HOP, dtype=np.float32) / HOP
    return (here[:, None] + step[:, None] * ramp).reshape(-1)


def _wavetables(
    open_quotient: float,
) -> tuple[Float32[np.ndarray, "rows table"], Float[np.ndarray, " edges"]]:
    """One period for each third of an octave, with the partials that fit below `_HIGHEST_PARTIAL`.

    The glottal formant: an anticausal resonance near 1 / (2 x open quotient) of the fundamental,
    times j f for the derivative (Doval and d'Alessandro, section 3).
    """
    edges = 55.0 * 2 ** (np.arange(1, 18) / 3)
    rows = []
    for top in np.concatenate([edges, [edges[-1] * 2]]):
        partials = np.arange(1, max(2, int(_HIGHEST_PARTIAL / top)) + 1)
        centre = 1 / (2 * open_quotient) + 0.25
        response = 1j * partials / (1 - (partials / centre) ** 2 + 1j * partials / (0.8 * centre))
        spectrum = np.zeros(_TABLE // 2 + 1, complex)
        spectrum[partials] = np.conj(response)
        rows.append(np.fft.irfft(spectrum) * _TABLE / 4)
    tables = np.array(rows, dtype=np.float32)
    return np.concatenate([tables, tables[:, :1]], axis=1), edges


def _frequencies() -> np.ndarray:
    return np.arange(_FFT // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / _FFT)


def _resonance(frequency: np.ndarray, centre: float, bandwidth: float) -> np.ndarray:
    """A pole pair with gain 1 at 0 Hz: c^2 / (c^2 - f^2 + j f b)."""
    ratio = frequency / centre
    return 1 / (1 - ratio**2 + 1j * (ratio * (bandwidth / centre)))


def _fixed_response(singer: Singer) -> np.ndarray:
    """What does not move: formants 4 and 5, the tract's higher poles, and the singer's formant."""
    frequency = _frequencies()
    response = np.ones(len(frequency), np.complex64)
    for centre, bandwidth in zip(_MALE_UPPER_FORMANTS, _MALE_BANDWIDTHS[3:], strict=True):
        response *= _resonance(frequency, centre * singer.tract, bandwidth * singer.bandwidth).astype(
            np.complex64
        )
    for number in range(6, 26):  # poles of a 17.5 cm tube, every 1000 Hz; wide, so that they only fill
        centre = (number - 0.5) * 1000 * singer.tract * 0.93
        response *= _resonance(frequency, centre, 0.11 * centre).astype(np.complex64)
    ring = 10 ** (singer.ring / 20) - 1
    response *= (1 + (frequency / 4000) ** 2) ** (singer.brightness / 12.04)
    response *= 1 + ring * np.exp(-0.5 * ((frequency - 3000 * singer.tract**0.5) / 450) ** 2)
    highpass = frequency / np.sqrt(frequency**2 + 70.0**2)
    return (response * highpass).astype(np.complex64)


def _response(singer: Singer, controls: Controls, at: np.ndarray) -> np.ndarray:
    """The moving part of the tract, and the source's tilt, for the frames `at`: (frames, bins)."""
    frequency = _frequencies()[None, :]
    fundamental = _hertz(controls.pitch[at])
    centres = controls.formants[at] * singer.tract
    centres[:, 0] = np.maximum(centres[:, 0], 1.02 * fundamental)  # sopranos open the jaw (Sundberg, ch. 5)
    centres[:, 1] = np.maximum(centres[:, 1], centres[:, 0] + 250)
    tilt = singer.tilt_hertz * (0.35 + 1.1 * controls.effort[at])
    denominator = 1 + 1j * (frequency / tilt[:, None].astype(np.float32))
    for number in range(3):
        centre = centres[:, number : number + 1].astype(np.float32)
        width = np.float32(_MALE_BANDWIDTHS[number] * singer.bandwidth)
        ratio = frequency / centre
        denominator *= 1 - ratio**2 + 1j * (ratio * (width / centre))
    return (1 / denominator).astype(np.complex64)


def _noise_spectra(singer: Singer) -> Float32[np.ndarray, "noises bins"]:
    frequency = _frequencies()
    rows = []
    for name in NOISES:
        centre, width, gain = _NOISE_SPECTRA[name]
        centre *= singer.tract**0.5
        bell = np.exp(-0.5 * ((frequency - centre) / width) ** 2)
        rows.append(0.12 * gain * bell * (frequency / (frequency + 300)))
    return np.array(rows, dtype=np.float32)
