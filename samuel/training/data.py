"""Pairs of a POPDB for training: checked in one pass, kept in memory where they fit, streamed where not.

Batches are a function of (seed, step): who resumes at a step gets what he would have got, and N workers
get N parts of what one would get. Latents are float16 as the codec gave them, not normalized.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float16
from torch import Tensor

from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.frames import sheet_frames
from samuel.model.conditions import (
    ARRANGEMENT,
    ARRANGEMENT_KNOWN,
    CONDITION_CHANNELS,
    FEATURES,
    FEATURES_KNOWN,
    GUIDE_CHANNELS,
    SHEET,
    VOCALS_KNOWN,
)
from samuel.popdb import EmptySplit, Identity, Pairs, check_popdb, iterate_pairs
from samuel.training.statistics import Moments, Statistics

Latents = Float16[Tensor, f"pair {LATENT_CHANNELS} {CHUNK_FRAMES}"]

Guides = Float16[Tensor, f"pair {GUIDE_CHANNELS} {CHUNK_FRAMES}"]
"""The channels of `samuel.model.conditions` after those of the vocals."""

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Of cgroups, the second and the first version."""


class DataError(ValueError):
    """Pairs that cannot be trained with: says which, and what to do."""


@dataclass(frozen=True)
class PairSet:
    """Pairs in memory."""

    song_ids: list[str]
    vocals: Latents
    accompaniment: Latents
    guides: Guides | None = None
    """What else is known, where a network is told of it; the arrangement's latents are not normalized."""

    def __len__(self) -> int:
        return len(self.song_ids)

    @property
    def bytes(self) -> int:
        guides = 0 if self.guides is None else self.guides.nbytes
        return self.vocals.nbytes + self.accompaniment.nbytes + guides

    def to(self, device: torch.device) -> "PairSet":
        guides = None if self.guides is None else self.guides.to(device)
        return PairSet(self.song_ids, self.vocals.to(device), self.accompaniment.to(device), guides)

    def chosen(self, index: Tensor) -> "PairSet":
        guides = None if self.guides is None else self.guides[index]
        ids = [self.song_ids[number] for number in index.tolist()]
        return PairSet(ids, self.vocals[index], self.accompaniment[index], guides)


@dataclass(frozen=True)
class TrainingData:
    """What a run needs of its POPDB."""

    identity: Identity
    fingerprint: str
    """Hash of the codec's identity and of every pair of the training and validation splits."""
    statistics: Statistics
    shard_sizes: tuple[int, ...]
    """Training pairs in each shard, in the order of reading."""
    training: PairSet | None
    """The training pairs, or None where they are more than the memory given: then they are streamed."""
    validation: PairSet | None
    """None where no song fell to that split."""
    root: str
    guided: bool = False

    @property
    def training_pairs(self) -> int:
        return sum(self.shard_sizes)


def load_training_data(root: str, memory_bytes: int | None = None, guided: bool = False) -> TrainingData:
    """Read and check the training and validation splits of the POPDB at `root`.

    `guided`: with what is known beside the vocals.
    `memory_bytes`: training pairs that need more are streamed; a quarter of the machine's memory if None.
    Raises PopdbError (what `check_popdb` finds, in seconds) and DataError (NaN or infinity).
    """
    check_popdb(root)
    budget = memory_quarter() if memory_bytes is None else memory_bytes
    digest = hashlib.sha256()
    moments = {"vocals": Moments(), "accompaniment": Moments()}
    kept: list[PairSet] | None = []
    sizes: list[int] = []
    for pairs in iterate_pairs(root, "train"):
        shard = checked(pairs, "train", guided)
        moments["vocals"].add(shard.vocals)
        moments["accompaniment"].add(shard.accompaniment)
        _hash(digest, pairs)
        sizes.append(len(shard))
        if kept is not None:
            kept = [*kept, shard] if sum(one.bytes for one in (*kept, shard)) <= budget else None
    validation = []
    with suppress(EmptySplit):
        for pairs in iterate_pairs(root, "validation"):
            validation.append(checked(pairs, "validation", guided))
            _hash(digest, pairs)
    held_out = joined(validation) if validation else None
    digest.update(pairs.identity.codec.encode())
    return TrainingData(
        identity=pairs.identity,
        fingerprint=digest.hexdigest()[:16],
        statistics=Statistics(moments["vocals"].rows(), moments["accompaniment"].rows()),
        shard_sizes=tuple(sizes),
        training=None if kept is None else joined(kept),
        validation=held_out,
        root=root,
        guided=guided,
    )


