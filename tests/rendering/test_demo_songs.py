"""The songs that come with the package: whole, tagged, loud enough, and small."""

from pathlib import Path

import numpy as np
import pytest

from samuel import audio
from samuel.audio.loudness import loudness
from samuel.catalogue.songs import DEMO_SONGS
from samuel.config import CHUNK_SAMPLES

SONGS = sorted(path for path in DEMO_SONGS.iterdir() if path.suffix != ".md")


def test_four_songs_under_six_megabytes_each_with_its_credit() -> None:
    assert len(SONGS) == 4
    assert len({path.suffix for path in SONGS}) == 4
    assert sum(path.stat().st_size for path in SONGS) < 6_000_000
    credits = (DEMO_SONGS / "CREDITS.md").read_text()
    assert all(path.name in credits for path in SONGS)


@pytest.mark.parametrize("path", SONGS, ids=lambda path: path.stem)
def test_each_gives_a_chunk_at_the_loudness_of_records(path: Path) -> None:
    decoded = audio.decode(path)
    samples = decoded.numpy()
    assert samples.shape[1] >= CHUNK_SAMPLES
    assert loudness(decoded) == pytest.approx(-14.0, abs=1.0)
    assert np.abs(samples).max() < 1.0
    assert np.abs(samples.mean(axis=1)).max() < 1e-3
