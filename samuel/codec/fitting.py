"""The linear codec inside `mini`, in closed form.

Encoder: the leading principal components of the weighted features, whitened. Decoder: ridge regression from
a frame's latents and its neighbours' to the amplitudes. The ridge is that of latents with noise added, so the
decoder does not lean on differences that a generated latent would not have.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from samuel.codec.corpus import CorpusPart
from samuel.codec.mini import MiniAutoencoder
from samuel.config import LATENT_CHANNELS

# How much an error counts when principal components are chosen: in the pitch, envelope and side bands, and by
# a band's own spread. Exponent 0 keeps harmony best and loses the faint treble, 1 the reverse (chroma correlation
# 0.95 and mel distance 0.43, against 0.93 and 0.36).
GROUP_WEIGHTS = (1.0, 1.0, 0.3)
SPREAD_EXPONENT = 0.5
LATENT_NOISE = 0.05
LEAST_SPREAD = 0.02  # bands that hardly ever sound must not be blown up


@dataclass
class Moments:
    """Sums for a mean and a covariance, in double precision."""

    count: int
    total: Tensor
    products: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> "Moments":
        rows = rows.double()
        return cls(len(rows), rows.sum(dim=0), rows.T @ rows)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    @property
    def mean(self) -> Tensor:
        return self.total / self.count

    @property
    def covariance(self) -> Tensor:
        return self.products / self.count - torch.outer(self.mean, self.mean)


@torch.no_grad()
def fit(model: MiniAutoencoder, parts: list[CorpusPart], frames_each: int, seed: int) -> float:
    """Set the linear maps of both sides; returns the share of the features' weighted variance explained.

    Uses the middle `frames_each` frames of each part, half of them band-limited.
    """
    encoder, decoder = model.encoder, model.decoder
    sizes = encoder.features.sizes
    chance = torch.Generator().manual_seed(seed)
    pieces = []
    for part in parts:
        count = min(part.frames, frames_each)
        features, fine = part.rows((part.frames - count) // 2, count)
        keep_features, keep_fine = encoder.features.band_limit(1, chance)
        pieces.append((features * keep_features[0], fine * keep_fine[0]))

    moments = sum((Moments.of(features) for features, _ in pieces[1:]), Moments.of(pieces[0][0]))
    spread = moments.covariance.diagonal().sqrt().clamp(min=LEAST_SPREAD)
    groups = torch.cat([torch.full((n,), w) for n, w in zip(sizes[:3], GROUP_WEIGHTS, strict=True)]).double()
    weights = groups * (spread / spread.mean()) ** -SPREAD_EXPONENT
    values, vectors = torch.linalg.eigh(weights[:, None] * moments.covariance * weights)
    kept, directions = values[-LATENT_CHANNELS:].flip(0), vectors[:, -LATENT_CHANNELS:].flip(1)
    directions = directions * directions.sum(dim=0).sign()  # an eigenvector's sign is arbitrary
    whiten = (weights[:, None] * directions / kept.sqrt()).T
    encoder.linear.weight.copy_(whiten)
    encoder.linear.bias.copy_(-whiten @ moments.mean)
    encoder.center.copy_(moments.mean)
    encoder.spread.copy_(spread)

    context = model.config.context
    inputs = LATENT_CHANNELS * (2 * context + 1) + 1
    gram, count = torch.zeros(inputs, inputs).double(), 0
    cross = torch.zeros(inputs, sum(decoder.sizes)).double()
    squares = torch.zeros(sum(decoder.sizes)).double()
    for features, fine in pieces:
        latents = F.pad(encoder.linear(features).T, (context, context), mode="replicate")
        stacked = latents.unfold(1, 2 * context + 1, 1).permute(1, 0, 2).flatten(1)
        rows = torch.cat([stacked, torch.ones(len(stacked), 1)], dim=1).double()
        wanted = torch.cat([features[:, sizes[0] :], fine], dim=1).double()
        gram += rows.T @ rows
        cross += rows.T @ wanted
        squares += wanted.square().sum(dim=0)
        count += len(rows)
    ridge = torch.full((inputs,), count * LATENT_NOISE**2).double()
    ridge[-1] = 0
    solution = torch.linalg.solve(gram + ridge.diag(), cross)
    decoder.linear.weight.copy_(solution[:-1].T.reshape(-1, LATENT_CHANNELS, 2 * context + 1))
    assert decoder.linear.bias is not None
    decoder.linear.bias.copy_(solution[-1])
    mean_square_error = (squares - (solution * cross).sum(dim=0)).clamp(min=0) / count
    decoder.spread.copy_(mean_square_error.sqrt().clamp(min=LEAST_SPREAD / 4))
    return float(kept.sum() / values.sum())
