"""What a song in a POPDB lacks beside its latents, found from these: lead sheet, features, arrangement.

The latents are decoded, and the band's sound is transcribed (`samuel.transcription`): neither the song's audio nor
its separation is needed again. What is there stays; so a true lead sheet is never replaced by an estimated one.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor

from samuel.codec import Codec, load_codec
from samuel.config import CHUNK_FRAMES, CHUNK_SECONDS, LATENT_CHANNELS
from samuel.errors import in_words
from samuel.lead_sheet import LeadSheet
from samuel.popdb.guides import guides_of
from samuel.popdb.schema import PopdbError, guides_table
from samuel.popdb.store import Store
from samuel.storage import StorageError
from samuel.transcription import transcribe
from samuel.vocals import normal_form


@dataclass
class GuideReport:
    """What became of one song's guides."""

    song_id: str
    seconds: float = 0.0
    """Of the song."""
    work_seconds: float = 0.0
    error: str = ""
    stop: bool = False
    """The POPDB itself cannot be written: no use in going on."""


class Completer:
    """Songs of the POPDB at `store` to their guides there; never an exception for a bad song.

    Raises `PopdbError` where `codec` is not the one that made its latents.
    """

    def __init__(self, store: Store, codec: str, threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.store = store
        self.codec = load_codec(codec, "cpu")
        identity = store.identity()
        if identity is not None and identity.codec != self.codec.identity:
            raise PopdbError(
                f"{store.root} holds latents of codec {identity.codec!r}, and {codec!r} is {self.codec.identity!r} here: "
                "give the one that made them as --codec"
            )

    def __call__(self, song_id: str, shard: str = "") -> GuideReport:
        """`shard`: the name of the one that the song is in; else it waits in its own file."""
        report = GuideReport(song_id)
        start = time.perf_counter()
        try:
            rows = self.store.read_song(song_id, shard)
            report.seconds = len(rows) * CHUNK_SECONDS
            guides = completed(rows, self.codec)
            try:
                self.store.write_guides(song_id, guides)
            except StorageError as error:
                report.error, report.stop = str(error), True
        except Exception as error:  # one bad song never stops a run
            report.error = in_words(error)
        report.work_seconds = time.perf_counter() - start
        return report


def completed(rows: pa.Table, codec: Codec) -> pa.Table:
    """The guides of one song from all of its pairs in order, each column where any pair lacks it."""
    song_id, chunks = rows.column("song_id")[0].as_py(), rows.column("chunk").to_pylist()
    known = sheet_of(rows.column("lead_sheet").to_pylist()) if "lead_sheet" in rows.column_names else None
    sheet = transcribe(_decoded(rows, "accompaniment", codec)) if known is None else known
    vocals = normal_form(_decoded(rows, "vocals", codec))
    return guides_table(song_id, chunks, guides_of(sheet, vocals, codec, len(chunks), song_id))


def sheet_of(parts: Sequence[str | None]) -> LeadSheet | None:
    """The lead sheet of a song from those of its chunks; None where one is missing."""
    sheets = [LeadSheet.from_json(part) for part in parts if part is not None]
    if not sheets or len(sheets) < len(parts):
        return None
    fields = [sheet.shifted(number * CHUNK_SECONDS).to_dict() for number, sheet in enumerate(sheets)]
    joined = {
        name: [one for part in fields for one in part[name]] for name in ("beats", "downbeats", "chords")
    }
    energy: dict[float, float] = {}
    for part in fields:
        energy |= dict(part["energy"])
    return LeadSheet.from_dict(json.loads(parts[0] or "{}") | joined | {"energy": sorted(energy.items())})


def _decoded(rows: pa.Table, name: str, codec: Codec) -> Float[Tensor, "2 samples"]:
    flat = rows.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    latents = (
        flat.reshape(len(rows), LATENT_CHANNELS, CHUNK_FRAMES).swapaxes(0, 1).reshape(LATENT_CHANNELS, -1)
    )
    return codec.decode(torch.from_numpy(latents.astype(np.float32))[None])[0].cpu()
