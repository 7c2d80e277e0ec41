"""Demucs models (Rouard et al., "Hybrid Transformers for Music Source Separation", ICASSP 2023).

Weights come from the hub by a model's name, or from a local folder in either of Demucs's own formats:
`<signature>.safetensors` or `<signature>[-<checksum>].th`, with an optional `<name>.yaml` that lists the
signatures of a bag of models. Demucs itself would unpickle `.th` files and call whatever class a
safetensors file names; here both may only build Demucs's own networks.
"""

import hashlib
import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import yaml
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from samuel.config import AUDIO_CHANNELS, SAMPLE_RATE
from samuel.storage.one_file import only_file

OVERLAP = 0.25  # of a segment, as Demucs has it
HUB_SECONDS = 10.0  # for the hub to answer at all
BATCH = 8  # segments at once on a GPU; one on a CPU, where more only take memory


class WeightsUnavailable(ValueError):
    """The weights are neither on this machine nor reachable."""


def load_demucs(name: str, device: torch.device) -> "DemucsSeparator":
    """`name`: a name on the hub (htdemucs, htdemucs_ft, ...), or a path to a folder, a .yaml, .th or
    .safetensors file."""
    path = Path(name).expanduser()
    if path.exists():
        label, files, bag = _local_files(path)
    elif path.suffix or len(path.parts) > 1:
        raise WeightsUnavailable(
            f"no Demucs weights at {path}: expected a folder or a .yaml, .th or .safetensors file"
        )
    else:
        label, files, bag = _hub_files(name)
    return DemucsSeparator(name, label, files, bag, device)


class DemucsSeparator:
    """Audio -> vocals; see `samuel.separation.Separator`."""

    def __init__(self, name: str, label: str, files: list[Path], bag: dict[str, Any], device: torch.device):
        from demucs.apply import BagOfModels

        digest = hashlib.sha256(json.dumps(bag.get("weights")).encode())
        for file in files:
            digest.update(file.read_bytes())
        self.name = name
        self.identity = f"demucs:{label}@{digest.hexdigest()[:12]}"
        self.device = device
        models = [_load_network(file) for file in files]
        self.model = BagOfModels(models, bag.get("weights"), bag.get("segment")).to(device).eval()
        if "vocals" not in self.model.sources:
            raise ValueError(f"{label} separates {', '.join(self.model.sources)}: it has no vocals")
        if (self.model.samplerate, self.model.audio_channels) != (SAMPLE_RATE, AUDIO_CHANNELS):
            raise ValueError(
                f"expected a model for {SAMPLE_RATE} Hz and {AUDIO_CHANNELS} channels; {label} is for "
                f"{self.model.samplerate} Hz and {self.model.audio_channels}"
            )
        self.vocals = self.model.sources.index("vocals")
        self.segment = int(min(float(model.segment) for model in models) * SAMPLE_RATE)

    @torch.no_grad()
    def __call__(self, audio: Float[Tensor, "2 samples"]) -> Float[Tensor, "2 samples"]:
        """Segments that overlap by a quarter, joined with triangular weights, as in Demucs; without its
        random shift, so that the same song always gives the same stems."""
        from demucs.apply import apply_model

        samples, stride = audio.shape[1], int((1 - OVERLAP) * self.segment)
        mono = audio.mean(0)
        mean, scale = mono.mean(), mono.std(correction=0) + 1e-8
        starts = range(0, samples, stride)
        mix = functional.pad((audio - mean) / scale, (0, starts[-1] + self.segment - samples))
        ramp = torch.arange(1, self.segment + 1, dtype=torch.float32)
        weight = torch.minimum(ramp, ramp.flip(0)).to(audio.device)
        vocals, total = torch.zeros_like(mix), torch.zeros_like(mix[0])
        batch = BATCH if self.device.type == "cuda" else 1
        for group in range(0, len(starts), batch):
            members = starts[group : group + batch]
            segments = torch.stack([mix[:, start : start + self.segment] for start in members]).to(
                self.device
            )
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                stems = apply_model(self.model, segments, shifts=0, split=False, device=self.device)
            for start, stem in zip(members, stems[:, self.vocals].float().to(audio.device), strict=True):
                vocals[:, start : start + self.segment] += stem * weight
                total[start : start + self.segment] += weight
        return (vocals / total * scale)[:, :samples]


