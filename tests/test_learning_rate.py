"""The learning rate against its closed form."""

import pytest

from samuel.learning_rate import warmup_cosine


def test_it_warms_up_and_falls_as_a_cosine() -> None:
    rates = [warmup_cosine(step, 1000, 10) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == max(rates) == pytest.approx(1)
    assert rates[505] == pytest.approx(1 / 2, rel=1e-3)
    assert rates[-1] < 1e-5
    assert warmup_cosine(5000, 1000, 10) == pytest.approx(0, abs=1e-12)


def test_warm_up_is_short_in_a_short_run() -> None:
    assert warmup_cosine(5, 50, 200) == pytest.approx(1, rel=0.01)
