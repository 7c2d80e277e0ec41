"""Inputs and targets of unit variance at every noise level, latent by latent (Karras et al. 2022, table 1).

With x = alpha x0 + sigma noise, alpha^2 + sigma^2 = 1, and a latent of deviation d, the variance of x is
D = alpha^2 d^2 + sigma^2. The best guess of v = alpha noise - sigma x0 from that latent's own x alone (Wiener) is

    c_skip x,  c_skip = alpha sigma (1 - d^2) / D,

and what it leaves has deviation c_out = d / sqrt(D). So a network F with unit inputs and targets gives

    v = c_skip x + c_out F(c_in x),  c_in = 1 / sqrt(D).

With d = 1, c_in = c_out = 1 and c_skip = 0: v-prediction as it is.
"""

from jaxtyping import Float
from torch import Tensor

Scales = Float[Tensor, "batch channel 1"]


def preconditioning(
    alpha: Float[Tensor, " batch"], deviation: Float[Tensor, " channel"]
) -> tuple[Scales, Scales, Scales]:
    """(c_in, c_skip, c_out) at each `alpha` for latents of standard deviations `deviation`."""
    alpha = alpha.float()[:, None, None]
    sigma2 = 1 - alpha.square()
    variance = deviation.float().square()[:, None]
    total = alpha.square() * variance + sigma2
    c_in = total.rsqrt()
    return c_in, alpha * sigma2.clamp(min=0).sqrt() * (1 - variance) / total, variance.sqrt() * c_in
