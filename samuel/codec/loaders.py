"""Where codecs come from: the package, the hub, or a local config and checkpoint.

A local codec is a stable-audio-tools config (JSON, of an autoencoder or of a whole diffusion model that
holds one) with a checkpoint: safetensors, or torch's format read with weights_only=True. A folder of
diffusers' AutoencoderOobleck works too: it is the same network under other names.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from samuel.codec.bass import BASS_FILE, BassHead
from samuel.codec.codec import Codec
from samuel.config import AUDIO_CHANNELS, FRAME_SAMPLES, LATENT_CHANNELS, SAMPLE_RATE
from samuel.storage.one_file import only_file

MINI_FOLDER = Path(__file__).parent / "weights"
STABLE_AUDIO_OPEN = "stabilityai/stable-audio-open-1.0"
CONFIG_NAMES = ("model_config.json", "config.json")
CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth")

# Where an autoencoder's own keys begin in the checkpoints that stable-audio-tools writes: a diffusion model,
# an autoencoder's trainer (the averaged weights before the raw ones), the bare autoencoder.
KEY_PREFIXES = ("pretransform.model.", "autoencoder_ema.ema_model.", "autoencoder.", "")


def load_codec(name: str | Path, device: torch.device | str = "cpu") -> Codec:
    """The codec called "mini" or "stable-audio-open", or one in a local folder or checkpoint file.

    A folder holds one config (`model_config.json` or `config.json`) and one checkpoint; safetensors go before
    others, so a training run's folder works. The config of a checkpoint file lies beside it. Raises ValueError if
    something is missing, or does not have 64 latents a 2048-sample frame of 44.1 kHz stereo.
    """
    if str(name) == "mini":
        config_path, checkpoint, label = MINI_FOLDER / "config.json", MINI_FOLDER / "mini.safetensors", "mini"
    elif str(name) == "stable-audio-open":
        config_path, checkpoint = _fetch_stable_audio_open()
        label = "stable-audio-open"
    else:
        config_path, checkpoint = _find(Path(name))
        label = checkpoint.parent.name if checkpoint.stem in ("model", "mini") else checkpoint.stem
    settings = json.loads(config_path.read_text())
    network = _build(settings, read_checkpoint(checkpoint), str(config_path))
    identity = decoding = f"{label}@{sha256_of(checkpoint)[:12]}"
    mini = settings.get("model_type") == "samuel-mini"
    if mini:
        decoding += f" decoder {network.revision}"
        if (bass := checkpoint.parent / BASS_FILE).is_file():
            network.decoder.bass = read_bass(bass)
            decoding += f" bass {sha256_of(bass)[:12]}"
    network = network.eval().to(device)
    return Codec(
        lambda audio: encode_mean(network, audio),
        network.decode,
        identity,
        device,
        reach=settings.get("reach"),
        perceptual_weight=getattr(network, "perceptual_weight", None),
        parameters=sum(one.numel() for one in network.parameters()),
        counts_frames=mini,
        decoding=decoding,
        power=getattr(network, "power", None),
        gain_exponent=getattr(network, "gain_exponent", 1.0),
    )


def codec_at_hand(identity: str, name: str = "", device: torch.device | str = "cpu") -> Codec | None:
    """The codec of that identity: the one called `name`, or the package's; None where neither has it."""
    if not name and not identity.startswith("mini@"):
        return None
    found = load_codec(name or "mini", device)
    return found if found.identity == identity else None


def encode_mean(network: Any, audio: Tensor) -> Tensor:
    """The latents of a stable-audio-tools autoencoder without chance: a VAE's mean, not a sample."""
    if type(getattr(network, "bottleneck", None)).__name__ == "VAEBottleneck":
        mean, _scale = network.encode(audio, skip_bottleneck=True).chunk(2, dim=1)
        return mean
    return network.encode(audio)


def read_bass(path: Path) -> BassHead:
    """What `mini` knows of the bass. Raises ValueError for another file."""
    return _with_weights(BassHead(), read_checkpoint(path), str(path))


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Tensors by name. Never runs code from the file: safetensors, or torch's format with weights only."""
    if path.suffix == ".safetensors":
        return load_file(path)
    contents = torch.load(path, map_location="cpu", weights_only=True)
    return contents.get("state_dict", contents)


def _find(path: Path) -> tuple[Path, Path]:
    """The config and the checkpoint that `path`, a folder or a checkpoint file, stands for."""
    if path.is_file():
        checkpoint = path
    elif path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in CHECKPOINT_SUFFIXES and p.name != BASS_FILE)
        found = [p for p in files if p.suffix == ".safetensors"] or files
        checkpoint = only_file(path, found, f"checkpoint ({', '.join(CHECKPOINT_SUFFIXES)})")
    else:
        raise ValueError(
            f'{path}: no such codec; expected "mini", "stable-audio-open", or a local folder or checkpoint'
        )
    candidates = [checkpoint.parent / name for name in CONFIG_NAMES]
    for candidate in candidates:
        if candidate.is_file():
            return candidate, checkpoint
    tried = ", ".join(map(str, candidates))
    raise ValueError(
        f"{checkpoint}: its config is missing (looked for {tried}); put it beside the checkpoint"
    )


