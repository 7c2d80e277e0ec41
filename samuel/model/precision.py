"""In which precision networks multiply. Sums over steps and everything between products stay float32, and weights in training."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def has_bfloat16(device: torch.device) -> bool:
    """Whether products are faster in it: on GPUs and CPUs that have it (1.5 times as fast on a core with AVX512-BF16)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 for products on devices that have it, else nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


class Product(nn.Module):
    """A convolution of stride 1 over time, (batch, channel, frame), as one product of matrices.

    On a CPU in bfloat16 that takes half of its time: the convolution would bring its weights into another order at each
    call.
    """

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        assert convolution.bias is not None
        self.reach = convolution.kernel_size[0] // 2
        matrix = convolution.weight.permute(0, 2, 1).flatten(1).contiguous()
        self.weight = nn.Parameter(matrix, requires_grad=False)
        self.bias = nn.Parameter(convolution.bias[:, None], requires_grad=False)

    def forward(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch out frame"]:
        x = x.to(self.weight.dtype)
        if self.reach:
            frames, padded = x.shape[-1], F.pad(x, (self.reach, self.reach))
            x = torch.cat([padded[..., k : k + frames] for k in range(2 * self.reach + 1)], dim=1)
        return torch.baddbmm(self.bias, self.weight.expand(len(x), -1, -1), x)


def is_product(part: nn.Module) -> bool:
    """Whether `Product` can take its place."""
    return (
        isinstance(part, nn.Conv1d)
        and part.stride == part.dilation == (1,)
        and part.groups == 1
        and part.padding == (part.kernel_size[0] // 2,)
        and part.padding_mode == "zeros"
        and part.bias is not None
    )


def keep_as_multiplied(model: nn.Module) -> None:
    """On a CPU, keep the weights of products as they are multiplied, in bfloat16: half the memory, and less time.

    For a network that only generates: what it was trained to is rounded.
    """
    device = next(model.parameters()).device
    if device.type != "cpu" or not has_bfloat16(device):
        return
    for part in list(model.modules()):
        if isinstance(part, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            part.bfloat16()
        for name, child in part.named_children():
            if is_product(child):
                assert isinstance(child, nn.Conv1d)
                part.register_module(name, Product(child.bfloat16()))
