"""`build_popdb.py` on a cluster whose GPUs are only numbers of Ray's: the same job, its models on the CPU.

python -m tests.jobs.fake_gpus --device cuda --workers 2 ...
"""

from typing import Any

from samuel import building


class OnCpu(building.PairBuilder):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"device": "cpu", "threads": 1})


if __name__ == "__main__":
    from jobs.build_popdb import app
    from tests.jobs import fake_gpus

    building.PairBuilder = fake_gpus.OnCpu  # type: ignore[misc]  # by its importable name: workers import it, too
    app()
