import json
from pathlib import Path

import pytest
from rich.console import Console

from jobs.runtime import costs
from jobs.runtime.costs import MachineHours


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands, unless a test sets it on."""
    now = [0.0]
    monkeypatch.setattr(costs.time, "monotonic", lambda: now[0])
    return now


def test_hours_are_those_in_which_a_machine_was_there(
    clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMUEL_PRICES", "head=0.1, gpu-spot=0.5,gpu-on-demand=1")
    there = ["head"]
    console = Console(record=True, width=200)
    with MachineHours(str(tmp_path), console, lambda: there) as counted:
        clock[0] = 3600.0
        counted.count()
        there += ["gpu-spot", "gpu-spot"]
        clock[0] = 2 * 3600.0
        counted.count()
        del there[1:]
        clock[0] = 3 * 3600.0
    assert counted.hours == {"head": 3.0, "gpu-spot": 2.0}
    assert counted.dollars == pytest.approx(0.3 + 1.0)
    assert "gpu-spot 2.00 h, head 3.00 h, $1.30" in console.export_text()
    (file,) = (tmp_path / "costs").iterdir()
    assert json.loads(file.read_text())["hours"] == counted.hours


def test_no_price_no_dollars(clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMUEL_PRICES", "head=0.1")
    with MachineHours(str(tmp_path), Console(quiet=True), lambda: ["head", "gpu"]) as counted:
        clock[0] = 60.0
    assert counted.dollars is None


def test_prices_that_are_none_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMUEL_PRICES", "head:0.1")
    with pytest.raises(ValueError, match=r"got 'head:0\.1'"):
        MachineHours(str(tmp_path), Console(quiet=True))
