"""One thing done to many rows by actors of Ray Data: one row is one block and one task.

So a worker's death costs the rows that it held, and they are tried again alone: only a row that itself kills its
worker is lost. Nothing that goes wrong with a row is lost with it: its reason is what the row says.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from jobs.runtime.cluster import patient_data
from jobs.runtime.worker_pool import WorkerPool
from samuel.errors import in_words
from samuel.storage import StorageError

import ray
from ray.data import ActorPoolStrategy

DIED = "its worker process ended without a word, also when it worked at this alone: out of memory, or a crash"

Row = dict[str, Any]


class Worker:
    """As Ray Data runs it: a row in, the row with its `error` and what `make_work(*arguments)` makes of it out.

    `stop` says why no other row would fare better: the worker cannot start, or its files cannot be written.
    """

    def __init__(self, make_work: Callable[..., Callable[[Row], Row]], arguments: tuple[Any, ...]) -> None:
        self.stop = ""
        try:
            self.work = make_work(*arguments)
        except Exception as error:  # weights that only this machine lacks, say
            self.stop = f"a worker could not start: {in_words(error)}"

    def __call__(self, row: Row) -> Row:
        if self.stop:
            return row | {"error": "", "stop": self.stop}
        try:
            return row | {"error": "", "stop": ""} | self.work(row)
        except StorageError as error:  # of what is written: work says itself what it cannot read
            return row | {"error": "", "stop": str(error)}
        except Exception as error:
            return row | {"error": in_words(error), "stop": ""}


def pool(
    rows: list[Row],
    make_work: Callable[..., Callable[[Row], Row]],
    arguments: tuple[Any, ...],
    workers: WorkerPool,
    key: str,
) -> Iterator[Row]:
    """What `make_work(*arguments)`, a class that is made once in each actor, makes of each row, as it is done.

    Every row comes back once, known by its `key`, with its `error`, or an empty one. Raises ValueError where a worker
    said that there is no use in going on.
    """
    missing = {row[key]: row for row in rows}
    for alone in (False, True):
        if missing:
            for row in _run(list(missing.values()), make_work, arguments, workers, alone=alone):
                if row["stop"]:
                    raise ValueError(row["stop"])
                del missing[row[key]]
                yield row
    for row in missing.values():
        yield row | {"error": DIED, "stop": ""}


def _run(
    rows: list[Row],
    make_work: Callable[..., Callable[[Row], Row]],
    arguments: tuple[Any, ...],
    workers: WorkerPool,
    *,
    alone: bool,
) -> Iterator[Row]:
    """`alone`: each worker has one row at a time, and no row a second try."""
    patient_data()
    most = min(workers.count, len(rows))
    with warnings.catch_warnings():  # Ray announces how 2.64 renames an argument; it is pinned
        warnings.simplefilter("ignore", DeprecationWarning)
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker,  # type: ignore[arg-type]  # Ray makes an actor of a class that is called
            fn_constructor_args=(make_work, arguments),
            compute=ActorPoolStrategy(
                min_size=max(1, min(most, workers.ready)),
                max_size=most,
                max_tasks_in_flight_per_actor=1 if alone else 2,
            ),
            num_cpus=workers.num_cpus,
            num_gpus=workers.num_gpus,
            runtime_env=workers.runtime_env,
            max_task_retries=0 if alone else 2,
        )
    yield from done.iter_rows()
