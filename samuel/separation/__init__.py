"""A song's audio -> stems: the vocals, and the accompaniment, which is the song minus the vocals.

Audio is float32 (2, samples) in [-1, 1] at 44.1 kHz. So whatever a separator mistakes, the two stems
always add up to the song.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import AUDIO_CHANNELS

DEMUCS_LICENCE = (
    "none stated; of the pre-trained Demucs models their author says: for scientific purposes only "
    "(https://github.com/facebookresearch/demucs/issues/327)"
)


@runtime_checkable
class Separator(Protocol):
    """`identity` names the model and a hash of its weights: "spleeter:2stems@9a7bab92723f"; `name` loads it again."""

    name: str
    identity: str

    def __call__(self, audio: Float[Tensor, "2 samples"]) -> Float[Tensor, "2 samples"]:
        """The vocals of a song of any length, on the device of `audio`. The same input gives the same bits."""
        ...


@dataclass(frozen=True)
class Stems:
    vocals: Float[Tensor, "2 samples"]
    accompaniment: Float[Tensor, "2 samples"]


def load_separator(name: str = "spleeter", device: str | torch.device = "cpu") -> Separator:
    """A separator by name.

    "spleeter", and "auto": its weights are installed with this project, under the MIT licence. "htdemucs" or another
    name of a Demucs model: fetched from its hub; what these weights may be used for is in doubt (see `licence_of`), so
    they are never chosen unasked. A path to a folder or file of Demucs weights: read from there.

    On a GPU it computes in half precision. Raises ValueError, saying what to do, where weights are missing.
    """
    from samuel.separation.demucs import load_demucs
    from samuel.separation.spleeter import Spleeter

    chosen = torch.device(device)
    return Spleeter(chosen) if name in ("auto", "spleeter") else load_demucs(name, chosen)


def licence_of(identity: str) -> str:
    """What is known of the licence of a separator's weights, by its identity."""
    if identity.startswith("spleeter:"):
        return "MIT"
    if identity.startswith("demucs:"):
        return DEMUCS_LICENCE
    return "unknown"


def split_stems(separator: Separator, audio: Float[Tensor, "2 samples"]) -> Stems:
    """Vocals by the separator, accompaniment = audio - vocals."""
    if audio.shape[0] != AUDIO_CHANNELS or audio.shape[1] == 0:
        raise ValueError(f"expected audio shaped (2, samples), samples > 0; received {tuple(audio.shape)}")
    vocals = separator(audio)
    return Stems(vocals, audio - vocals)
