"""What a command waits for before it does anything."""

import subprocess
import sys

SLOW = {
    "scipy.signal",
    "scipy.stats",
    "pandas",
    "pyarrow",
    "librosa",
    "numba",
    "music21",
    "matplotlib",
    "ray",
}
"""Each takes a good part of a second to import, and a band is made without them."""


def test_a_band_is_made_without_slow_imports() -> None:
    made = """
import sys
import torch
from samuel.generation.producer import Producer
from samuel.generation import Direction, GenerationConfig, Generator, Mixdown
from samuel.audio.loudness import encoded
from samuel.lead_sheet.text import sheet_text
from samuel.vocals import Voice
time = torch.arange(3 * 44_100) / 44_100
vocals = (0.2 * torch.sin(2 * torch.pi * (220 + 30 * (time % 1 > 0.5)) * time)).expand(2, -1).contiguous()
producer = Producer(Generator.load(), GenerationConfig("draft"), Mixdown(), direction=Direction())
directed = producer.director.direct(vocals)
sheet_text(directed.sheet)
encoded(producer.play(vocals, directed), "wav")
print(" ".join(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", made], capture_output=True, text=True, check=True)
    assert not SLOW & set(run.stdout.split())
