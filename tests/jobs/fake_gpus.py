"""`build_popdb.py` on a cluster whose GPUs are only numbers of Ray's: the same job, its models on the CPU.

python -m tests.jobs.fake_gpus --device cuda --workers 2 ...

A worker that has made a song holds its next until the file that `GATE` names is there: however quick the machine, a drill
finds the job at work.
"""

import os
import time
from pathlib import Path
from typing import Any

from samuel.popdb import song_builder

GATE = "SAMUEL_DRILL_GATE"
"""The variable of the environment with the file that workers wait for."""


class OnCpu(song_builder.PairBuilder):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"device": "cpu", "threads": 1})
        self.made = 0

    def __call__(self, *arguments: Any, **options: Any) -> song_builder.SongReport:
        while self.made and not Path(os.environ[GATE]).exists():
            time.sleep(0.1)
        report = super().__call__(*arguments, **options)
        self.made += not report.error
        return report


if __name__ == "__main__":
    from jobs.build_popdb import app
    from tests.jobs import fake_gpus

    song_builder.PairBuilder = fake_gpus.OnCpu  # type: ignore[misc]  # by its importable name: workers import it, too
    app()
