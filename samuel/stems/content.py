"""What the sound says of stems whose names do not: which is a mix, which is the sum of others, which is there twice.

A file that is the sum of others is explained by them with gains that are all positive (or all negative, where its
phase is reversed); a stem is not: bass is mix minus drums, and that gain is negative. So each file is fitted by the
others with non-negative least squares (Lawson and Hanson 1974). A linear operation keeps sums, so means over short
blocks are compared. Encoders and players shift files by some hundred samples: a file that may be a mix is fitted where
it agrees best with all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor

BLOCK = 32  # samples that become one: 1378 a second
EXPLAINED_MIX = 0.75  # of a mix's power, by its stems: mastering changes the rest
EXPLAINED_SUM = 0.95
EXPLAINED_COPY = 0.999
LEAST_SHARE = 0.01  # of the power of a sum that each of its parts has
VOICE_GAIN = 0.5  # of the voice in a file that holds it; leakage and bleeding stay far below
MOST_SHIFT = 2756  # blocks, 2 s: silence before a mix, or the delay of an encoder
LEAST_AGREEMENT = 0.4  # of a shifted mix with the sum of all else; sounds that are played together have less


def sketch(audio: Float[Tensor, "2 samples"]) -> Float[Tensor, "2 blocks"]:
    """What of a stem is compared: means over blocks of samples."""
    whole = audio.shape[1] // BLOCK * BLOCK
    return audio[:, :whole].unflatten(1, (-1, BLOCK)).mean(2)


@dataclass(frozen=True)
class Fit:
    """How a stem is made of others: the share of its power that they explain, and the gain and share of each."""

    explained: float
    gains: dict[str, float]
    shares: dict[str, float]

    @property
    def parts(self) -> list[str]:
        """Those that are heard in it."""
        return [name for name, share in self.shares.items() if share >= LEAST_SHARE]


def shift_of(target: Float[Tensor, "2 steps"], reference: Float[Tensor, "2 longer"], most: int) -> int:
    """By how many steps `target` comes later than what it has of `reference`, at most `most`, where it has much.

    0 where it agrees best unshifted, or nowhere: the best correlation is at least `LEAST_AGREEMENT`.
    """
    one, other = target.double().sum(0), reference.double().sum(0)
    size = 1 << (len(one) + len(other) - 1).bit_length()
    products = torch.fft.irfft(torch.fft.rfft(one, size) * torch.fft.rfft(other, size).conj(), size).abs()
    products = torch.cat((products[-most:], products[: most + 1]))  # from -most to +most
    best = int(products.argmax()) - most
    power = float(one.norm() * other.norm())
    return best if power > 0 and float(products.max()) >= LEAST_AGREEMENT * power else 0


class Comparison:
    """Stems by their names, and the scalar products of their sketches, which may differ in length."""

    def __init__(self, sketches: dict[str, Float[Tensor, "2 blocks"]]) -> None:
        self.index = {name: number for number, name in enumerate(sketches)}
        rows = list(sketches.values())
        self.products = np.zeros((len(rows), len(rows)))
        for one, first in enumerate(rows):
            for other, second in enumerate(rows[: one + 1]):
                shared = min(first.shape[1], second.shape[1])
                product = float((first[:, :shared].double() * second[:, :shared].double()).sum())
                self.products[one, other] = self.products[other, one] = product

    def fit(self, target: str, others: Sequence[str]) -> Fit:
        """`target` by `others`, with gains that are all of one sign."""
        at, rows = self.index[target], [self.index[name] for name in others]
        power = self.products[at, at]
        gains = np.zeros(len(rows))
        explained = 0.0
        gram, cross = self.products[np.ix_(rows, rows)], self.products[rows, at]
        if power > 0 and gram.any():
            # min |Ax - b| needs A'A and A'b only: a square root of A'A stands for A
            values, vectors = np.linalg.eigh(gram)
            kept = values > 1e-9 * values.max()
            root, vectors = np.sqrt(values[kept]), vectors[:, kept]
            for sign in (1, -1):
                found = sign * nnls(root[:, None] * vectors.T, vectors.T @ (sign * cross) / root)[0]
                share = float((2 * found @ cross - found @ gram @ found) / power)
                if share > explained:
                    gains, explained = found, share
        shares = gains**2 * np.diag(gram) / power if power > 0 else gains
        return Fit(
            explained,
            dict(zip(others, gains.tolist(), strict=True)),
            dict(zip(others, shares.tolist(), strict=True)),
        )

    def copies(self, names: Sequence[str]) -> dict[str, str]:
        """Stems that one before them holds already: name -> that other."""
        found: dict[str, str] = {}
        for number, name in enumerate(names):
            for before in names[:number]:
                one = self.fit(name, [before])
                if (
                    before not in found
                    and one.explained >= EXPLAINED_COPY
                    and abs(one.gains[before] - 1) < 0.05
                ):
                    found[name] = before
                    break
        return found

    def sums(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Stems that are the sum of two or more others: name -> those."""
        found: dict[str, list[str]] = {}
        for name in names:
            others = [other for other in names if other != name and other not in found]
            whole = self.fit(name, others)
            if whole.explained >= EXPLAINED_SUM and len(whole.parts) > 1:
                found[name] = whole.parts
        return found

    def with_voice(self, voice: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """(stems that are the mix: the voice and the others; stems that hold the voice, and sound that no other has)."""
        sung = [name for name in names if self.fit(name, [voice]).shares[voice] >= LEAST_SHARE]
        mixes: list[str] = []
        doubtful: list[str] = []
        for name in sung:
            found = self.fit(name, [voice, *(other for other in names if other not in sung)])
            if found.shares[voice] < LEAST_SHARE:
                continue
            if found.explained >= EXPLAINED_MIX and len(found.parts) > 1:
                mixes.append(name)
            elif abs(found.gains[voice]) >= VOICE_GAIN:
                doubtful.append(name)
        return mixes, doubtful
