"""How large, how fast and how hungry a system is (Table II), measured in a process of its own.

The work is `CHUNK_SECONDS` (47.55 s) of audio, once to warm up (a tenth of it) and once on the clock. Peak memory is that of
the whole process on a CPU, and of torch's tensors on a GPU.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from samuel import audio
from samuel.config import CHUNK_SAMPLES, SAMPLE_RATE
from samuel.evaluation.generators import Task, load_system


@dataclass(frozen=True)
class Timing:
    """What one system needed."""

    system: str
    parameters: int
    seconds: float
    audio_seconds: float
    peak_gb: float
    hardware: str
    conditioning: str = ""
    """What the system hears: vocals, text."""

    @property
    def real_time(self) -> float:
        """Seconds of audio a second."""
        return self.audio_seconds / self.seconds


def measure(
    name: str, vocals: Float[Tensor, "2 samples"], device: str = "cpu", threads: int | None = None
) -> Timing:
    """Time a system (as `load_system` names it) in a new process. Raises ValueError with its last words."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocals.wav"
        audio.write(path, whole_chunk(vocals))
        command = [sys.executable, "-m", "samuel.evaluation.efficiency", name, str(path), device]
        done = subprocess.run(
            [*command, str(threads or 0)], capture_output=True, text=True, check=False, env=os.environ
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ValueError(f"{name} could not be timed: {last}")
    return Timing(**json.loads(done.stdout.strip().splitlines()[-1]))


def whole_chunk(vocals: Float[Tensor, "2 samples"]) -> Float[Tensor, "2 chunk"]:
    """Vocals cut or repeated to 47.55 s."""
    repeats = -(-CHUNK_SAMPLES // vocals.shape[1])
    return vocals.repeat(1, repeats)[:, :CHUNK_SAMPLES]


def measure_here(name: str, vocals: Float[Tensor, "2 samples"], device: str) -> Timing:
    """Time a system in this process, whose peak memory so far counts as its own."""
    system = load_system(name, device)
    system.generate(Task(vocals[:, : vocals.shape[1] // 10]))
    began = time.perf_counter()
    system.generate(Task(vocals))
    seconds = time.perf_counter() - began
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    audio_seconds = vocals.shape[1] / SAMPLE_RATE
    return Timing(
        name, system.parameters, seconds, audio_seconds, peak / 1e9, hardware(device), system.conditioning
    )


def hardware(device: str) -> str:
    """What the system ran on, in words."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"


def processor() -> str:
    """The CPU's own name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(name: str, path: str, device: str, threads: str) -> None:
    if int(threads):
        torch.set_num_threads(int(threads))
    print(json.dumps(asdict(measure_here(name, audio.decode(path), device))))


if __name__ == "__main__":
    main(*sys.argv[1:])
