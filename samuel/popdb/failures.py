"""Songs that failed: one small file each while a run goes on, one table at its end."""

import json
from dataclasses import asdict, dataclass

import pyarrow as pa

from samuel.catalogue.songs import Song


@dataclass(frozen=True)
class Failure:
    """A song that gave no pairs, and why."""

    song_id: str
    title: str
    artist: str
    source: str
    stage: str
    """Where it failed: download, decode, separate, encode, chunk, write, or worker (its process died)."""
    error: str
    attempts: int
    """How often the song was tried, over all runs."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Failure":
        return cls(**json.loads(text))


def failure_of(song: Song, stage: str, error: str, attempts: int) -> Failure:
    """The failure of `song`, its error on one line of at most 500 characters."""
    line = " ".join(error.split())[:500]
    return Failure(song.song_id, song.title, song.artist, song.source, stage, line, attempts)


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("song_id", "title", "artist", "source", "stage", "error")]
    + [("attempts", pa.int32())]
)


def failures_table(failures: list[Failure]) -> pa.Table:
    return pa.Table.from_pylist([asdict(failure) for failure in failures], schema=SCHEMA)
