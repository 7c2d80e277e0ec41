import json
import os
import threading
import time
from pathlib import Path

import pytest

from samuel.storage.lease import Lease, LeaseError

FAST = {"renew_seconds": 0.1, "dead_after_seconds": 1.5}


def test_a_second_run_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    with (
        Lease(str(tmp_path), **FAST),
        pytest.raises(LeaseError, match=f"process {os.getpid()}"),
        Lease(str(tmp_path), **FAST),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lease_of_a_silent_holder_elsewhere_is_taken_after_a_wait(tmp_path: Path) -> None:
    holder = {"run": "x", "host": "another-host", "process": 1, "renewal": 3}
    (tmp_path / "lease.json").write_text(json.dumps(holder))
    start = time.monotonic()
    with Lease(str(tmp_path), **FAST):
        assert time.monotonic() - start >= FAST["dead_after_seconds"]


def test_of_two_that_start_together_one_goes_on(tmp_path: Path) -> None:
    entered, refused = [], []
    ready = threading.Barrier(2)
    both_decided = threading.Barrier(2)

    def run() -> None:
        ready.wait()
        try:
            with Lease(str(tmp_path), **FAST):
                entered.append(1)
                both_decided.wait(30)
        except LeaseError:
            refused.append(1)
            both_decided.wait(30)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(entered), len(refused)) == (1, 1)


def test_a_holder_that_slept_while_another_took_over_notices(tmp_path: Path) -> None:
    sleeper = Lease(str(tmp_path), renew_seconds=1000.0, dead_after_seconds=1.5)
    with sleeper:
        sleeper.require()
        with Lease(str(tmp_path), **FAST) as other:
            with pytest.raises(LeaseError, match=r"took .* over"):
                sleeper.require()
            other.require()
    assert not list(tmp_path.iterdir())


def test_a_lease_that_was_cut_off_in_writing_is_none(tmp_path: Path) -> None:
    (tmp_path / "lease.json").touch()
    with Lease(str(tmp_path), **FAST) as lease:
        lease.require()