def checked(pairs: Pairs, split: str, guided: bool = False) -> PairSet:
    """`pairs` as tensors. Raises DataError for another shape, and for NaN or infinity, naming the pair."""
    stems = {"vocals": torch.tensor(pairs.vocals), "accompaniment": torch.tensor(pairs.accompaniment)}
    for name, latents in stems.items():
        if tuple(latents.shape[1:]) != (LATENT_CHANNELS, CHUNK_FRAMES):
            raise DataError(
                f"expected {name} of {LATENT_CHANNELS} x {CHUNK_FRAMES} latents, got {tuple(latents.shape[1:])} "
                f"in split {split}; build the POPDB with this version of samuel"
            )
        bad = (~latents.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
        if bad:
            raise DataError(
                f"{name} of song {pairs.song_ids[bad[0]]}, chunk {int(pairs.chunks[bad[0]])} (split {split}) has NaN "
                f"or infinity, as have {len(bad) - 1} more pairs of its shard; build that song again"
            )
    guides = guides_of(pairs) if guided else None
    if guides is not None and not guides.isfinite().all():
        raise DataError(f"the guides of split {split} have NaN or infinity; build that POPDB again")
    return PairSet(pairs.song_ids, stems["vocals"], stems["accompaniment"], guides)


def guides_of(pairs: Pairs) -> Guides:
    """What is known of each pair beside its vocals, as channels."""
    guides = torch.zeros(len(pairs), CONDITION_CHANNELS, CHUNK_FRAMES, dtype=torch.float16)
    guides[:, ARRANGEMENT] = torch.tensor(pairs.arrangement)
    guides[:, ARRANGEMENT_KNOWN] = torch.tensor(pairs.arrangement_known, dtype=torch.float16)[:, None]
    for number, text in enumerate(pairs.lead_sheets):
        if text:
            guides[number, SHEET] = torch.tensor(sheet_frames(LeadSheet.from_json(text), CHUNK_FRAMES)).half()
    guides[:, FEATURES] = torch.tensor(pairs.features)
    guides[:, FEATURES_KNOWN] = torch.tensor(pairs.features_known, dtype=torch.float16)[:, None]
    return guides[:, VOCALS_KNOWN + 1 :].clone()


def joined(sets: list[PairSet]) -> PairSet:
    return PairSet(
        [song_id for one in sets for song_id in one.song_ids],
        torch.cat([one.vocals for one in sets]),
        torch.cat([one.accompaniment for one in sets]),
        None if sets[0].guides is None else torch.cat([one.guides for one in sets if one.guides is not None]),
    )


def memory_quarter() -> int:
    """A quarter of what this machine, or the container that this process runs in, has of memory, in bytes."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # not there; "max"
            memory = min(memory, int(file.read_text()))
    return memory // 4


class Batches:
    """Endless shuffled batches of the training pairs on `device`.

    A window is what is in memory at a time: all pairs, or where they are streamed some shards. Each
    epoch goes through the windows in order and through a window's pairs in a new order; the pairs that
    do not fill a last batch come in another epoch. While a window is used, the next is read.
    """

    def __init__(
        self,
        data: TrainingData,
        batch_size: int,
        seed: int,
        device: torch.device,
        window_pairs: int = 4096,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.windows = [data.training_pairs] if data.training else group(data.shard_sizes, window_pairs)
        self.resident = data.training.to(device) if data.training and _fits(data, device) else data.training

    @property
    def steps_per_epoch(self) -> int:
        return sum(map(self._steps, self.windows))

    def indices(self, epoch: int, window: int) -> Tensor:
        """The order of a window's pairs: (step, sample). Fewer pairs than a batch are repeated in it."""
        size, steps = self.windows[window], self._steps(self.windows[window])
        order = torch.Generator().manual_seed(hash((self.seed, epoch, window)))
        rounds = -(-steps * self.batch_size // size)
        shuffled = torch.cat([torch.randperm(size, generator=order) for _ in range(rounds)])
        return shuffled[: steps * self.batch_size].view(steps, self.batch_size)

    def from_step(self, step: int, rank: int = 0, workers: int = 1) -> Iterator[PairSet]:
        """Batches from `step` on: the `rank`-th of `workers` equal parts of each."""
        share = slice(rank * self.batch_size // workers, (rank + 1) * self.batch_size // workers)
        epoch, skipped = divmod(step, self.steps_per_epoch)
        while True:
            for window, pairs in self._windows_of_epoch():
                steps = self._steps(self.windows[window])
                for index in self.indices(epoch, window)[min(skipped, steps) :]:
                    yield self._place(pairs.chosen(index[share].to(pairs.vocals.device)))
                skipped = max(0, skipped - steps)
            epoch += 1

    def _windows_of_epoch(self) -> Iterator[tuple[int, PairSet]]:
        if self.resident is not None:
            yield 0, self.resident
            return
        shards = (
            checked(pairs, "train", self.data.guided) for pairs in iterate_pairs(self.data.root, "train")
        )

        def read(size: int) -> PairSet:
            parts: list[PairSet] = []
            while sum(len(one) for one in parts) < size:
                parts.append(next(shards))
            return joined(parts)

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, self.windows[0])
            for window in range(len(self.windows)):
                pairs = ahead.result()
                if window + 1 < len(self.windows):
                    ahead = reader.submit(read, self.windows[window + 1])
                yield window, pairs

    def _place(self, pairs: PairSet) -> PairSet:
        return pairs if pairs.vocals.device.type == self.device.type else pairs.to(self.device)

    def _steps(self, pairs: int) -> int:
        return max(1, pairs // self.batch_size)


def group(sizes: tuple[int, ...], least: int) -> list[int]:
    """Sizes of windows of whole consecutive shards, each but the last with at least `least` pairs."""
    windows = [0]
    for size in sizes:
        if windows[-1] >= least:
            windows.append(0)
        windows[-1] += size
    return windows


def _fits(data: TrainingData, device: torch.device) -> bool:
    """Whether the pairs take less than half of a GPU's free memory."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return data.training is not None and data.training.bytes < free / 2


def _hash(digest: "hashlib._Hash", pairs: Pairs) -> None:
    digest.update("".join(pairs.song_ids).encode() + pairs.chunks.tobytes())
    digest.update(pairs.vocals.tobytes())
    digest.update(pairs.accompaniment.tobytes())
    digest.update("".join(sheet or "" for sheet in pairs.lead_sheets).encode())
    for guide, known in (
        (pairs.features, pairs.features_known),
        (pairs.arrangement, pairs.arrangement_known),
    ):
        digest.update(guide[known].tobytes())
