"""What is known of one file once it has been measured: its record, small enough to keep for all files ever seen.

`FeatureExtractor` makes records. A record is a .npz file (numbers and text, no pickle) of some 15 kB a minute of audio, and
30 kB for a preview.
"""

import io
import json
import time
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from threadpoolctl import threadpool_limits
from torch import Tensor

from samuel.audio import decode
from samuel.config import SAMPLE_RATE
from samuel.errors import in_words
from samuel.evaluation.aesthetics import AXES, Aesthetics
from samuel.evaluation.anchors import ANCHORS
from samuel.evaluation.features import AudioFeatures, audio_features
from samuel.evaluation.figures import preview
from samuel.evaluation.health import health
from samuel.evaluation.musicnn import DIMENSIONS, Musicnn
from samuel.storage import StorageError, is_s3, read_bytes

FORMAT = 2
"""Raise it when a figure is computed in another way: records of another format are made anew."""
LEAST_SECONDS = 0.1
PREVIEW = ("sound", "picture")


@dataclass(frozen=True)
class TrackRecord:
    """One file, as measured. After an error there are no figures, and the features are those of nothing."""

    seconds: float
    """Length of the audio."""
    figures: dict[str, float]
    """AudioBox's four (NaN where it was not to be had) and the fields of `Health`."""
    features: AudioFeatures
    embedding: Float[Array, "patch 256"]
    error: str = ""
    work_seconds: dict[str, float] = field(default_factory=dict)
    """How long each stage took."""
    sound: bytes = b""
    """A preview, as `figures.preview` makes it: an MP3 ..."""
    picture: bytes = b""
    """... and a WebP. Empty where none was asked for."""
    passing: bool = False
    """The error may be gone in another run: not to be kept."""

    def to_bytes(self) -> bytes:
        about = {key: getattr(self, key) for key in ("seconds", "figures", "error", "work_seconds")}
        texts = {"about": json.dumps(about).encode(), **{name: getattr(self, name) for name in PREVIEW}}
        arrays = {name: np.frombuffer(text, dtype=np.uint8) for name, text in texts.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, embedding=self.embedding, **arrays, **self.features.arrays())  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "TrackRecord":
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            about |= {name: arrays[name].tobytes() for name in PREVIEW if name in arrays}
            return cls(features=AudioFeatures.from_arrays(arrays), embedding=arrays["embedding"], **about)


class FeatureExtractor:
    """Measures one file after another; loads its models once. `aesthetics`: as `Aesthetics` takes it, or "none".

    Raises WeightsError.
    """

    def __init__(
        self,
        aesthetics: str = "none",
        device: str = "cpu",
        threads: int | None = None,
        *,
        previews: bool = False,
        notes: bool = False,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
            threadpool_limits(threads)  # the last bit of numpy's products depends on their threads
        self.previews, self.notes = previews, notes
        self.musicnn = Musicnn(device)
        self.aesthetics = None if aesthetics == "none" else Aesthetics(aesthetics)

    def __call__(self, source: str, max_seconds: float = 900.0) -> TrackRecord:
        """The record of a file, or of an anchor written as "anchor:NAME"; errors become its text."""
        began = time.perf_counter()
        try:
            audio = load(source, max_seconds)
            return self.extract(audio, time.perf_counter() - began)
        except StorageError as error:
            return failed(str(error), passing=True)
        except ValueError as error:
            return failed(str(error))
        except Exception as error:  # one bad file never stops a run; it becomes a row with its reason
            return failed(in_words(error), passing=True)

    def extract(self, audio: Float[Tensor, "2 samples"], decode_seconds: float = 0.0) -> TrackRecord:
        """The record of stereo at 44.1 kHz. Raises ValueError for what is too short to be heard."""
        if (seconds := audio.shape[-1] / SAMPLE_RATE) < LEAST_SECONDS:
            raise ValueError(f"too short to be heard: {seconds:.4f} s, expected {LEAST_SECONDS:g} s or more")
        times = {"decode": decode_seconds}
        clock = time.perf_counter()

        def lap(name: str) -> None:
            nonlocal clock
            clock, before = time.perf_counter(), clock
            times[name] = clock - before

        features = audio_features(audio, notes=self.notes)
        lap("hear")
        figures = asdict(health(audio, features))
        lap("health")
        embedding = self.musicnn.embed(audio).numpy()
        lap("embed")
        rated = self.aesthetics(audio) if self.aesthetics else dict.fromkeys(AXES, float("nan"))
        lap("aesthetics")
        shown = preview(audio) if self.previews else (b"", b"")
        lap("preview")
        return TrackRecord(
            audio.shape[-1] / SAMPLE_RATE, rated | figures, features, embedding, "", times, *shown
        )


def failed(error: str, *, passing: bool = False) -> TrackRecord:
    """The record of a file that could not be heard."""
    nothing = np.zeros(0, dtype=np.float32)
    silent = np.zeros((12, 0), dtype=np.float32)
    features = AudioFeatures(nothing, nothing, nothing, silent, nothing, silent, nothing)
    return TrackRecord(
        0.0,
        {},
        features,
        np.zeros((0, DIMENSIONS), dtype=np.float32),
        error or "unknown error",
        passing=passing,
    )


def load(source: str, max_seconds: float) -> Float[Tensor, "2 samples"]:
    """The audio of a file, local or on S3, or of an anchor."""
    if source.startswith("anchor:"):
        return ANCHORS[source.removeprefix("anchor:")]()
    return decode(io.BytesIO(read_bytes(source)) if is_s3(source) else source, max_seconds=max_seconds)
