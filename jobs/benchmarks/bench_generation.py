"""Measure generation end to end, and write the table. No Ray."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.benchmarks.page import Out, Record, app_of, publish

if TYPE_CHECKING:
    from torch import Tensor

SCRIPT = Path(__file__).parents[1] / "generate.py"
EXAMPLE = Path(__file__).parents[2] / "samuel" / "studio" / "example.ogg"
LENGTHS = (10.0, 47.55, 240.0)


def main(
    out: Out = None,
    record: Record = False,
    checkpoint: Annotated[
        str | None, typer.Option(help="A run or a checkpoint. Default: the one in the package.")
    ] = None,
    quality: Annotated[str, typer.Option(help="draft, standard or best.")] = "standard",
    vocals: Annotated[
        Path, typer.Option(help="Vocals, repeated to each length. Default: the studio's example.")
    ] = EXAMPLE,
    seconds: Annotated[
        list[float] | None, typer.Option(help="Lengths; may be repeated. Default: 10, 47.55 and 240.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch. Default: as torch likes.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 2,
    peer: Annotated[
        Path | None,
        typer.Option(
            help="Another checkout of this project, run turn by turn with this one; ratios are added."
        ),
    ] = None,
    only: Annotated[bool, typer.Option("--only", hidden=True)] = False,
) -> None:
    """Write a table: seconds from vocals to accompaniment, the first audio, where the time goes, memory.

    \b
    python jobs/benchmarks/bench_generation.py --out generation.md
    python jobs/benchmarks/bench_generation.py --quality draft --seconds 30

    "End to end" is from vocals in memory to all of their accompaniment, with the models loaded: its lead sheet is found
    and arranged ("direct"), the arrangement is played ("play"), and the network plays from both. What goes on side by side
    counts in full in each: these may be more than the whole. "separate" comes on top where the recording is a mix. Each length has a process of its own, so that its peak of memory (of
    all but the separator, and with it) is its own. The last line is a whole command, from its start to its file.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    if only:
        assert seconds
        print(json.dumps(measured(seconds[0], vocals, checkpoint, quality, device, repetitions)))
        return
    from tabulate import tabulate

    from samuel import audio

    rows: list[dict[str, object]] = []
    for length in seconds or LENGTHS:
        chosen = [f"--vocals={vocals}", f"--quality={quality}", f"--device={device}"]
        chosen += [f"--checkpoint={checkpoint}"] if checkpoint else []
        chosen += [f"--threads={threads}"] if threads else []
        chosen += [f"--repetitions={repetitions}", f"--seconds={length}", "--only"]
        here = json.loads(run([sys.executable, sys.argv[0], *chosen]))
        rows.append({"": "this"} | here)
        if peer:
            there = json.loads(run([sys.executable, str(script_of(peer)), *chosen], peer))
            shared = [name for name in there if name != "seconds" and here.get(name)]
            ratios = {name: there[name] / here[name] for name in shared}
            rows += [{"": peer.name} | there, {"": "ratio", "seconds": length} | ratios]
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    text = f"`{' '.join(['python', *sys.argv])}` on {where}:\n\n{tabulate(rows, 'keys', 'github', '.2f')}\n\n"
    with tempfile.TemporaryDirectory() as folder:
        short = f"{folder}/vocals.wav"
        audio.write(short, repeated(vocals, 10.0))
        chosen = [f"--checkpoint={checkpoint}"] if checkpoint else []
        for name, checkout in {"this": None, **({peer.name: peer} if peer else {})}.items():
            script = checkout / "jobs" / "generate.py" if checkout else SCRIPT
            given = [short, f"--out={folder}/{name}.wav", f"--device={device}", *chosen]
            began = time.perf_counter()
            run([sys.executable, str(script), *given], checkout)
            took = time.perf_counter() - began
            text += f"`python jobs/generate.py` ({name}) for 10 s of vocals, from its start to its file: {took:.1f} s\n"
    publish(text, out, record)


def script_of(checkout: Path) -> Path:
    """This benchmark in another checkout. Exits where there is none."""
    for folder in ("jobs/benchmarks", "jobs"):
        if (script := checkout / folder / "bench_generation.py").is_file():
            return script
    sys.exit(f"{checkout} has no bench_generation.py: --peer takes a checkout of this project")


def run(command: list[str], checkout: Path | None = None) -> str:
    """The last line that a process prints; where it fails, this one ends with its words."""
    env = {**os.environ, "PYTHONPATH": str((checkout or Path(__file__).parents[2]).resolve())}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(done.stderr.strip() or done.stdout.strip())
    return done.stdout.splitlines()[-1]


def repeated(vocals: Path, seconds: float) -> "Tensor":
    """The recording over and over, `seconds` long."""
    from samuel import audio
    from samuel.config import SAMPLE_RATE

    samples = round(seconds * SAMPLE_RATE)
    once = audio.decode(vocals)
    return once.repeat(1, -(-samples // once.shape[1]))[:, :samples].contiguous()


def measured(
    seconds: float, vocals: Path, checkpoint: str | None, quality: str, device: str, repetitions: int
) -> dict[str, float]:
    """One row of the table."""
    from samuel.config import SAMPLE_RATE
    from samuel.generation import PRETRAINED, Direction, Director, GenerationConfig, Generator
    from samuel.separation import load_separator

    spent: dict[str, float] = {}

    class Timed(Generator):
        """A generator whose parts tell how long they took."""

        def sample(self, *arguments: Any) -> Any:
            return timed("sample", super().sample, *arguments)

        def decode_all(self, *arguments: Any) -> Any:
            return timed("decode", super().decode_all, *arguments)

    def timed(name: str, part: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        result = part(*arguments)
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
        return result

    generator = Timed.load(checkpoint or PRETRAINED, device=device)
    encoder = generator.codec.encoder
    generator.codec.encoder = partial(timed, "encode", encoder)
    director = Director(Direction())
    recording = repeated(vocals, seconds)

    def begun(recording: "Tensor", config: GenerationConfig) -> "Iterator[Tensor]":
        """The band of a recording, in pieces."""
        if not generator.trained.model.config.plays_lead_sheets:
            return generator.stream(recording, config)
        directed = timed("direct", director.direct, recording)
        blocks = directed.arrangement and director.play_blocks(directed.arrangement, recording.shape[-1])
        played = blocks and iter(partial(timed, "play", next, blocks, None), None)
        return generator.stream(
            recording, config, lead_sheet=directed.sheet, arrangement=played, voice=directed.voice
        )

    for _ in begun(recording[:, : 5 * SAMPLE_RATE], GenerationConfig("draft")):  # a process's first is slower
        pass
    rows = []
    for _ in range(repetitions):
        spent.clear()
        began = time.perf_counter()
        pieces = begun(recording, GenerationConfig(quality))
        next(pieces)
        first = time.perf_counter() - began
        for _ in pieces:
            pass
        total = time.perf_counter() - began
        rows.append({"end to end": total, "x real time": seconds / total, "first audio": first, **spent})
    best = min(rows, key=lambda row: row["end to end"])
    megabytes = peak_megabytes()
    timed("separate", load_separator("spleeter", device), recording)
    best |= {"separate": spent["separate"], "peak MB": megabytes, "with separator": peak_megabytes()}
    return {"seconds": seconds, **best}


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform == "linux" else 2**20)


if __name__ == "__main__":
    app_of(main)()
