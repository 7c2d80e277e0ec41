"""The songs of a proof with Ray Data, for `prove.py`: one actor holds the generators, one song is one task."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from jobs.runtime.actor_pool import pool
from jobs.runtime.worker_pool import WorkerPool
from samuel.catalogue.songs import Song
from samuel.evaluation.trial import AlignmentRun


class Try:
    """What a worker of the pool does: a row with a song in, nothing but files out."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.trial = AlignmentRun(**arguments)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        self.trial(Song(**row))
        return {}


def run_trials(songs: list[Song], arguments: dict[str, Any], workers: WorkerPool) -> Iterator[dict[str, Any]]:
    """A row for each song as it is done; what lies there is not made again."""
    return pool([asdict(song) for song in songs], Try, (arguments,), workers, key="song_id")
