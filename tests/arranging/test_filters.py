"""Filters against scipy's."""

import numpy as np
import pytest
import scipy.signal

from samuel.arranging.filters import PIECE, Filter
from samuel.config import SAMPLE_RATE


@pytest.mark.parametrize("kind", ["highpass", "lowpass"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("hertz", [20.0, 2500.0])
def test_it_is_butterworth_whatever_the_blocks(kind: str, order: int, hertz: float) -> None:
    noise = np.random.default_rng(0).standard_normal((2, 2 * PIECE + 1000)) + 0.3
    sections = scipy.signal.butter(order, hertz, kind, fs=SAMPLE_RATE, output="sos")
    expected = scipy.signal.sosfilt(sections, noise, axis=1)
    filtered = Filter(kind, hertz, order)
    found = np.concatenate([filtered(noise[:, :777]), filtered(noise[:, 777:])], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    single = Filter(kind, hertz, order)(noise.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=1e-5)
