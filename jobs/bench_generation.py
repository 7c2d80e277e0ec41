"""Measure generation end to end, and write the table. No Ray."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor

SCRIPT = Path(__file__).with_name("generate.py")
EXAMPLE = Path(__file__).parents[1] / "samuel" / "studio" / "example.ogg"
LENGTHS = (10.0, 47.55, 240.0)


def main(
    out: Annotated[Path | None, typer.Option(help="Write the table here, too.")] = None,
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
    only: Annotated[bool, typer.Option("--only", hidden=True)] = False,
) -> None:
    """Write a table: seconds from vocals to accompaniment, the first audio, where the time goes, memory.

    \b
    python jobs/bench_generation.py --out generation.md
    python jobs/bench_generation.py --quality draft --seconds 30

    "End to end" is from vocals in memory to all of their accompaniment, with the models loaded; "separate" comes
    on top where the recording is a mix. Each length has a process of its own, so that its peak of memory (of
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

    rows = []
    for length in seconds or LENGTHS:
        chosen = [f"--vocals={vocals}", f"--quality={quality}", f"--device={device}"]
        chosen += [f"--checkpoint={checkpoint}"] if checkpoint else []
        chosen += [f"--threads={threads}"] if threads else []
        chosen += [f"--repetitions={repetitions}", f"--seconds={length}", "--only"]
        rows.append(json.loads(run([sys.executable, sys.argv[0], *chosen])))
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    text = f"`{' '.join(['python', *sys.argv])}` on {where}:\n\n{tabulate(rows, 'keys', 'github', '.1f')}\n\n"
    with tempfile.TemporaryDirectory() as folder:
        short = f"{folder}/vocals.wav"
        audio.write(short, repeated(vocals, 10.0))
        chosen = [f"--checkpoint={checkpoint}"] if checkpoint else []
        began = time.perf_counter()
        run([sys.executable, str(SCRIPT), short, f"--out={folder}/band.wav", f"--device={device}", *chosen])
        took = time.perf_counter() - began
        text += f"`python jobs/generate.py` for 10 s of vocals, from its start to its file: {took:.1f} s\n"
    print(text)
    if out:
        out.write_text(text)


def run(command: list[str]) -> str:
    """The last line that a process prints; where it fails, this one ends with its words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
    from samuel.generation import PRETRAINED, Generator, Recipe
    from samuel.separation import load_separator

    spent: dict[str, float] = {}

    class Timed(Generator):
        """A generator whose parts tell how long they took."""

        def encode(self, *arguments: Any) -> Any:
            return timed("encode", super().encode, *arguments)

        def sample(self, *arguments: Any) -> Any:
            return timed("sample", super().sample, *arguments)

        def decode(self, *arguments: Any) -> Any:
            return timed("decode", super().decode, *arguments)

    def timed(name: str, part: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        result = part(*arguments)
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
        return result

    generator = Timed.load(checkpoint or PRETRAINED, device=device)
    recording = repeated(vocals, seconds)
    generator.accompany(recording[:, :SAMPLE_RATE], Recipe("draft"))  # the first call of a process is slower
    rows = []
    for _ in range(repetitions):
        spent.clear()
        began = time.perf_counter()
        pieces = generator.stream(recording, Recipe(quality))
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
    typer.run(main)
