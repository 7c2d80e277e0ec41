"""How the service serves: against the library, with many clients, overloaded, and with workers killed.

    python jobs/benchmarks/bench_serving.py --checkpoint runs/first

Starts Ray and the app on this machine, asks it over HTTP, and writes one Markdown table.
"""

import asyncio
import io
import os
import socket
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import httpx
import psutil
import torch
import typer
from rich.console import Console

from jobs.benchmarks.page import Out, Record, app_of, publish

POST = "/v1/accompaniments"
PATIENCE = httpx.Timeout(600)
HEADER_BYTES = 44
"""Of a WAV file, before its first sample."""


@dataclass(frozen=True)
class Load:
    """What a number of clients saw."""

    seconds: float
    latencies: list[float]
    statuses: Counter[int]


def sung(recording: Path, seconds: float) -> bytes:
    """The recording, repeated or cut to this length, as FLAC."""
    from samuel.audio import decode, write
    from samuel.config import SAMPLE_RATE

    voice = decode(recording)
    samples = round(seconds * SAMPLE_RATE)
    buffer = io.BytesIO()
    write(buffer, voice.repeat(1, -(-samples // voice.shape[-1]))[:, :samples], "flac")
    return buffer.getvalue()


def by_library(producer: Any, recording: bytes) -> float:
    """Seconds from the recording's bytes to the band's, without the service, which does the same."""
    from samuel.audio import decode
    from samuel.audio.loudness import encoded

    began = time.perf_counter()
    vocals = decode(io.BytesIO(recording))
    encoded(producer.play(vocals, producer.director.direct(vocals)), "wav")
    return time.perf_counter() - began


async def ask(client: httpx.AsyncClient, recording: bytes, quality: str, **headers: str) -> httpx.Response:
    files = {"vocals": ("voice.flac", recording)}
    return await client.post(POST, files=files, data={"quality": quality}, headers=headers)


async def listen(client: httpx.AsyncClient, recording: bytes, quality: str) -> tuple[float, float, Any]:
    """Seconds from the request to the first audio and to the last, as a client hears it; and the job."""
    began = time.perf_counter()
    job = (await ask(client, recording, quality, Prefer="respond-async")).raise_for_status().json()
    first = 0.0
    received = 0
    async with client.stream("GET", job["links"]["stream"][0]) as answer:
        answer.raise_for_status()
        async for part in answer.aiter_raw():
            received += len(part)
            if received > HEADER_BYTES and not first:
                first = time.perf_counter() - began
    last = time.perf_counter() - began
    return first, last, (await client.get(job["links"]["self"])).json()


async def load(address: str, clients: int, requests: int, recording: bytes, quality: str) -> Load:
    """So many clients, each asking so many times, one after the other."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()

    async def one() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            for _ in range(requests):
                began = time.perf_counter()
                answer = await ask(client, recording, quality)
                latencies.append(time.perf_counter() - began)
                statuses[answer.status_code] += 1
                if answer.status_code == 429 and "retry-after" not in answer.headers:
                    raise ValueError("a 429 without Retry-After")

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return Load(time.perf_counter() - began, latencies, statuses)


def replicas(app: str, deployment: str) -> list[psutil.Process]:
    """The processes of a deployment of the app of this name, which no other app here has."""
    title = f"ray::ServeReplica:{app}:{deployment}"
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if title in " ".join(process.info["cmdline"] or ())[: len(title) + 20]:
            found.append(process)
    return found


async def kill_under_load(
    address: str, app: str, jobs: int, recording: bytes, quality: str
) -> dict[str, Any]:
    """Jobs that are polled while a replica of each kind is killed -9, one after the other."""
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        expected = await ask(client, recording, quality)
        accepted = [
            (await ask(client, recording, quality, Prefer="respond-async")).json() for _ in range(jobs)
        ]
        killed = []
        for deployment in ("Denoiser", "AudioCodec", "Api"):
            await asyncio.sleep(1.0)
            for process in replicas(app, deployment):
                process.kill()
                killed.append(deployment)
        states: dict[str, str] = {}
        until = time.monotonic() + 400
        away = 0
        while len(states) < jobs and time.monotonic() < until:
            await asyncio.sleep(0.5)
            for job in accepted:
                if job["id"] in states:
                    continue
                try:
                    answer = await client.get(job["links"]["self"], timeout=5)
                except httpx.TransportError:
                    away += 1
                    continue
                if answer.status_code >= 500:
                    away += 1
                elif answer.status_code != 200:
                    states[job["id"]] = f"lost ({answer.status_code})"
                elif answer.json()["state"] not in ("queued", "running"):
                    states[job["id"]] = answer.json()["state"]
        same = 0
        for job in accepted:
            if states.get(job["id"]) == "succeeded":
                same += (await client.get(job["links"]["audio"][0])).content == expected.content
    return {"killed": killed, "states": Counter(states.values()), "same": same, "unanswered polls": away}


async def measure(
    address: str,
    app: str,
    voice: Path,
    quality: str,
    lengths: list[float],
    rounds: int,
    checkpoint: str | None,
) -> list[tuple[str, str]]:
    from samuel.generation import PRETRAINED, GenerationConfig, Generator, Mixdown
    from samuel.generation.producer import Producer

    console = Console()
    rows: list[tuple[str, str]] = []

    def note(what: str, figure: str) -> None:
        rows.append((what, figure))
        console.print(f"{what}: {figure}", highlight=False)

    short = sung(voice, 10)
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        await ask(client, short, "draft")  # each process computes its first things
        for seconds in lengths:
            first, last, job = await listen(client, sung(voice, seconds), quality)
            parts = ", ".join(f"{name} {spent:.1f} s" for name, spent in job["stage_seconds"].items())
            note(
                f"{seconds:g} s of vocals, {quality}",
                f"first audio after {first:.1f} s, all after {last:.1f} s: {seconds / last:.1f} x real time ({parts})",
            )

        generator = Generator.load(checkpoint or PRETRAINED)
        producer = Producer(generator, GenerationConfig(quality), Mixdown())
        torch.set_num_threads(int(os.environ.get("SAMUEL_THREADS", os.cpu_count() or 1)))
        by_library(producer, short)
        pairs = []
        for turn in range(rounds):  # in turns, as a shared machine's speed drifts
            new = sung(voice, 10 + turn / 100)  # the service remembers voices
            library = await asyncio.to_thread(by_library, producer, new)
            began = time.perf_counter()
            (await ask(client, new, quality)).raise_for_status()
            pairs.append((library, time.perf_counter() - began))
        del producer, generator
    alone, served = median(a for a, _ in pairs), median(b for _, b in pairs)
    ratio = median(b / a for a, b in pairs)
    note(
        f"the service / the library, 10 s of vocals, median of {rounds} turns",
        f"{served:.2f} s / {alone:.2f} s, ratio {ratio:.2f}",
    )

    for clients in (1, 4, 16):
        seen = await load(address, clients, max(1, 8 // clients), short, quality)
        late = quantiles(seen.latencies, n=20)[-1] if len(seen.latencies) > 1 else seen.latencies[0]
        done = seen.statuses[200]
        note(
            f"{clients} client{'s' * (clients > 1)}, {sum(seen.statuses.values())} requests",
            f"{10 * done / seen.seconds:.2f} s of audio a second, latency {median(seen.latencies):.1f} s "
            f"(95%: {late:.1f} s), {done} of {sum(seen.statuses.values())} answered",
        )

    manager = replicas(app, "Api")[0]
    before = manager.memory_info().rss
    seen = await load(address, 100, 1, short, "draft")
    refusals = sorted(seen.latencies)[: seen.statuses[429]]
    note(
        "100 clients at once",
        ", ".join(f"{count} x {status}" for status, count in sorted(seen.statuses.items()))
        + (f"; refused within {refusals[-1]:.1f} s" if refusals else ""),
    )
    after = manager.memory_info().rss
    note("memory of the API's process before / after that", f"{before / 2**20:.0f} / {after / 2**20:.0f} MiB")

    outcome = await kill_under_load(address, app, 6, short, quality)
    states = ", ".join(f"{count} {state}" for state, count in outcome["states"].items())
    note(
        f"6 polled jobs, killed -9 meanwhile: {', '.join(outcome['killed'])}",
        f"{states}; {outcome['same']} the same to the bit as undisturbed; {outcome['unanswered polls']} polls had no answer",
    )
    return rows


def main(
    checkpoint: Annotated[
        str | None, typer.Option(help="A run or a checkpoint; by default the one in the package.")
    ] = None,
    voice: Annotated[Path, typer.Option(help="A recording to sing with.")] = Path(__file__).parents[2]
    / "samuel/studio/example.ogg",
    quality: Annotated[str, typer.Option(help="draft, standard or best.")] = "standard",
    lengths: Annotated[str, typer.Option(help="Seconds of vocals to measure end to end.")] = "10,47.55,240",
    rounds: Annotated[int, typer.Option(help="How often service and library take turns.")] = 5,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    out: Out = None,
    record: Record = False,
) -> None:
    """Measure the service on this machine, and write a table."""
    import logging

    from jobs.runtime.cluster import start
    from jobs.serve import app

    import ray
    from ray import serve

    name = f"bench{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start(
        logging.ERROR,
        address="local",
        num_cpus=max(2, os.cpu_count() or 2),
        include_dashboard=False,
        log_to_driver=False,
        _system_config={"worker_niceness": 0},  # as the library beside it; by default Ray's workers give way
    )
    try:
        with tempfile.TemporaryDirectory() as spool:
            serve.start(http_options={"port": port})
            serve.run(
                app({"device": device, "spool": spool} | ({"checkpoint": checkpoint} if checkpoint else {})),
                name=name,
                route_prefix="/",
            )
            address = f"http://127.0.0.1:{port}"
            chosen = [float(one) for one in lengths.split(",")]
            rows = asyncio.run(measure(address, name, voice, quality, chosen, rounds, checkpoint))
            model = httpx.get(f"{address}/v1/models").json()["data"][0]
            serve.shutdown()
    finally:
        ray.shutdown()
    lines = [
        f"Device {model['device']}, quality {quality}, model {model['id']} ({model['parameters']:,} parameters), codec {model['codec']}.",
        "",
        "| what | figure |",
        "|---|---|",
        *(f"| {what} | {figure} |" for what, figure in rows),
        "",
    ]
    publish("\n".join(lines), out, record)


if __name__ == "__main__":
    app_of(main)()
