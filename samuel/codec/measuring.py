"""How near decoded audio is to the original, and the table that says so.

- Chroma correlation: Pearson's, between the chromagrams (librosa, window 8192, hop 2048, tuning 0) of both
  signals in mono, over all frames and pitch classes. 1 is the same harmony, 0 none of it.
- Mel distance: mean absolute difference of log10 mel power (128 bands, window 2048, hop 512, floor 10^-6.5),
  left and right apart. 0.3 is 3 dB.
- Bass: share of the louder frames whose strongest pitch class below 220 Hz is the original's (mono, semitones from
  41 Hz, window 16384, hop 2048; louder than the median below 220 Hz). By chance it is some 0.1.
- Onsets: Pearson's correlation between the onset strengths (librosa: rise of log mel power; window 1024, hop 256) of
  both signals in mono. Smeared or missing drums lower it. Bass onsets: likewise, of the rise of the level below 200 Hz.
- ViSQOL v3, audio mode: predicted opinion, 1 to about 4.7, of the mono signals at 48 kHz (visqol-python).
- Note F1: notes that basic-pitch hears in the decoded audio against those it hears in the original, by onset
  within 50 ms and pitch within a quarter tone (mir_eval). The transcriber is not sure of itself: its F1 between
  an original and a barely changed copy is the row "14 kHz low-pass".
"""

import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import scipy.signal
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from samuel.audio import resample
from samuel.codec import spectra
from samuel.codec.codec import Codec
from samuel.compiled import librosa  # before basic-pitch imports it
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE

MEL_FLOOR = 10**-6.5
NOISES = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Scores:
    """NaN where the metric's package is not installed."""

    chroma: float
    mel: float
    bass: float
    onsets: float
    bass_onsets: float
    visqol: float
    notes: float


