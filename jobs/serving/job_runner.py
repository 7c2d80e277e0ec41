"""One job from its request to the files of its result, window by window.

All that is asked of `Workers` may be asked again, since the same request gives the same result. Of each variation one
window is in the works at a time, so that a song of many windows does not stand before a short one.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from jobs.serving.arranger import touched_pieces
from jobs.serving.job import Job, region_of
from jobs.serving.job_store import RECORDING, VOCALS, StoreCalls, arranged_file, piece_file
from jobs.serving.problems import ProblemError
from jobs.serving.sheet_options import SheetOptions
from jobs.serving.workers import KeptPiece, MixedFile, ModelCard, Piece, PreparedVocals
from samuel.config import SAMPLE_RATE
from samuel.generation import Material, Mixdown, Region, Schedule, WindowTask, pieces

ENCODED = 0.05
"""Share of the work that is done when the vocals are heard."""

PIECES_TOGETHER = 2
"""That are decoded in one call, side by side: more would be heard later."""

SAMPLING = 0.6
"""Share of the sampler in the rest; the other is the decoder's."""


class Workers(Protocol):
    """Who does the work: processes elsewhere. Each call may take long; a cancelled one should stop."""

    async def read(self, recording: bytes) -> bytes: ...

    async def prepare(
        self, recording: bytes, separate: bool, seeds: tuple[int, ...], options: SheetOptions
    ) -> PreparedVocals: ...

    async def coder(self, what: str, *arguments: Any) -> Any:
        """A method of `AudioWorker` that is quick."""
        ...

    def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        """Shares done, then the window's latents."""
        ...

    async def decode(self, latents: Tensor, pieces: list[Piece]) -> list[bytes]: ...

    async def concatenate(self, pieces: list[bytes], samples: int, file_format: str) -> bytes: ...

    async def transcode(self, stem: bytes, file_format: str) -> bytes: ...

    async def mix(
        self, vocals: bytes, pieces: list[bytes], samples: int, mixdown: Mixdown, file_format: str
    ) -> MixedFile: ...

    async def card(self) -> ModelCard: ...

    async def ready(self) -> bool: ...


class WorkerLost(Exception):
    """A worker died at this call, again and again."""


class Tell(Protocol):
    """Changes fields of the job, and tells who watches it."""

    async def __call__(self, job: Job, **changes: Any) -> None: ...


@dataclass
class VariationState:
    """One variation, as far as it is made."""

    number: int
    song: Schedule
    region: Region | None
    """What to make anew; None: all."""
    done: float = 0.0


