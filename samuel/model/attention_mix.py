"""How much of the attention is global and how much local, by the noise level (paper, section IV-B).

The paper contradicts itself. Its equation 3 weighs global attention by sqrt(abar), which is 1 without
noise; its prose says that global attention dominates when there is much noise ("early diffusion
stages (large t) emphasize global attention for overall musical structure"). Both are here by name.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Level = Float[Tensor, " batch"]


def prose(alpha: Level) -> Level:
    """Weight of global attention, falling with alpha = sqrt(abar): structure first, then detail."""
    return 1 - alpha


def equation(alpha: Level) -> Level:
    """Weight of global attention as in equation 3: sqrt(abar)."""
    return alpha


ATTENTION_MIXES: dict[str, Callable[[Level], Level]] = {"prose": prose, "equation": equation}
