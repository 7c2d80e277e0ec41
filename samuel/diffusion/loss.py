"""What the network is trained to do: the weighted squared error of v (paper, equation 6)."""

from jaxtyping import Float
from torch import Tensor

from samuel.diffusion.process import Latents, Levels

GAMMA = 5.0


def min_snr_weight(alpha: Levels) -> Levels:
    """Weight of the squared error of v at each alpha: 1 up to an SNR of `GAMMA`, then falling.

    The paper's weight SNR = abar / (1 - abar) has no bound as noise vanishes, and is zero where
    generation starts. The error of v is SNR + 1 times the error of x0 (Salimans & Ho 2022), so an even
    weight on v already is the paper's emphasis on clean steps, with a floor of one. Clamping
    the SNR at `GAMMA` (min-SNR, Hang et al. 2023) then gives (min(SNR, GAMMA) + 1) / (SNR + 1).
    """
    abar = alpha.square()
    # SNR + 1 = 1 / (1 - abar): no division, so neither end of the schedule is special.
    return ((1 + GAMMA) * (1 - abar)).clamp(max=1)


def weighted_error(predicted: Latents, target: Latents, alpha: Levels) -> Float[Tensor, " batch"]:
    """The weighted mean squared error of each sample."""
    return min_snr_weight(alpha) * (predicted.float() - target.float()).square().mean(dim=(1, 2))
