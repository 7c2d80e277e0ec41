"""What evaluating costs -> a table. Run `python jobs/benchmarks/bench_evaluation.py --help`."""

import dataclasses
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from jobs.benchmarks.page import Record, app_of, publish

RANDOM = "random"


def main(
    songs: Annotated[str, typer.Option(help="Folder of audio files to score.")],
    aesthetics: Annotated[
        str,
        typer.Option(
            help="AudioBox-Aesthetics' weights: hub, a checkpoint.pt, none, or random: of its real size, which do for "
            "its speed."
        ),
    ] = "none",
    count: Annotated[int, typer.Option(min=1, help="Files at the most.")] = 20,
    workers: Annotated[int, typer.Option(min=1, help="Workers of the job, one thread each.")] = 1,
    record: Record = False,
) -> None:
    """Time the scoring of files: one process in a bare loop, and the job with Ray, on the same files.

    Overhead: seconds of the job times its workers, over seconds of the loop; and, apart from the start of its
    workers and from other work on the machine, from its first file on over what its workers measured in that time. The
    start of Ray and the loop's loading of models are counted apart.

        python jobs/benchmarks/bench_evaluation.py --songs songs --count 20
        python jobs/benchmarks/bench_evaluation.py --songs songs --count 4 --aesthetics random
    """
    from rich.console import Console

    from jobs.runtime.cluster import connect
    from jobs.runtime.scoring import Records, extract_records
    from jobs.runtime.worker_pool import WorkerPool
    from samuel.evaluation.efficiency import processor
    from samuel.evaluation.record import FeatureExtractor, TrackRecord
    from samuel.evaluation.samples import read_folder

    def bits(record: TrackRecord) -> bytes:
        """All of a record but for the times that it took."""
        return dataclasses.replace(record, work_seconds={}).to_bytes()

    console = Console(soft_wrap=True, highlight=False)
    samples = list(read_folder("songs", songs).samples.values())[:count]
    folder = tempfile.mkdtemp()
    try:
        if aesthetics == RANDOM:
            aesthetics = write_random_weights(Path(folder) / "checkpoint.pt")
        with console.status("the bare loop"):
            began = time.perf_counter()
            extractor = FeatureExtractor(aesthetics, threads=1, previews=True)
            extractor(samples[0].source)  # libraries compile and read their tables when first used
            ready = time.perf_counter()
            records = [extractor(sample.source) for sample in samples]
            loop = time.perf_counter() - ready
        audio_seconds = sum(record.seconds for record in records)
        stages = {
            stage: sum(record.work_seconds.get(stage, 0.0) for record in records)
            for stage in records[0].work_seconds
        }
        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  # as the loop; by default Ray's workers give way
        began_ray = time.perf_counter()
        connect()
        ray_start = time.perf_counter() - began_ray
        with console.status("the job"):
            began_job = time.perf_counter()
            arrivals = [
                (time.perf_counter(), sum(row["work_seconds"].values()))
                for row in extract_records(
                    samples, Records(folder, "bench"), WorkerPool(workers, "cpu", 1), aesthetics=aesthetics, max_seconds=900.0
                )
            ]  # fmt: skip
            job = time.perf_counter() - began_job
        identical = all(
            bits(Records(folder, "bench").read(sample.key)) == bits(TrackRecord.from_bytes(record.to_bytes()))
            for sample, record in zip(samples, records, strict=True)
        )
    finally:
        shutil.rmtree(Path(folder))
    first, work = arrivals[0][0] - began_job, sum(seconds for _, seconds in arrivals)
    rest = (job - first) * workers / (work - arrivals[0][1])
    lines = [
        f"{len(samples)} files, {audio_seconds:.0f} s of audio, {processor()}. Ray's start {ray_start:.0f} s, loading in the loop "
        f"{ready - began:.0f} s, first file of the job after {first:.0f} s. Overhead of the job: {job * workers / loop:.2f} x the "
        f"loop; from its first file on {rest:.2f} x its own work. Records are {'the same' if identical else 'DIFFERENT'} to "
        "the bit.",
        "",
        "| | seconds | x real time per core |",
        "|---|---|---|",
    ]
    stages |= {
        "the bare loop": loop,
        "the same in the job": work,
        f"the job, {workers} workers": job * workers,
    }
    lines += [
        f"| {stage} | {seconds:.1f} | {audio_seconds / seconds:.1f} |"
        for stage, seconds in stages.items()
        if seconds > 1e-3
    ]
    publish("\n".join(lines), record=record)


def write_random_weights(path: Path) -> str:
    """A checkpoint of AudioBox-Aesthetics as its package has it by default, untrained."""
    import torch
    from audiobox_aesthetics.model.aes import AesMultiOutput

    from samuel.evaluation.aesthetics import AXES

    target = {axis: {"mean": 5.0, "std": 1.0} for axis in AXES}
    weights = {
        f"model.{name}": one for name, one in AesMultiOutput(target_transform=target).state_dict().items()
    }
    layout = {one.name: one.default for one in dataclasses.fields(AesMultiOutput)}
    torch.save({"state_dict": weights, "model_cfg": layout, "target_transform": target}, path)
    return str(path)


if __name__ == "__main__":
    app_of(main, rich_markup_mode="markdown")()
