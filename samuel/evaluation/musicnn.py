"""An embedding of music: the last layer before the tags of musicnn's `MSD_vgg` (Pons & Serra 2019).

It was trained to tag half a million songs of the Million Song Dataset, and its weights come with this package, so
that a Fréchet distance needs no hub. It hears mono at 16 kHz, three seconds at a time: nothing above 8 kHz counts.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from samuel.audio import resample
from samuel.config import SAMPLE_RATE

NAME = "musicnn MSD_vgg"
WEIGHTS = Path(__file__).parent / "weights" / "musicnn_msd_vgg.safetensors"

RATE = 16_000
WINDOW, HOP, MELS = 512, 256, 96
PATCH_FRAMES = 187
PATCH_SECONDS = PATCH_FRAMES * HOP / RATE
DIMENSIONS = 256
POOLS = (((4, 1), 2), ((2, 2), 2), ((2, 2), 2), ((2, 2), 2), ((4, 4), 4))
"""Size and stride of the pooling after each convolution, over (time, mel band)."""

TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul",
    "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies",
    "blues", "hard rock", "ambient", "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop",
    "70s", "party", "country", "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal",
    "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip


class Musicnn:
    """The network. On a CPU it sees one patch at a time: no bit depends on what else is embedded."""

    def __init__(self, device: str = "cpu") -> None:
        self.weights = load_file(WEIGHTS, device=device)
        self.device = torch.device(device)

    def embed(self, audio: Float[Tensor, "2 samples"]) -> Float[Tensor, "patch 256"]:
        """One vector for each whole three seconds of stereo at 44.1 kHz; none for what is shorter."""
        patches = patches_of(audio)
        at_once = 1 if self.device.type == "cpu" else 32
        parts = [self.layers(part.to(self.device)).cpu() for part in patches.split(at_once)]
        return torch.cat(parts) if parts else torch.zeros(0, DIMENSIONS)

    @torch.inference_mode()
    def layers(self, patches: Float[Tensor, "patch 187 96"]) -> Float[Tensor, "patch 256"]:
        """From log mel power to the embedding."""
        x = self._affine("input", patches[:, None])
        for number, (size, stride) in enumerate(POOLS, start=1):
            name = f"conv{number}"
            x = F.conv2d(
                x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], padding="same"
            ).relu()
            x = F.max_pool2d(self._affine(name, x), size, stride)
        return x.permute(0, 2, 3, 1).flatten(1)

    def tags(self, embedding: Float[Tensor, "patch 256"]) -> Float[Tensor, "patch 50"]:
        """How likely each of `TAGS` is, 0 to 1: to see that the network hears what a person would."""
        on_device = embedding.to(self.device)
        return F.linear(on_device, self.weights["tags.weight"], self.weights["tags.bias"]).sigmoid().cpu()

    def _affine(self, name: str, x: Tensor) -> Tensor:
        scale, shift = (self.weights[f"{name}.{part}"][:, None, None] for part in ("scale", "shift"))
        return x * scale + shift


def patches_of(audio: Float[Tensor, "2 samples"]) -> Float[Tensor, "patch 187 96"]:
    """Log mel power as musicnn was trained on it, in patches that do not overlap."""
    from samuel.compiled import librosa

    mono = resample(audio.mean(dim=0, keepdim=True), SAMPLE_RATE, RATE)[0].cpu().numpy()
    mel = librosa.feature.melspectrogram(y=mono, sr=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=MELS)
    log_mel = (1 + 10_000 * torch.from_numpy(mel.T)).log10()
    count = len(log_mel) // PATCH_FRAMES
    return log_mel[: count * PATCH_FRAMES].reshape(count, PATCH_FRAMES, MELS)
