"""How long a POPDB takes to build, and what it costs: measured speeds and stated prices in, a table out.

Speeds are times real time: hours of audio an hour of a worker. A worker separates and encodes one song after the
other, and decodes the next beside that. Run `python jobs/benchmarks/capacity.py --help`.
"""

from dataclasses import dataclass
from math import ceil
from typing import Annotated

import typer

from jobs.benchmarks.page import app_of
from samuel.config import CHUNK_SECONDS

SONG_SECONDS = 210.0
"""Of a pop song, about."""

REQUESTS_A_SONG = 3
"""A search, a look at the recording, the recording."""

PAIR_BYTES = 2 * 65_536 * 2
"""Two latents of half floats; they compress little."""

AUDIO_BYTES_A_SECOND = 16_000
"""Of the compressed audio that a POPDB keeps, at 128 kbit/s."""


@dataclass(frozen=True)
class Worker:
    """What separates and encodes: a core, or a machine with a GPU."""

    name: str
    separate: float
    encode: float
    dollars_an_hour: float

    @property
    def speed(self) -> float:
        """Hours of audio an hour."""
        return 1 / (1 / self.separate + 1 / self.encode)


@dataclass(frozen=True)
class Estimate:
    hours: float
    dollars: float
    bottleneck: str


def estimate(
    audio_hours: float,
    worker: Worker,
    count: int,
    *,
    requests_per_minute: float | None,
    busy: float,
    start_minutes: float,
    around_dollars: float,
) -> Estimate:
    """Build `audio_hours` with up to `count` workers, which are busy for a share `busy` of their time.

    With `requests_per_minute` the songs are downloaded first, at that rate; None: they are there. Machines that have
    nothing to do are given back, so no more are paid than the work needs. `around_dollars` an hour go to the head
    and the downloads.
    """
    work = audio_hours / (worker.speed * busy)
    compute = work / count
    songs_an_hour = requests_per_minute * 60 / REQUESTS_A_SONG if requests_per_minute else None
    download = audio_hours * 3600 / SONG_SECONDS / songs_an_hour if songs_an_hour else 0.0
    start = start_minutes / 60
    hours = max(compute, download) + start
    paid = work + start * min(count, ceil(work / max(compute, download)))
    dollars = paid * worker.dollars_an_hour + hours * around_dollars
    return Estimate(hours, dollars, "downloads" if download > compute else "separation")


def main(
    hours: Annotated[
        list[float], typer.Option(help="Hours of audio. Default: the paper's 15,713 pairs, and 7,300 hours.")
    ] = [15_713 * CHUNK_SECONDS / 3600, 7_300],  # noqa: B006  # typer wants a list
    counts: Annotated[list[int], typer.Option(help="Workers.")] = [1, 8, 64],  # noqa: B006
    core_separate: Annotated[
        float, typer.Option(help="Spleeter on a core, times real time: measured.")
    ] = 11.5,
    core_encode: Annotated[float, typer.Option(help="mini on a core: measured.")] = 73.0,
    core_dollars: Annotated[float, typer.Option(help="A core's hour: m6i.large, half of it.")] = 0.048,
    gpu_separate: Annotated[float, typer.Option(help="htdemucs on an A10G: assumed.")] = 25.0,
    gpu_encode: Annotated[float, typer.Option(help="A VAE on an A10G: assumed.")] = 100.0,
    gpu_dollars: Annotated[float, typer.Option(help="A machine with a GPU an hour: g5.xlarge.")] = 1.006,
    around_dollars: Annotated[
        float, typer.Option(help="An hour of the head and of a machine for downloads.")
    ] = 0.192,
    requests_per_minute: Annotated[float, typer.Option(help="As for build_popdb.py.")] = 9.0,
    busy: Annotated[
        float,
        typer.Option(
            help="Share of their time that workers are busy: a little less than bench_scaling.py says."
        ),
    ] = 0.95,
    start_minutes: Annotated[float, typer.Option(help="Until a new machine works.")] = 8.0,
) -> None:
    """What building a POPDB takes, in hours and in dollars, as a Markdown table.

    The defaults are those of cluster/README.md, which says where they come from; put your own in their place.

        python jobs/benchmarks/capacity.py --hours 1000 --counts 16 --gpu-separate 40 --gpu-dollars 0.45
    """
    workers = [
        Worker("core", core_separate, core_encode, core_dollars),
        Worker("GPU", gpu_separate, gpu_encode, gpu_dollars),
    ]
    print("| audio | workers | songs there | songs to download | bottleneck then |")
    print("|---|---|---|---|---|")
    for audio_hours in hours:
        for worker in workers:
            for count in counts:
                there, fetched = (
                    estimate(
                        audio_hours,
                        worker,
                        count,
                        requests_per_minute=rate,
                        busy=busy,
                        start_minutes=start_minutes,
                        around_dollars=around_dollars,
                    )
                    for rate in (None, requests_per_minute)
                )
                print(
                    f"| {audio_hours:,.0f} h | {count} {worker.name}{'s' * (count > 1)} | {said(there)} "
                    f"| {said(fetched)} | {fetched.bottleneck} |"
                )
    print()
    for audio_hours in hours:
        pairs = audio_hours * 3600 / CHUNK_SECONDS
        latents, audio = pairs * PAIR_BYTES / 1e9, audio_hours * 3600 * AUDIO_BYTES_A_SECOND / 1e9
        print(
            f"{audio_hours:,.0f} h are {pairs:,.0f} pairs: {latents:,.0f} GB, and {audio:,.0f} GB of audio if downloaded."
        )


def said(found: Estimate) -> str:
    return f"{found.hours:,.1f} h, ${found.dollars:,.0f}"


app = app_of(main, rich_markup_mode="markdown")

if __name__ == "__main__":
    app()