def chroma_correlation(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> float:
    """Of two signals of the same length; 0 if one has no harmony at all, as silence."""
    return _correlation(_chroma(original).ravel(), _chroma(other).ravel())


def mel_distance(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> float:
    return float(np.abs(_log_mel(original) - _log_mel(other)).mean())


def bass_agreement(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> float:
    """0 where the original has no bass at all, as silence."""
    first, second = (_bass_classes(x) for x in (original, other))
    loud = first.sum(dim=1) > first.sum(dim=1).median()
    same = (first.argmax(dim=1) == second.argmax(dim=1)) & (second.sum(dim=1) > 0)
    return float(same[loud].float().mean()) if loud.any() else 0.0


def onset_correlation(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> float:
    return _correlation(_onsets(original), _onsets(other))


def bass_onset_correlation(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> float:
    return _correlation(_bass_onsets(original), _bass_onsets(other))


def visqol(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> float:
    try:
        from visqol import VisqolApi
    except ImportError:
        return float("nan")
    judge = VisqolApi()
    judge.create(mode="audio")
    reference, degraded = (
        resample(x.mean(dim=0, keepdim=True), SAMPLE_RATE, 48_000)[0].double().numpy()
        for x in (original, other)
    )
    return float(judge.measure_from_arrays(reference, degraded, sample_rate=48_000).moslqo)


def note_f1(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> float:
    try:
        import mir_eval

        _transcriber()
    except ImportError:
        return float("nan")
    first, second = (transcribed_notes(audio)[:2] for audio in (original, other))
    if not len(first[0]) or not len(second[0]):
        return 0.0
    return float(mir_eval.transcription.precision_recall_f1_overlap(*first, *second, offset_ratio=None)[2])


def compare(original: Float[Tensor, "2 samples"], other: Float[Tensor, "2 samples"]) -> Scores:
    return Scores(
        chroma_correlation(original, other),
        mel_distance(original, other),
        bass_agreement(original, other),
        onset_correlation(original, other),
        bass_onset_correlation(original, other),
        visqol(original, other),
        note_f1(original, other),
    )


def low_pass(audio: Float[Tensor, "2 samples"], hertz: float) -> Tensor:
    sections = scipy.signal.butter(12, hertz, fs=SAMPLE_RATE, output="sos")
    return torch.from_numpy(scipy.signal.sosfiltfilt(sections, audio.numpy()).astype(np.float32))


def random_phases(audio: Float[Tensor, "2 samples"]) -> Tensor:
    """The true magnitudes of a 2048-sample window, with phases that mean nothing."""
    window = torch.hann_window(2048)
    spectrum = torch.stft(audio, 2048, 512, window=window, return_complex=True)
    phases = 2 * torch.pi * torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(0))
    return torch.istft(torch.polar(spectrum.abs(), phases), 2048, 512, window=window, length=audio.shape[-1])


def table(codec: Codec, excerpts: list[Float[Tensor, "2 samples"]]) -> Iterator[str]:
    """Lines of Markdown: the codec beside references, under noise, and its speed.

    Excerpts are of one length, a whole number of frames, and at least two; consecutive ones are compared for
    the row "another song", so alternate the songs.
    """
    noise = torch.Generator().manual_seed(0)
    threads = torch.get_num_threads()  # the judges' libraries change it
    encode, decode = speed(codec, excerpts[0])

    def decoded(spread: float) -> list[Tensor]:
        results = []
        for excerpt in excerpts:
            latents = codec.encode(excerpt[None])
            shift = spread * torch.randn(latents.shape, generator=noise)
            results.append(codec.decode(latents + shift.to(latents.device))[0].cpu())
        return results

    rows: list[tuple[str, Callable[[], list[Tensor]]]] = [
        (f"**{codec.identity}**", lambda: decoded(0.0)),
        *(
            (f"noise of {spread} added to its latents", lambda spread=spread: decoded(spread))  # type: ignore[misc]
            for spread in NOISES
        ),
        ("14 kHz low-pass", lambda: [low_pass(x, 14_000.0) for x in excerpts]),
        ("8 kHz low-pass", lambda: [low_pass(x, 8_000.0) for x in excerpts]),
        ("true magnitudes, random phases", lambda: [random_phases(x) for x in excerpts]),
        ("another song", lambda: excerpts[1:] + excerpts[:1]),
        ("silence", lambda: [torch.zeros_like(x) for x in excerpts]),
    ]
    yield "| | chroma correlation | mel distance | bass | onsets | bass onsets | ViSQOL audio | note F1 |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, make in rows:
        scores = [compare(x, y) for x, y in zip(excerpts, make(), strict=True)]
        means = [np.mean([getattr(s, field.name) for s in scores]) for field in fields(Scores)]
        yield f"| {name} | " + " | ".join("–" if np.isnan(m) else f"{m:.2f}" for m in means) + " |"
    yield ""
    yield (
        f"Speed on {threads} thread(s) of {codec.device.type}: encodes {encode:.0f} x, "
        f"decodes {decode:.0f} x real time."
    )


def speed(codec: Codec, audio: Float[Tensor, "2 samples"]) -> tuple[float, float]:
    """How many times faster than real time the codec encodes and decodes: the best of three rounds."""
    seconds = audio.shape[-1] / SAMPLE_RATE
    latents = codec.encode(audio[None])

    def best(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return seconds / min(times)

    return best(lambda: codec.encode(audio[None]).cpu()), best(lambda: codec.decode(latents).cpu())


def excerpts_of(
    audio: Float[Tensor, "2 samples"], count: int, seconds: float
) -> list[Float[Tensor, "2 part"]]:
    """`count` excerpts spread evenly over a song, each a whole number of frames and about `seconds` long."""
    length = int(seconds * SAMPLE_RATE) // FRAME_SAMPLES * FRAME_SAMPLES
    spare = audio.shape[-1] - length
    if spare < 0:
        raise ValueError(
            f"expected songs of {seconds:g} s or more, received {audio.shape[-1] / SAMPLE_RATE:.1f} s"
        )
    return [audio[:, int(spare * (i + 1) / (count + 1)) :][:, :length] for i in range(count)]


def _chroma(audio: Tensor) -> np.ndarray:
    mono = audio.mean(dim=0).numpy()
    return librosa.feature.chroma_stft(y=mono, sr=SAMPLE_RATE, n_fft=8192, hop_length=2048, tuning=0)


def _bass_classes(audio: Tensor) -> Float[Tensor, "frames 12"]:
    """Power of each pitch class below 220 Hz, E first."""
    edges = [440 * 2 ** ((note - 69) / 12) for note in range(27, 58)]
    power = spectra.power(spectra.spectrum(audio.mean(dim=0), 16384, FRAME_SAMPLES))
    semitones = power @ spectra.triangles(edges, 16384).T
    return F.pad(semitones, (0, -len(edges) + 2 + 36)).unflatten(1, (3, 12)).sum(dim=1)


def _onsets(audio: Tensor) -> np.ndarray:
    mono = audio.mean(dim=0).numpy()
    return librosa.onset.onset_strength(y=mono, sr=SAMPLE_RATE, n_fft=1024, hop_length=256, n_mels=64)


def _bass_onsets(audio: Tensor) -> np.ndarray:
    """Rises of the level below 200 Hz in dB, 172 times a second; softer than -60 dB counts as silent."""
    sections = scipy.signal.butter(4, 200, fs=SAMPLE_RATE, output="sos")
    low = scipy.signal.sosfiltfilt(sections, audio.mean(dim=0).numpy())
    window = scipy.signal.windows.hann(2048)
    level = scipy.signal.fftconvolve(low**2, window / window.sum(), mode="same")[::256]
    return np.maximum(np.diff(10 * np.log10(np.maximum(level, 1e-6))), 0)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's; 0 if one of them is the same throughout."""
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _log_mel(audio: Tensor) -> np.ndarray:
    power = librosa.feature.melspectrogram(y=audio.numpy(), sr=SAMPLE_RATE, n_fft=2048, hop_length=512)
    return np.log10(np.maximum(power, MEL_FLOOR))


@cache
def _transcriber() -> Any:
    logging.disable(logging.WARNING)  # it warns of each of the other runtimes that is not installed
    from basic_pitch import ICASSP_2022_MODEL_PATH
    from basic_pitch.inference import Model

    logging.disable(logging.NOTSET)
    return Model(ICASSP_2022_MODEL_PATH.with_suffix(".onnx"))


def transcribed_notes(audio: Float[Tensor, "2 samples"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What basic-pitch hears: intervals (note, 2) in seconds, pitches in Hz, confidences from 0 to 1.

    Raises ImportError where it is not installed.
    """
    from basic_pitch.inference import predict

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        soundfile.write(file.name, audio.T.numpy().clip(-1, 1), SAMPLE_RATE)
        with contextlib.redirect_stdout(io.StringIO()):  # it names the file
            events = predict(file.name, _transcriber())[2]
    intervals = np.array([event[:2] for event in events]).reshape(-1, 2)
    pitches = librosa.midi_to_hz(np.array([event[2] for event in events]))
    return intervals, pitches, np.array([event[3] for event in events], dtype=float)
