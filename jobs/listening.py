"""Files into records with Ray Data: what `evaluate.py` runs, without its command line.

An actor holds the judges, hears a file and writes its record to
`records/` under the report's folder: what is there is not heard again.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from jobs.pipeline import Workers
from jobs.pool import DIED, pool
from samuel.evaluation.record import FORMAT, Listener, Record
from samuel.evaluation.samples import Sample
from samuel.storage import absolute, find_prefixed, join, read_bytes, write_atomic


class Records:
    """The records below a report's folder, of one judge (a hash of its weights, or "none")."""

    def __init__(self, out: str, judge: str) -> None:
        self.folder = f"{absolute(out)}/records"
        self.suffix = f"-{FORMAT}-{judge}.npz"

    def present(self) -> set[str]:
        """Keys of the samples that were heard."""
        names = [path.name for path in find_prefixed(self.folder, "")]
        return {name.removesuffix(self.suffix) for name in names if name.endswith(self.suffix)}

    def read(self, key: str) -> Record:
        return Record.from_bytes(read_bytes(join(self.folder, key + self.suffix)))

    def write(self, key: str, record: Record) -> None:
        write_atomic(join(self.folder, key + self.suffix), record.to_bytes())


class Hear:
    """A worker as Ray Data runs it: a row with a sample in, a row with its error and times out."""

    def __init__(self, records: Records, make_listener: Any, max_seconds: float) -> None:
        self.records, self.max_seconds = records, max_seconds
        self.stop = ""
        try:
            self.listener = make_listener()
        except Exception as error:  # weights that only this machine lacks, say
            self.stop = f"a worker could not start: {error}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.stop:
            return row | {"error": "", "stop": self.stop, "seconds": 0.0, "work_seconds": {}}
        record = self.listener(row["source"], self.max_seconds)
        self.records.write(row["key"], record)
        told = {"error": record.error, "seconds": record.seconds, "work_seconds": record.work_seconds}
        return row | {"stop": ""} | told


def listen(
    samples: list[Sample], records: Records, workers: Workers, *, aesthetics: str, max_seconds: float
) -> Iterator[dict[str, Any]]:
    """Hear `samples` and write their records; yields a row for each as it is done. Raises ValueError to stop.

    A file whose worker dies again and again gets a row, but no record: another run tries it again.
    """
    pending = {sample.key: sample for sample in samples}
    rows = [{"key": key, "source": sample.source} for key, sample in pending.items()]
    make_listener = partial(Listener, aesthetics, workers.device, workers.threads, previews=True)
    for row in pool(rows, Hear, (records, make_listener, max_seconds), workers):
        if row["stop"]:
            raise ValueError(row["stop"])
        pending.pop(row["key"])
        yield row
    for key, sample in pending.items():
        yield {"key": key, "source": sample.source, "error": DIED, "seconds": 0.0, "work_seconds": {}}
