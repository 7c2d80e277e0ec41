"""A real HTDemucs, small and untrained, saved as Demucs saves its own."""

import hashlib
import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import torch
from demucs.htdemucs import HTDemucs

SOURCES = ["drums", "bass", "other", "vocals"]


def tiny_model(**changes: Any) -> HTDemucs:
    torch.manual_seed(0)
    options: dict[str, Any] = {"sources": SOURCES, "channels": 8, "nfft": 1024, "depth": 3, "t_layers": 1}
    options |= {"t_heads": 2, "segment": Fraction(1, 2)} | changes
    return HTDemucs(**options).eval()


def package(model: HTDemucs) -> dict[str, Any]:
    """What demucs.states.serialize_model makes, in full precision."""
    args, kwargs = cast(tuple[list, dict], model._init_args_kwargs)
    return {
        "klass": type(model),
        "args": args,
        "kwargs": kwargs,
        "state": model.state_dict(),
        "training_args": {"dset": {"segment": 11}},
    }


def save_package(folder: Path, content: dict[str, Any], signature: str = "tiny") -> Path:
    """<signature>-<checksum>.th, as demucs.states.save_with_checksum names it."""
    folder.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    torch.save(content, data)
    checksum = hashlib.sha256(data.getvalue()).hexdigest()[:8]
    (folder / f"{signature}-{checksum}.th").write_bytes(data.getvalue())
    return folder


def save_model(folder: Path, model: HTDemucs, signature: str = "tiny") -> Path:
    return save_package(folder, package(model), signature)


def save_safetensors(folder: Path, model: HTDemucs, klass: str = "demucs.htdemucs.HTDemucs") -> Path:
    """As on Demucs's hub: class and arguments as JSON in the metadata."""
    from safetensors.torch import save_file

    args, kwargs = cast(tuple[list, dict], model._init_args_kwargs)

    def encode(value: Any) -> Any:
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}

    metadata = {"klass": klass, "args": json.dumps(args), "kwargs": json.dumps(kwargs, default=encode)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.clone() for k, v in model.state_dict().items()}, folder / "tiny.safetensors", metadata)
    return folder
