"""The network: a noisy accompaniment, its noise level and the vocals in, the velocity v out.

Latents are (batch, channel, frame), normalized per channel, of any number of frames. The noise level
is alpha = sqrt(abar) in [0, 1]: 1 is clean, 0 is noise alone. So the network knows nothing of
schedules or steps. What it computes of the conditions alone (`encode_conditions`) serves all steps of a sampler.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from samuel.model.attention import SoftAlignmentAttention
from samuel.model.blocks import NoiseEmbedding, ResidualBlock, VocalBlock, downsample, upsample
from samuel.model.config import ModelConfig
from samuel.model.preconditioning import preconditioning

Latents = Float[Tensor, "batch channel frame"]
Conditions = Float[Tensor, "batch condition frame"]
"""The vocals' latents, or all of `samuel.model.conditions`."""
Context = list[Float[Tensor, "batch _ _"]]
"""Features of what is given at each level, the bottleneck last."""


class ConditionEncoder(nn.Module):
    """What is given, at every level of the U-Net, frame beside frame."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        channels = config.channels
        self.null = nn.Parameter(0.02 * torch.randn(config.condition_channels))
        self.stem = nn.Conv1d(config.condition_channels, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(VocalBlock(width, config.groups) for _ in range(count)))
            for width, count in zip(channels, config.vocal_blocks, strict=True)
        )
        self.downs = nn.ModuleList(map(downsample, channels[:-1], channels[1:]))

    def forward(self, conditions: Conditions, unconditional: Bool[Tensor, " batch"] | None) -> Context:
        if unconditional is not None:
            null = self.null[:, None].to(conditions.dtype)
            conditions = torch.where(unconditional[:, None, None], null, conditions)
        features = self.stem(conditions)
        context = [self.blocks[0](features)]
        for down, block in zip(self.downs, self.blocks[1:], strict=True):
            context.append(block(down(context[-1])))
        return context


class SamuelUNet(nn.Module):
    """The paper's U-Net (section IV), about 15 M parameters with the default config."""

    deviation: Float[Tensor, " channel"]
    """Of each normalized latent, where the network is preconditioned."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        channels, groups, time = config.channels, config.groups, config.time_channels

        def attention(width: int) -> SoftAlignmentAttention:
            return SoftAlignmentAttention(
                width, config.heads, config.head_channels, config.window, groups, config.mixing
            )

        self.embed_noise = NoiseEmbedding(time)
        self.encode = ConditionEncoder(config)
        self.stem = nn.Conv1d(config.latent_channels, channels[0], 3, padding=1)
        if config.plays_lead_sheets:  # what is given may be copied from the first convolution on
            self.join = nn.Conv1d(channels[0], channels[0], 1)
        if config.preconditioned:
            self.register_buffer("deviation", torch.ones(config.latent_channels))

        self.down_blocks = nn.ModuleList(ResidualBlock(width, width, time, groups) for width in channels[:-1])
        self.attend = nn.ModuleDict(
            {str(level): attention(channels[level]) for level in config.attention_levels}
        )
        self.downs = nn.ModuleList(map(downsample, channels[:-1], channels[1:]))

        deepest = channels[-1]
        self.bottleneck = nn.ModuleList(
            ResidualBlock(deepest, deepest, time, groups) for _ in range(config.bottleneck_blocks)
        )
        self.attend_vocals = attention(deepest)
        self.attend_self = attention(deepest)

        self.ups = nn.ModuleList(map(upsample, channels[:0:-1], channels[-2::-1]))
        self.up_blocks = nn.ModuleList(
            ResidualBlock(2 * width, width, time, groups) for width in channels[-2::-1]
        )
        self.normalize = nn.GroupNorm(groups, channels[0])
        self.output = nn.Conv1d(channels[0], config.latent_channels, 3, padding=1)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        x: Latents,
        alpha: Float[Tensor, " batch"],
        conditions: Conditions,
        unconditional: Bool[Tensor, " batch"] | None = None,
    ) -> Latents:
        """The velocity v of `x` at `alpha` = sqrt(abar).

        Where `unconditional`, a learned null takes the place of all that is given (classifier-free guidance).
        """
        return self.denoise(x, alpha, self.encode_conditions(conditions, unconditional))

    def encode_conditions(
        self, conditions: Conditions, unconditional: Bool[Tensor, " batch"] | None = None
    ) -> Context:
        """What `denoise` needs of the conditions; the same for all noise levels."""
        return self.encode(self._pad(conditions), unconditional)

    def denoise(self, x: Latents, alpha: Float[Tensor, " batch"], context: Context) -> Latents:
        """As `forward`, for what `encode_conditions` has seen. `x` has as many frames as that."""
        if not self.config.preconditioned:
            return self._network(x, alpha, context)
        c_in, c_skip, c_out = preconditioning(alpha, self.deviation)
        return c_skip * x + c_out * self._network(c_in * x, alpha, context).float()

    def _network(self, x: Latents, alpha: Float[Tensor, " batch"], context: Context) -> Latents:
        frames = x.shape[-1]
        time = self.embed_noise(alpha)
        hidden = self.stem(self._pad(x))
        if self.config.plays_lead_sheets:
            hidden = hidden + self.join(context[0])
        skips = []
        for level, (block, down) in enumerate(zip(self.down_blocks, self.downs, strict=True)):
            hidden = block(hidden, context[level], time)
            if str(level) in self.attend:
                hidden = self.attend[str(level)](hidden, alpha, context[level])
            skips.append(hidden)
            hidden = down(hidden)

        first, *others = self.bottleneck
        hidden = first(hidden, context[-1], time)
        hidden = self.attend_vocals(hidden, alpha, context[-1])
        # The bottleneck's convolutions reach 2 s; a band must agree with itself over all of the chunk.
        hidden = self.attend_self(hidden, alpha, hidden)
        for block in others:
            hidden = block(hidden, context[-1], time)

        for up, block in zip(self.ups, self.up_blocks, strict=True):
            skip = skips.pop()
            hidden = block(torch.cat((up(hidden), skip), dim=1), context[len(skips)], time)
        return self.output(F.silu(self.normalize(hidden)))[..., :frames]

    def _pad(self, latents: Latents) -> Float[Tensor, "batch channel padded"]:
        """To a number of frames that the levels can halve."""
        return F.pad(latents, (0, -latents.shape[-1] % self.config.downsampling))