def _fetch_stable_audio_open() -> tuple[Path, Path]:
    from huggingface_hub import hf_hub_download

    try:
        return (
            Path(hf_hub_download(STABLE_AUDIO_OPEN, "vae/config.json")),
            Path(hf_hub_download(STABLE_AUDIO_OPEN, "vae/diffusion_pytorch_model.safetensors")),
        )
    except OSError as error:  # every error of the hub's client is one: gated, offline, unknown
        raise ValueError(
            f"The Stable Audio Open VAE could not be fetched ({type(error).__name__}). It is gated: accept its "
            f"licence at https://huggingface.co/{STABLE_AUDIO_OPEN}, then set HF_TOKEN to a token of that "
            "account (or run `hf auth login`). Without access to the hub, copy that repository's `vae` folder "
            "here and pass its path instead of the name."
        ) from error


def _build(settings: dict[str, Any], weights: dict[str, Tensor], where: str) -> Any:
    """The autoencoder that a config describes, with its weights."""
    if settings.get("model_type") == "samuel-mini":
        from samuel.codec.mini import MiniAutoencoder

        model = MiniAutoencoder.from_config(settings["model"])
        return _with_weights(model, weights, where)
    if settings.get("_class_name") == "AutoencoderOobleck":
        settings, weights = from_diffusers(settings, weights)
    autoencoder = settings.get("model", {})
    if "pretransform" in autoencoder and "encoder" not in autoencoder:  # a diffusion model around it
        autoencoder = autoencoder["pretransform"].get("config", {})
    _check(settings, autoencoder, where)

    from stable_audio_tools.models.autoencoders import create_autoencoder_from_config

    model = create_autoencoder_from_config({"sample_rate": settings["sample_rate"], "model": autoencoder})
    if model.is_discrete:
        raise ValueError(f"{where}: expected continuous latents, received a discrete bottleneck; use a VAE")
    return _with_weights(model, weights, where)


def _check(settings: dict[str, Any], autoencoder: dict[str, Any], where: str) -> None:
    expected = {
        "sample_rate": (SAMPLE_RATE, settings.get("sample_rate")),
        "io_channels": (AUDIO_CHANNELS, autoencoder.get("io_channels")),
        "downsampling_ratio": (FRAME_SAMPLES, autoencoder.get("downsampling_ratio")),
        "latent_dim": (LATENT_CHANNELS, autoencoder.get("latent_dim")),
    }
    wrong = [f"{key} {want}, received {got}" for key, (want, got) in expected.items() if want != got]
    if wrong:
        raise ValueError(
            f"{where}: expected {'; '.join(wrong)}. Choose an autoencoder of 44.1 kHz stereo with "
            "64 latents a 2048-sample frame, such as Stable Audio Open's."
        )


def _with_weights(model: nn.Module, weights: dict[str, Tensor], where: str) -> Any:
    wanted = {key: value.shape for key, value in model.state_dict().items()}
    for prefix in KEY_PREFIXES:
        mine = {key: weights[prefix + key].float() for key in wanted if prefix + key in weights}
        if {key: value.shape for key, value in mine.items()} == wanted:
            model.load_state_dict(mine)
            return model
    missing = sorted(k for k, shape in wanted.items() if k not in weights or weights[k].shape != shape)
    raise ValueError(
        f"{where}: the checkpoint lacks, or holds in another size, {len(missing)} of the autoencoder's "
        f"{len(wanted)} tensors (such as {missing[0]}); it belongs to another config"
    )


def from_diffusers(
    settings: dict[str, Any], weights: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """diffusers' AutoencoderOobleck as a stable-audio-tools config and weights: the same 365 tensors."""
    strides, channels = settings["downsampling_ratios"], settings["channel_multiples"]
    shared = {"c_mults": channels, "strides": strides, "use_snake": True}
    latents, ratio = settings["decoder_input_channels"], 1
    for stride in strides:
        ratio *= stride
    io = settings["audio_channels"]
    encoder = {"in_channels": io, "channels": settings["encoder_hidden_size"], "latent_dim": 2 * latents}
    decoder = {"out_channels": io, "channels": settings["decoder_channels"], "latent_dim": latents}
    config = {
        "model_type": "autoencoder",
        "sample_rate": settings["sampling_rate"],
        "model": {
            "encoder": {"type": "oobleck", "config": encoder | shared},
            "decoder": {"type": "oobleck", "config": decoder | shared | {"final_tanh": False}},
            "bottleneck": {"type": "vae"},
            "latent_dim": latents,
            "downsampling_ratio": ratio,
            "io_channels": io,
        },
    }
    renamed = {_oobleck_key(key, len(strides)): value for key, value in weights.items()}
    return config, {k: v.flatten() if k.endswith(("alpha", "beta")) else v for k, v in renamed.items()}


def _oobleck_key(key: str, blocks: int) -> str:
    """encoder.block.2.res_unit1.snake1.alpha -> encoder.layers.3.layers.0.layers.0.alpha"""
    side, *middle, leaf = key.split(".")
    path = [side]
    inner = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
    units = {f"res_unit{n}": n - 1 for n in (1, 2, 3)} | {"snake1": 3, "conv1": 4}
    if side == "decoder":  # upsamples before its residual units, the encoder downsamples after them
        units = {"snake1": 0, "conv_t1": 1} | {f"res_unit{n}": n + 1 for n in (1, 2, 3)}
    if middle[0] == "block":
        path += ["layers", str(int(middle[1]) + 1), "layers", str(units[middle[2]])]
        path += ["layers", str(inner[middle[3]])] if re.fullmatch(r"res_unit\d", middle[2]) else []
    else:
        outer = {"conv1": 0, "snake1": blocks + 1, "conv2": blocks + 2}
        path += ["layers", str(outer[middle[0]])]
    return ".".join([*path, leaf])
