"""Files into records with Ray Data: what `evaluate.py` runs, without its command line.

An actor holds the judges, hears a file and writes its record to
`records/` under the report's folder: what is there is not measured again.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from jobs.runtime.actor_pool import pool
from jobs.runtime.worker_pool import WorkerPool
from samuel.evaluation.record import FORMAT, FeatureExtractor, TrackRecord, failed
from samuel.evaluation.samples import Sample
from samuel.storage import absolute, find_prefixed, join, read_bytes, write_atomic


class Records:
    """The records below a report's folder, of one judge (a hash of its weights, or "none")."""

    def __init__(self, out: str, judge: str) -> None:
        self.folder = f"{absolute(out)}/records"
        self.suffix = f"-{FORMAT}-{judge}.npz"

    def present(self) -> set[str]:
        """Keys of the samples that were measured."""
        names = [path.name for path in find_prefixed(self.folder, "")]
        return {name.removesuffix(self.suffix) for name in names if name.endswith(self.suffix)}

    def read(self, key: str) -> TrackRecord:
        """What is known of a sample; where its record cannot be read, that it is not."""
        path = join(self.folder, key + self.suffix)
        try:
            return TrackRecord.from_bytes(read_bytes(path))
        except FileNotFoundError:
            return failed(f"there is no record of it: do all machines see one and the same {self.folder}?")
        except Exception as error:  # cut short or written over
            return failed(f"its record cannot be read ({error}); delete {path} to have it heard again")

    def write(self, key: str, record: TrackRecord) -> None:
        write_atomic(join(self.folder, key + self.suffix), record.to_bytes())


class ExtractRecords:
    """What a worker of the pool does: a row with a sample in, its error, length and times out."""

    def __init__(self, records: Records, make_extractor: Any, max_seconds: float) -> None:
        self.records, self.max_seconds = records, max_seconds
        self.extractor = make_extractor()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        record = self.extractor(row["source"], self.max_seconds)
        if not record.passing:
            self.records.write(row["key"], record)
        return {"error": record.error, "seconds": record.seconds, "work_seconds": record.work_seconds}


def extract_records(
    samples: list[Sample], records: Records, workers: WorkerPool, *, aesthetics: str, max_seconds: float
) -> Iterator[dict[str, Any]]:
    """Measure `samples` and write their records; yields a row for each as it is done. Raises ValueError to stop.

    A file that could not be had for a reason that may pass, or whose worker dies again and again, gets a row, but no
    record: another run tries it again.
    """
    rows = [{"key": sample.key, "source": sample.source} for sample in samples]
    make_extractor = partial(FeatureExtractor, aesthetics, workers.device, workers.threads, previews=True)
    unknown = {"seconds": 0.0, "work_seconds": {}}
    for row in pool(rows, ExtractRecords, (records, make_extractor, max_seconds), workers, key="key"):
        yield unknown | row
