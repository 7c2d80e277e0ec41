"""One thing done to many rows by actors of Ray Data: one row is one block and one task.

So a worker's death costs the rows that it held, and no other.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from jobs.pipeline import Workers

import ray
from ray.data import ActorPoolStrategy, DataContext

DIED = "its worker process ended without a word: out of memory, or a crash"

Row = dict[str, Any]


def pool(
    rows: list[Row],
    make_worker: Callable[..., Callable[[Row], Row]],
    arguments: tuple[Any, ...],
    workers: Workers,
) -> Iterator[Row]:
    """What `make_worker(*arguments)`, a class that is made once in each actor, makes of each row, as it is done.

    A row whose worker dies again and again yields none.
    """
    if not rows:
        return
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.target_max_block_size = None
    context.execution_no_progress_timeout_s = -1  # a long track on a slow model is no stall
    most = min(workers.count, len(rows))
    with warnings.catch_warnings():  # Ray announces how 2.64 renames an argument; it is pinned
        warnings.simplefilter("ignore", DeprecationWarning)
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            make_worker,  # type: ignore[arg-type]  # Ray makes an actor of a class that is called
            fn_constructor_args=arguments,
            compute=ActorPoolStrategy(
                min_size=max(1, min(most, workers.ready)), max_size=most, max_tasks_in_flight_per_actor=2
            ),
            num_cpus=workers.num_cpus,
            num_gpus=workers.num_gpus,
            runtime_env=workers.runtime_env,
            max_task_retries=2,
        )
    yield from done.iter_rows()
