"""In which precision networks multiply. Sums over steps and everything between products stay float32, and weights in training."""

import torch
from torch import nn


def has_bfloat16(device: torch.device) -> bool:
    """Whether products are faster in it: on GPUs and CPUs that have it (1.5 times as fast on a core with AVX512-BF16)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 for products on devices that have it, else nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def keep_as_multiplied(model: nn.Module) -> None:
    """On a CPU, keep the weights of products as `autocast` would make them for every song: half the memory, the same bits.

    For a network that only generates: what it was trained to is rounded.
    """
    device = next(model.parameters()).device
    if device.type == "cpu" and has_bfloat16(device):
        for part in model.modules():
            if isinstance(part, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
                part.bfloat16()
