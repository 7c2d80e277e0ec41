"""The shape of the network."""

from dataclasses import dataclass

from samuel.config import LATENT_CHANNELS
from samuel.model.attention_mix import ATTENTION_MIXES
from samuel.model.conditions import CONDITION_CHANNELS


@dataclass(frozen=True)
class ModelConfig:
    """The U-Net of the paper's section IV. Raises ValueError for a shape that cannot be built."""

    channels: tuple[int, ...] = (64, 128, 256, 512)
    """Channels at each level, the bottleneck last. Each level has half the frames of the one above."""
    attention_levels: tuple[int, ...] = (1, 2)
    """Levels above the bottleneck whose down blocks attend to the vocals; the bottleneck always does."""
    heads: int = 8
    head_channels: int = 64
    window: int = 16
    """Frames that local attention sees."""
    time_channels: int = 512
    bottleneck_blocks: int = 2
    vocal_blocks: tuple[int, ...] = (1, 1, 1, 2)
    """Convolutions of the vocal encoder at each level."""
    groups: int = 8
    """Groups of each GroupNorm."""
    mixing: str = "prose"
    """How global and local attention are mixed: a name in `samuel.model.attention_mix.ATTENTION_MIXES`."""
    latent_channels: int = LATENT_CHANNELS
    condition_channels: int = LATENT_CHANNELS
    """Channels that are given beside the noise: the vocals' latents, or all of `samuel.model.conditions`."""
    preconditioned: bool = False
    """Whether inputs and targets are brought to unit variance by latent (`samuel.model.preconditioning`)."""

    def __post_init__(self) -> None:
        if self.mixing not in ATTENTION_MIXES:
            raise ValueError(f"expected mixing to be one of {sorted(ATTENTION_MIXES)}, got {self.mixing!r}")
        if any(channels % self.groups for channels in self.channels):
            raise ValueError(f"expected channels divisible by {self.groups} groups, got {self.channels}")
        if self.condition_channels not in (self.latent_channels, CONDITION_CHANNELS):
            raise ValueError(
                f"expected condition_channels of {self.latent_channels} (vocals alone) or {CONDITION_CHANNELS} "
                f"(samuel.model.conditions), got {self.condition_channels}"
            )
        if self.window % 2:
            raise ValueError(f"expected an even window, got {self.window}")

    @property
    def plays_lead_sheets(self) -> bool:
        """Whether the network is given lead sheet, arrangement and features beside the vocals."""
        return self.condition_channels == CONDITION_CHANNELS

    @property
    def downsampling(self) -> int:
        """Latent frames that one bottleneck frame covers."""
        return int(2 ** (len(self.channels) - 1))