def _local_files(path: Path) -> tuple[str, list[Path], dict[str, Any]]:
    """(label, weight files, bag) of a local model."""
    if path.is_dir():
        found = sorted(path.glob("*.yaml")) or sorted([*path.glob("*.safetensors"), *path.glob("*.th")])
        path = only_file(path, found, "model (.yaml, .safetensors or .th)")
    if path.suffix != ".yaml":
        return path.stem, [path], {}
    bag = yaml.safe_load(path.read_text())
    files = []
    for signature in bag["models"]:
        candidates = sorted(
            file
            for file in path.parent.glob(f"{signature}*")
            if file.suffix in (".safetensors", ".th") and file.stem.split("-")[0] == signature
        )
        if not candidates:
            raise WeightsUnavailable(
                f"{path.name} lists the model {signature}, which is not in {path.parent}"
            )
        files.append(candidates[0])
    return path.stem, files, bag


def _hub_files(name: str) -> tuple[str, list[Path], dict[str, Any]]:
    """(label, weight files, bag) of a model on Demucs's hub, from the local cache where it is there."""
    from demucs.hf import DEFAULT_NAMESPACE, hf_repo_name
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.utils import get_session

    repository = f"{DEFAULT_NAMESPACE}/{hf_repo_name(name)}"
    try:
        if not isinstance(try_to_load_from_cache(repository, f"{name}.yaml"), str):
            get_session().head(
                constants.ENDPOINT, timeout=HUB_SECONDS
            )  # its client alone would retry for 23 s
        bag = yaml.safe_load(Path(hf_hub_download(repository, f"{name}.yaml")).read_text())
        files = [Path(hf_hub_download(repository, f"{model}.safetensors")) for model in bag["models"]]
    except Exception as error:  # the hub's client raises many unrelated types: no network, no such name, ...
        raise WeightsUnavailable(
            f"the weights of the Demucs model {name!r} cannot be had: {type(error).__name__} on {repository}. "
            "Check the name and the network, pass the path of a folder that holds the weights, or use the "
            "separator 'spleeter', whose weights are installed with this project."
        ) from error
    return name, files, bag


def _load_network(file: Path) -> Any:
    """One network of a bag, from either format, without running code from the file."""
    from demucs.demucs import Demucs
    from demucs.hdemucs import HDemucs
    from demucs.hf import load_safetensors_model
    from demucs.htdemucs import HTDemucs
    from demucs.states import load_model

    networks = (Demucs, HDemucs, HTDemucs)
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(str(file), framework="pt") as opened:
            metadata = opened.metadata() or {}
        known = {f"{network.__module__}.{network.__name__}" for network in networks}
        if metadata.get("klass") not in known or "_class" in metadata.get("structure", ""):
            raise ValueError(f"{file} is not a plain Demucs model: its class is {metadata.get('klass')!r}")
        return load_safetensors_model(file)
    if file.suffix != ".th":
        raise ValueError(f"expected a .yaml, .safetensors or .th file; received {file}")
    checksum = file.stem.partition("-")[2]
    if not hashlib.sha256(file.read_bytes()).hexdigest().startswith(checksum):
        raise ValueError(
            f"{file} is damaged: its content does not have the checksum of its name; fetch it again"
        )
    try:
        with torch.serialization.safe_globals([*networks, Fraction]):
            package = torch.load(file, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{file} holds more than a plain Demucs model and is not opened: {error}") from error
    return load_model(package)