class JobRunner:
    """`earlier`: the job that this one changes, or goes on from."""

    def __init__(self, job: Job, workers: Workers, call_store: StoreCalls, tell: Tell, earlier: Job | None):
        self.job, self.workers, self.call_store, self.tell, self.earlier = (
            job,
            workers,
            call_store,
            tell,
            earlier,
        )
        self.store = call_store.store

    async def __call__(self) -> None:
        job = self.job
        materials, bands = await self._prepare()
        reach = (await self.workers.card()).decoder_reach
        region = None
        if job.request.edit and self.earlier:
            region = region_of(job.request.edit, job.samples, self.earlier.samples)
        states = [
            VariationState(number, Schedule(material, config, job.samples, reach, band, region), region)
            for number, (config, material, band) in enumerate(
                zip(job.request.configs, materials, bands, strict=True)
            )
        ]
        job.made = [0] * len(states)
        await self.tell(job, state="running", stage="sample", progress=ENCODED)
        await gather_or_cancel(self._make_variation(state) for state in states)
        latents = {"vocals": materials[0].vocals}
        for state in states:
            latents[f"band-{state.number}"] = state.song.latents
            latents |= guide_latents(state.song.material, state.number)
        await self.call_store(self.store.write_latents, job.id, latents)

    async def _prepare(self) -> tuple[list[Material], list[Tensor]]:
        """What each variation is played from, and what it begins with."""
        job, edit = self.job, self.job.request.edit
        if edit and self.earlier:
            try:
                latents = await self.call_store(self.store.read_latents, self.earlier.id)
                voice = await self.call_store(self.store.read, self.earlier.id, VOCALS)
            except FileNotFoundError:
                raise ProblemError(404, "the accompaniment to change was deleted meanwhile") from None
            material, band = material_of(latents, edit.variation), latents[f"band-{edit.variation}"]
            if edit.stop is not None:
                await self.call_store(self.store.write, job.id, VOCALS, voice)
                job.seconds = self.earlier.seconds
                material = await self._rearranged(material, voice)
                return [material for _ in job.request.configs], [band.clone() for _ in job.request.configs]
        stage = "separate" if job.request.separate else "encode"
        await self.tell(job, state="running", stage=stage)
        recording = await self.call_store(self.store.read, job.id, RECORDING)
        async with self._timed(stage):
            seeds = tuple(config.seed for config in job.request.configs)
            prepared = await self.workers.prepare(recording, job.request.separate, seeds, job.request.options)
        await self.call_store(self.store.write, job.id, VOCALS, prepared.vocals)
        for variation, arranged in enumerate(prepared.arranged):
            for number, piece in enumerate(arranged):
                await self.call_store(self.store.write, job.id, arranged_file(variation, number), piece)
        job.played = list(prepared.played)
        job.seconds, job.remarks = prepared.samples / SAMPLE_RATE, list(prepared.remarks)
        bands = [torch.zeros_like(material.vocals) for material in prepared.materials]
        if edit and self.earlier:
            first, _ = region_of(edit, prepared.samples, self.earlier.samples).frames
            for longer in bands:
                longer[:, :first] = band[:, :first]
        return prepared.materials, bands

    async def _rearranged(self, material: Material, voice: bytes) -> Material:
        """What a region is made from: as before, or with what is given of lead sheet and arrangement."""
        job, edit, earlier = self.job, self.job.request.edit, self.earlier
        assert edit
        assert earlier
        played = earlier.played[edit.variation]
        pieces_before = await self._arranged_before(earlier.pieces if played.sheet else 0)
        if job.request.options.anything:
            if not pieces_before:
                raise ProblemError(
                    409, "the accompaniment to change has no arrangement; make it anew as a whole"
                )
            region = region_of(edit, earlier.samples, earlier.samples)
            numbers = [pieces(region.total).index(piece) for piece in touched_pieces(region)]
            touched = [pieces_before[number] for number in numbers]
            async with self._timed("arrange"):
                played, made, material, remarks = await self.workers.coder(
                    "rearrange", voice, region, played, touched, material, job.request.options
                )
            job.remarks = list(remarks)
            for number, piece in zip(numbers, made, strict=True):
                pieces_before[number] = piece
        for variation in range(len(job.request.configs)):
            for number, piece in enumerate(pieces_before):
                await self.call_store(self.store.write, job.id, arranged_file(variation, number), piece)
        await self.tell(job, played=[played for _ in job.request.configs])
        return material

    async def _arranged_before(self, count: int) -> list[bytes]:
        edit = self.job.request.edit
        assert edit
        try:
            return [
                await self.call_store(self.store.read, edit.job, arranged_file(edit.variation, number))
                for number in range(count)
            ]
        except FileNotFoundError:
            raise ProblemError(404, "the accompaniment to change was deleted meanwhile") from None

    async def _play_arrangement(self, state: VariationState) -> None:
        """At strength 0 the band is the arrangement."""
        job, material = self.job, state.song.material
        if job.played[state.number].sheet is None or material.arrangement is None:
            raise ProblemError(
                422,
                "strength 0 plays the arrangement alone, and there is none for this recording: "
                + "; ".join(job.remarks),
            )
        latents = state.song.latents
        first, last = state.region.frames if state.region else (0, latents.shape[-1])
        latents[:, first:last] = material.arrangement[:, first:last]
        for number, (start, _) in enumerate(pieces(job.samples)):
            piece = await self.call_store(self.store.read, job.id, arranged_file(state.number, number))
            kept = await self._kept_piece(number) if state.region else None
            if kept and state.region:
                piece = await self.workers.coder("blend", piece, start, KeptPiece(kept, state.region))
            await self.call_store(self.store.write, job.id, piece_file(state.number, number), piece)
            job.made[state.number] += 1
            await self._tell_share(state, 1.0)

    async def _make_variation(self, state: VariationState) -> None:
        """Its windows, one after the other; and each piece as soon as nothing in it can change."""
        song = state.song
        if song.config.strength == 0:
            await self._play_arrangement(state)
            return
        while (task := song.task()) is not None:
            async with self._timed("sample"):
                async for made in self.workers.sample(task.apart()):
                    if isinstance(made, Tensor):
                        song.place(made)
                    else:
                        await self._tell_share(state, song.share(made))
            async with self._timed("decode"):
                ready = list(song.finished())
                while ready:
                    await self._make_pieces(state, ready[:PIECES_TOGETHER])
                    ready = ready[PIECES_TOGETHER:]

    async def _make_pieces(self, state: VariationState, frames: list[tuple[int, int]]) -> None:
        """Frames from and to into the store; what is kept of them stays as it was, to the sample."""
        job, first = self.job, self.job.made[state.number]
        made: dict[int, bytes] = {}
        wanted: dict[int, Piece] = {}
        for number, (start, stop) in enumerate(frames, first):
            kept = await self._kept_piece(number) if state.region else None
            if kept and state.region and not state.region.is_audible(start, stop):
                made[number] = kept
            else:
                changed = KeptPiece(kept, state.region) if kept and state.region else None
                wanted[number] = Piece(start, stop, changed)
        if wanted:
            sounds = await self.workers.decode(state.song.latents, list(wanted.values()))
            made |= zip(wanted, sounds, strict=True)
        for number in sorted(made):
            await self.call_store(self.store.write, job.id, piece_file(state.number, number), made[number])
            job.made[state.number] += 1
            await self._tell_share(state, state.song.share())

    async def _kept_piece(self, number: int) -> bytes | None:
        """A piece of the job that is changed; None where it had no such piece, or was deleted meanwhile."""
        edit = self.job.request.edit
        if edit is None or self.earlier is None or number >= self.earlier.pieces:
            return None
        with contextlib.suppress(FileNotFoundError):
            return await self.call_store(self.store.read, edit.job, piece_file(edit.variation, number))
        return None

    async def _tell_share(self, state: VariationState, sampled: float) -> None:
        """Tell how far a job is, of which one variation has this share of its windows."""
        job = self.job
        done = SAMPLING * sampled + (1 - SAMPLING) * job.made[state.number] / job.pieces
        share = (1 - ENCODED) * (done - state.done) / len(job.request.configs)
        state.done = done
        await self.tell(job, progress=min(0.99, job.progress + share))

    @contextlib.asynccontextmanager
    async def _timed(self, stage: str) -> AsyncIterator[None]:
        began = time.monotonic()
        yield
        seconds = self.job.stage_seconds
        seconds[stage] = round(seconds.get(stage, 0.0) + time.monotonic() - began, 3)


def guide_latents(material: Material, number: int) -> dict[str, Tensor]:
    """What a variation is played from beside the vocals, by the names it is kept under."""
    kept = {"arrangement": material.arrangement, "guides": material.guides}
    return {f"{name}-{number}": one for name, one in kept.items() if one is not None}


def material_of(latents: dict[str, Tensor], number: int) -> Material:
    """What `guide_latents` kept of a variation."""
    return Material(latents["vocals"], latents.get(f"arrangement-{number}"), latents.get(f"guides-{number}"))


async def gather_or_cancel(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first that fails stops the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except* Exception as errors:
        raise errors.exceptions[0] from None
