import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.benchmarks.capacity import Estimate, Worker, app, estimate

GPU = Worker("GPU", separate=25, encode=100, dollars_an_hour=1.0)


def of(
    hours: float, count: int, rate: float | None = None, busy: float = 1.0, start: float = 0.0
) -> Estimate:
    return estimate(
        hours, GPU, count, requests_per_minute=rate, busy=busy, start_minutes=start, around_dollars=0.0
    )


def test_a_worker_separates_and_encodes_one_after_the_other() -> None:
    assert GPU.speed == pytest.approx(20)
    found = of(200, 1)
    assert (found.hours, found.dollars, found.bottleneck) == (
        pytest.approx(10),
        pytest.approx(10),
        "separation",
    )


def test_twice_the_workers_take_half_the_time_at_the_same_price() -> None:
    one, two = of(7300, 8), of(7300, 16)
    assert two.hours == pytest.approx(one.hours / 2)
    assert two.dollars == pytest.approx(one.dollars)
    assert of(7300, 8, busy=0.5).hours == pytest.approx(2 * one.hours)


def test_downloads_set_the_pace_of_many_workers_and_idle_ones_are_not_paid() -> None:
    a_song_every_nine_seconds = (
        1 / 9 * 3600 * 210 / 3600
    )  # hours of audio an hour: 20 requests a minute, 3 a song
    found = of(7300, 64, rate=20)
    assert found.bottleneck == "downloads"
    assert found.hours == pytest.approx(7300 / a_song_every_nine_seconds)
    assert found.dollars == pytest.approx(of(7300, 1).dollars)
    assert of(7300, 1, rate=20).bottleneck == "separation"


def test_the_start_of_machines_is_waited_for_and_paid() -> None:
    assert of(200, 10, start=30).hours == pytest.approx(1 + 0.5)
    assert of(200, 10, start=30).dollars == pytest.approx(10 + 10 * 0.5)


def test_the_page_shows_what_the_command_says() -> None:
    said = CliRunner().invoke(app).output
    page = (Path(__file__).parents[3] / "cluster" / "README.md").read_text()
    assert len(re.findall(r"^\| [\d,]+ h ", said, re.MULTILINE)) == 12
    assert all(line in page for line in said.splitlines())
