"""Intervals and distances against what is known of them."""

import numpy as np
import pytest
import scipy.linalg

from samuel.evaluation.distribution import frechet_distance
from samuel.evaluation.statistics import estimate, paired_difference, share_closed


def test_the_interval_covers_the_mean_about_95_times_in_100() -> None:
    random = np.random.default_rng(0)
    found = [estimate(random.normal(3.0, 1.0, 30)) for _ in range(120)]
    assert np.mean([one.low <= 3.0 <= one.high for one in found]) == pytest.approx(0.94, abs=0.06)
    one = estimate(random.normal(3.0, 1.0, 400))
    assert one.high - one.low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_what_is_missing_is_not_counted() -> None:
    one = estimate(np.array([1.0, np.nan, 3.0]))
    assert (one.n, one.mean) == (2, 2.0)
    assert estimate(np.array([np.nan])).n == 0
    assert np.isnan(estimate(np.array([5.0])).low)
    alike = estimate(np.full(10, 7.0))
    assert alike.low == alike.high == 7.0


def test_pairs_are_surer_than_their_parts() -> None:
    random = np.random.default_rng(1)
    tracks = random.normal(0, 10, 40)
    better = tracks + 1 + random.normal(0, 0.1, 40)
    difference = paired_difference(better, tracks)
    assert 0.9 < difference.low < 1.0 < difference.high < 1.1
    assert estimate(better).low < estimate(tracks).high


def test_the_share_closed() -> None:
    low, high = np.zeros(20), np.full(20, 2.0)
    value = np.linspace(0.5, 1.5, 20)
    share = share_closed(low, value, high)
    assert share.mean == pytest.approx(0.5)
    assert 0.4 < share.low < 0.5 < share.high < 0.6
    assert share_closed(low, high, high).mean == 1
    assert share_closed(low, low, high).mean == 0


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    random = np.random.default_rng(2)
    first, second = random.normal(size=(500, 4)), random.normal(size=(400, 4)) @ np.diag([1, 2, 3, 4.0]) + 1
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    expected = shift @ shift + np.trace(one + other - 2 * scipy.linalg.sqrtm(one @ other).real)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(first, first + 3) == pytest.approx(36, rel=1e-6)
    assert np.isnan(frechet_distance(first[:1], second))
