"""The chord network: what is sung beat by beat -> log probabilities of chords a beat, and of keys a song.

It hears the song moved to a key without sharps or flats, so it is the same in all keys. Dilated convolutions over
beats; between them, beats look at other beats where the same was sung (`Recall`): verses share their chords.

Chords are root and quality, CHORDS in their order: C, C minor, C dim, C#, ... Input channels of a beat:

| channels | what |
|---|---|
| 0 to 95 | durations and onsets by cell and pitch class (`samuel.harmonizing.sung`) |
| 96 to 99 | place in the bar: 1st, 2nd, 3rd, 4th or later beat |
| 100 to 102 | beats in a bar: 3, 4, or another number |
| 103 to 126 | how well each key's profile fits the whole song: 12 major, 12 minor |
| 127 to 138 | share of each pitch class in the whole song |
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from samuel.harmonizing.key import key_scores
from samuel.harmonizing.sung import SUNG
from samuel.lead_sheet.chord import QUALITIES, Chord

INPUTS = SUNG + 4 + 3 + 24 + 12
TRIADS = ("maj", "min", "dim")
CHORDS = tuple((root, quality) for root in range(12) for quality in TRIADS)
GIVEN_KEY = 0.5  # added to the fit of a key that the user gave
RECALL_BEFORE, RECALLS_BEFORE = (6,), (4, 7)  # the blocks, without loops and with them
NEAR, FAR = 4, 16  # beats over which passages are compared
LOOPS = (2, 4, 8)  # bars after which chords often come again


def triad_of(chord: Chord | None) -> int:
    """Index in CHORDS of a chord's triad; -1 for no chord. What has no third counts as major."""
    if chord is None or chord.root is None:
        return -1
    tones = QUALITIES[chord.quality]
    quality = "dim" if 3 in tones and 6 in tones else "min" if 3 in tones else "maj"
    return 3 * chord.root + TRIADS.index(quality)


def inputs(
    sung: Float32[np.ndarray, "beats 2 4 12"], place: np.ndarray, metre_beats: int, key: int | None = None
) -> Float32[np.ndarray, "beats 139"]:
    """Input channels; `place` is each beat's number in its bar, from 0; `key` (in KEYS) where given."""
    beats = len(sung)
    weights = sung[:, 0].sum(axis=(0, 1)).astype(np.float64)
    places = np.eye(4, dtype=np.float32)[np.minimum(place, 3)]
    metre = np.eye(3, dtype=np.float32)[{3: 0, 4: 1}.get(metre_beats, 2)]
    fits = key_scores(weights)
    if key is not None:
        fits[key] += GIVEN_KEY
    song = np.concatenate([metre, fits, weights / max(weights.sum(), 1e-9)])
    song_rows = np.broadcast_to(song.astype(np.float32), (beats, len(song)))
    return np.concatenate([sung.reshape(beats, SUNG), places, song_rows], axis=1)


class Recall(nn.Module):
    """Each beat takes from other beats: of passages where the same was sung, or as many bars away as loops are long.

    How much each of that counts is learnt by each head. Without `loops`, only what was sung counts; with them, what a
    beat looks for, too (its query and the others' keys).
    """

    def __init__(self, width: int, loops: bool = False) -> None:
        super().__init__()
        heads = 4 if loops else 2
        start = torch.tensor([4.0, 4.0, 1.0, 0.0] + [0.0] * (len(LOOPS) if loops else 0))
        self.weights = nn.Parameter(start[:, None].repeat(1, heads))
        self.norm = nn.LayerNorm(width)
        self.look = nn.Linear(width, width) if loops else None
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "batch beats width"],
        sameness: Float[Tensor, "batch alike beats beats"],
        valid: Tensor,
    ) -> Float[Tensor, "batch beats width"]:
        heads = self.weights.shape[1]
        normed = self.norm(x)
        logits = torch.einsum("bfij,fh->bhij", sameness, self.weights)
        if self.look is not None:
            query, key = self.look(normed).unflatten(2, (2, heads, -1)).unbind(2)
            logits = logits + torch.einsum("bihd,bjhd->bhij", query, key) / key.shape[-1] ** 0.5
        logits = logits.masked_fill(~valid[:, None, None, :], -1e4)
        value = self.value(normed).unflatten(2, (heads, -1))
        taken = torch.einsum("bhij,bjhd->bihd", logits.softmax(dim=-1), value).flatten(2)
        return x + self.out(taken)


