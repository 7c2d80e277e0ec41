"""The songs of a proof with Ray Data, for `prove.py`: one actor holds the generators, one song is one task."""

import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from jobs.pipeline import Workers
from samuel.evaluation.trial import Trial
from samuel.songs import Song

import ray
from ray.data import ActorPoolStrategy, DataContext

DIED = "its worker process ended without a word: out of memory, or a crash"


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
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.target_max_block_size = None
    context.execution_no_progress_timeout_s = -1
    rows = [asdict(song) for song in songs]
    with warnings.catch_warnings():  # Ray announces how 2.64 renames an argument; it is pinned
        warnings.simplefilter("ignore", DeprecationWarning)
        tried = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Try,  # type: ignore[arg-type]  # Ray makes an actor of a class that is called
            fn_constructor_args=(arguments,),
            compute=ActorPoolStrategy(
                min_size=1, max_size=min(workers.count, len(rows)), max_tasks_in_flight_per_actor=2
            ),
            num_cpus=workers.num_cpus,
            num_gpus=workers.num_gpus,
            max_task_retries=2,
        )
    missing = {song.song_id: song for song in songs}
    for row in tried.iter_rows():
        missing.pop(row["song_id"])
        yield row
    for song in missing.values():
        yield asdict(song) | {"error": DIED}
