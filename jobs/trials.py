"""The songs of a proof with Ray Data, for `prove.py`: one actor holds the generators, one song is one task."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from jobs.pipeline import Workers
from jobs.pool import DIED, pool
from samuel.evaluation.trial import Trial
from samuel.songs import Song


class Try:
    """A worker as Ray Data runs it: a row with a song in, a row with its error out."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.trial = Trial(**arguments)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            self.trial(Song(**row))
        except Exception as error:  # one bad song never stops a run
            return row | {
                "error": f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            }
        return row | {"error": ""}


def run_trials(songs: list[Song], arguments: dict[str, Any], workers: Workers) -> Iterator[dict[str, Any]]:
    """A row for each song as it is done; what lies there is not made again."""
    missing = {song.song_id: song for song in songs}
    for row in pool([asdict(song) for song in songs], Try, (arguments,), workers):
        missing.pop(row["song_id"])
        yield row
    for song in missing.values():
        yield asdict(song) | {"error": DIED}