class Block(nn.Module):
    """A dilated convolution over three beats, and a mix of channels."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.spread = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch beats width"], valid: Tensor
    ) -> Float[Tensor, "batch beats width"]:
        y = self.norm(x) * valid[..., None]
        y = F.gelu(self.spread(y.transpose(1, 2)).transpose(1, 2))
        return x + self.dropout(self.mix(y))


class ChordNetwork(nn.Module):
    """With `loops`, beats recall twice, and what lies 2, 4 or 8 bars away, too."""

    def __init__(
        self,
        width: int = 128,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32, 1, 2, 4),
        dropout: float = 0.2,
        loops: bool = False,
    ) -> None:
        super().__init__()
        self.config = {"width": width, "dilations": list(dilations), "loops": loops}
        self.loops = loops
        self.recall_before = RECALLS_BEFORE if loops else RECALL_BEFORE
        self.stem = nn.Linear(INPUTS, width)
        self.blocks = nn.ModuleList(Block(width, dilation, dropout) for dilation in dilations)
        self.recall = Recall(width, loops)
        self.recall_again = Recall(width, loops) if loops else None
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.chords = nn.Linear(width, len(CHORDS))
        self.keys = nn.Linear(width, 24)

    def forward(
        self, x: Float[Tensor, "batch beats 139"], valid: Tensor | None = None
    ) -> tuple[Float[Tensor, "batch beats 36"], Float[Tensor, "batch 24"]]:
        """Log probabilities of chords and of keys. `valid` is false where a batch is padded."""
        if valid is None:
            valid = torch.ones(x.shape[:2], dtype=torch.bool)
        same = sameness(x[..., :SUNG], x[..., SUNG : SUNG + 4], self.loops)
        recalls = dict(zip(self.recall_before, (self.recall, self.recall_again), strict=False))
        hidden = self.stem(x)
        for number, block in enumerate(self.blocks):
            if recall := recalls.get(number):
                hidden = recall(hidden, same, valid)
            hidden = block(hidden, valid)
        hidden = self.dropout(self.norm(hidden))
        mean = (hidden * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
        return self.chords(hidden).log_softmax(-1), self.keys(mean).log_softmax(-1)


def sameness(
    sung: Float[Tensor, "batch beats 96"], place: Float[Tensor, "batch beats 4"], loops: bool = False
) -> Float[Tensor, "batch alike beats beats"]:
    """How alike the song is around two beats: within 4 beats and 16, 0 to 1; the same place in the bar; itself; with
    `loops`, the same place in bars that lie a multiple of 2, 4, 8 apart.
    """
    products = sung @ sung.transpose(1, 2)
    own = products.diagonal(dim1=1, dim2=2)
    alike = []
    for window in (NEAR, FAR):
        together = _along_diagonal(products, window)
        power = F.avg_pool1d(F.pad(own[:, None], (window // 2, window - 1 - window // 2)), window, 1)[:, 0]
        alike.append(together / (power[:, :, None] * power[:, None, :] + 1e-6).sqrt())
    same_place = place @ place.transpose(1, 2)
    itself = torch.eye(sung.shape[1]).expand_as(products)
    alike += [same_place, itself]
    if loops:
        bar = place[..., 0].cumsum(1)
        apart = bar[:, :, None] - bar[:, None, :]
        alike += [same_place * (apart % bars == 0) for bars in LOOPS]
    return torch.stack(alike, dim=1)


def _along_diagonal(
    products: Float[Tensor, "batch beats beats"], window: int
) -> Float[Tensor, "batch beats beats"]:
    """Mean of products[i + k, j + k] for k over a window around 0."""
    beats = products.shape[1]
    before = window // 2
    padded = F.pad(products, (before, window, before, window))
    total = torch.zeros_like(products)
    for k in range(window):
        total += padded[:, k : k + beats, k : k + beats]
    return total / window
