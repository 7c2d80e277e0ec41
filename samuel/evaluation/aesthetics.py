"""AudioBox-Aesthetics (Tjandra et al. 2025): four predicted opinions of 1 to 10, by Meta's own package.

PQ production quality, PC production complexity, CE content enjoyment, CU content usefulness. The SAMUeL paper calls
CU "Content Unity" and describes it as coherence; the model was trained on usefulness: how likely one is to use the
sound as material.

A track is heard in windows of ten seconds, weighted by their lengths, as the package does it. But windows of one
track only go through the network together (one at a time on a CPU), so memory does not grow with the track, and
no bit of a score depends on other tracks.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import SAMPLE_RATE
from samuel.evaluation.hub import answers

AXES = ("PQ", "PC", "CE", "CU")
HUB = "facebook/audiobox-aesthetics"
WINDOW_SECONDS = 10
WINDOWS_AT_ONCE = {"cpu": 1, "cuda": 32}


class WeightsError(ValueError):
    """Weights that cannot be had here; the message says what to do."""


class Aesthetics:
    """The judge. `weights`: "hub", or the package's `checkpoint.pt` in a local file. On a GPU where there is one.

    Raises WeightsError.
    """

    def __init__(self, weights: str = "hub") -> None:
        from audiobox_aesthetics.infer import AesPredictor

        with explained(weights):
            self.predictor: Any = AesPredictor(checkpoint_pth=local_weights(weights))

    def __call__(self, audio: Float[Tensor, "2 samples"]) -> dict[str, float]:
        """PQ, PC, CE and CU of stereo at 44.1 kHz."""
        rate = self.predictor.sample_rate
        (mono,) = self.predictor.audio_resample_mono([{"path": audio, "sample_rate": SAMPLE_RATE}])
        windows = mono.split(WINDOW_SECONDS * rate, dim=1)
        at_once = WINDOWS_AT_ONCE.get(self.predictor.device.type, 1)
        rated: list[dict[str, float]] = []
        for start in range(0, len(windows), at_once):
            batch = [{"path": one, "sample_rate": rate} for one in windows[start : start + at_once]]
            rated += self.predictor.forward(batch)
        weights = torch.tensor([window.shape[1] for window in windows], dtype=torch.float64)
        return {
            axis: float((torch.tensor([one[axis] for one in rated]) * weights).sum() / weights.sum())
            for axis in AXES
        }


def fetch_weights(weights: str) -> str:
    """Have the weights on this machine, without loading them; what they are, as a short name. Raises WeightsError."""
    from huggingface_hub import hf_hub_download

    with explained(weights):
        path = local_weights(weights)
        if path is None:
            logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of each of its tries
            here = not answers(HUB)
            hf_hub_download(HUB, "config.json", local_files_only=here)
            path = hf_hub_download(HUB, "model.safetensors", local_files_only=here)
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def local_weights(weights: str) -> str | None:
    """The path of a checkpoint, None for the hub's. Raises FileNotFoundError."""
    if weights == "hub":
        return None
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file at {path}")
    return str(path)


@contextmanager
def explained(weights: str) -> Iterator[None]:
    """Turn what the hub's client and torch raise (some dozen kinds) into one WeightsError that helps."""
    try:
        yield
    except Exception as error:
        first_line = next(iter(str(error).splitlines()), "")
        raise WeightsError(
            f"the weights of AudioBox-Aesthetics cannot be had from {weights} ({type(error).__name__}: "
            f"{first_line}). Expected the hub's {HUB}, reachable or in its cache (HF_HOME), or the package's "
            "checkpoint.pt as a local file: give its path with --aesthetics, or none to go without"
        ) from error
