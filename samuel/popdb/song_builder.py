"""One song into its pairs: decode, separate, encode, chunk, write. Plain Python, no Ray.

A `PairBuilder` loads its models once and is then called once a song, from several threads if one
likes: decoding and writing run beside each other, the models run one song at a time. Audio never
leaves the process; what comes back is a small report.
"""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from samuel.audio import SILENCE_DBFS, AudioError, is_silent
from samuel.audio.reading import read_audio
from samuel.catalogue.songs import Song
from samuel.codec import Codec, load_codec
from samuel.config import CHUNK_FRAMES, CHUNK_SAMPLES, CHUNK_SECONDS, SAMPLE_RATE
from samuel.popdb import Identity, Store
from samuel.popdb.failures import failure_of
from samuel.popdb.guides import annotated_sheet, guides_of
from samuel.popdb.schema import Latents, pairs_table
from samuel.separation import Separator, Stems, load_separator, split_stems
from samuel.separation.activity import vocal_activity
from samuel.stems.reading import read_stems
from samuel.storage import StorageError, delete
from samuel.vocals import NORMAL_FORM, normal_form

DOWNLOADED = ("query", "url")
"""Kinds of songs that are fetched first; the others are read where they are."""

STAGES = ("download", "decode", "chunk", "separate", "encode", "arrange", "write")


@dataclass
class SongReport:
    """What became of one song."""

    song_id: str
    title: str
    pairs: int = 0
    seconds: float = 0.0
    """Length of the song."""
    dropped_seconds: float = 0.0
    """Of the trailing part, too short for a chunk."""
    stage_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    failed_stage: str = ""
    error: str = ""
    warnings: list[str] = field(default_factory=list)
    """What is not as its files say, in sentences: holes, lengths, files that are left out."""
    guided: bool = False
    """Whether its lead sheet is known: else one may be estimated."""
    stop: bool = False
    """The POPDB itself cannot be written: no fault of the song, and no use in going on."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; an error inside leaves its name in `failed_stage`."""
        self.failed_stage = name
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[name] += time.perf_counter() - start
        self.failed_stage = ""


def falls_within(song_id: str, share: float) -> bool:
    """Whether a song is one of `share` (0 to 1) of all songs: by its id, the same on every machine."""
    return int(hashlib.sha256(f"separated:v1:{song_id}".encode()).hexdigest()[:8], 16) < share * 2**32


class PairBuilder:
    """Songs to pairs in the POPDB at `store`, or to failures there; never an exception for a bad song."""

    def __init__(
        self,
        store: Store,
        *,
        codec: str,
        separator: str,
        identity: Identity,
        device: str = "cpu",
        threads: int | None = None,
        max_seconds: float | None = None,
        separated_stems: float = 0.0,
    ) -> None:
        """`separated_stems`: share of the stems songs whose vocals come out of the separator, as a recording's will."""
        if threads:
            torch.set_num_threads(threads)
        self.store = store
        self.max_seconds = max_seconds
        self.separated_stems = separated_stems
        self.codec: Codec = load_codec(codec, device)
        self.separator: Separator = load_separator(separator, device)
        self.identity = Identity(
            codec=self.codec.identity, separator=self.separator.identity, vocals=NORMAL_FORM
        )
        identity.require_equal(self.identity, store.root)  # else this machine has other weights
        self.one_song_at_a_time = threading.Lock()

    def __call__(self, song: Song, audio: str | None = None, attempts: int = 0) -> SongReport:
        """Build the pairs of `song`, whose audio lies at `audio` (default: at its source)."""
        report = SongReport(song.song_id, song.title)
        try:
            self._build(song, audio or song.source, report)
        except StorageError as error:
            if report.failed_stage == "write":
                report.error, report.stop = str(error), True
            else:
                self._fail(song, report, str(error), attempts)
        except ValueError as error:
            self._fail(song, report, str(error) or type(error).__name__, attempts)
        except Exception as error:  # one bad song never stops a run; it becomes a failure with its reason
            self._fail(song, report, f"{type(error).__name__}: {error}", attempts)
        if report.failed_stage == "decode" and song.kind in DOWNLOADED and audio:
            delete(audio)  # what was fetched is no song; a further try fetches it again
        return report

    def _fail(self, song: Song, report: SongReport, reason: str, attempts: int) -> None:
        report.error = reason
        self.store.write_failure(failure_of(song, report.failed_stage, reason, attempts + 1))

    def _build(self, song: Song, audio: str, report: SongReport) -> None:
        with report.stage("decode"):
            tell = report.warnings.append
            stems = (
                read_stems(audio, max_seconds=self.max_seconds, tell=tell) if song.kind == "stems" else None
            )
            if stems is None:
                mix = read_audio(audio, max_seconds=self.max_seconds, tell=tell)
            else:
                mix = stems.vocals + stems.accompaniment
            report.seconds = mix.shape[-1] / SAMPLE_RATE
            if is_silent(mix):
                raise AudioError(f"silent: all in all below {SILENCE_DBFS:g} dBFS; check the file")
        with report.stage("chunk"):
            count = mix.shape[-1] // CHUNK_SAMPLES
            if not count:
                raise AudioError(
                    f"too short: the song has {report.seconds:.1f} s, and a chunk needs {CHUNK_SECONDS:.2f} s"
                )
            report.dropped_seconds = report.seconds - count * CHUNK_SECONDS
        with self.one_song_at_a_time:
            with report.stage("separate"):
                if stems is None:
                    stems = split_stems(self.separator, mix)
                elif falls_within(song.song_id, self.separated_stems):
                    stems = Stems(split_stems(self.separator, mix).vocals, stems.accompaniment)
            with report.stage("encode"):
                voice = normal_form(stems.vocals)
                vocals, accompaniment = self._encode(Stems(voice, stems.accompaniment), count)
            with report.stage("arrange"):
                sheet = annotated_sheet(audio, stems.accompaniment) if song.kind == "stems" else None
                guides = guides_of(sheet, voice, self.codec, count, song.song_id)
        with report.stage("write"):
            active = vocal_activity(stems.vocals).float()[: count * CHUNK_FRAMES]
            activity = active.reshape(count, CHUNK_FRAMES).mean(dim=1).tolist()
            self.store.write_song(
                song.song_id, pairs_table(song, self.identity, vocals, accompaniment, activity, guides)
            )
            self.store.clear_failure(song.song_id)
        report.pairs, report.guided = count, sheet is not None

    def _encode(self, stems: Stems, count: int) -> tuple[Latents, Latents]:
        """Encode the whole song, then cut it: a chunk's first frames see what came before them."""
        both = self.codec.encode(torch.stack([stems.vocals, stems.accompaniment]))
        chunks = both[:, :, : count * CHUNK_FRAMES].unflatten(2, (count, CHUNK_FRAMES)).transpose(1, 2)
        half = chunks.to("cpu", torch.float16).contiguous().numpy()
        if not np.isfinite(half).all():
            raise ValueError("the codec gave latents that are not finite in half precision; check the audio")
        return half[0], half[1]
