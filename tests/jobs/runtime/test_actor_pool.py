"""The pool that evaluation, proofs and folders go through: no row is lost without a word, and none costs another."""

import os
import signal
from typing import Any

import pytest

from jobs.runtime.actor_pool import DIED, pool
from jobs.runtime.worker_pool import WorkerPool
from samuel.storage import StorageError


class Square:
    def __init__(self, fault: str = "") -> None:
        if fault:
            raise FileNotFoundError(fault)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["number"] == 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        if row["number"] == 5:
            raise ArithmeticError("no  good\nnumber")
        if row["number"] == -1:
            raise StorageError("the disk is full")
        return {"square": row["number"] ** 2}


def squares(*numbers: int, fault: str = "") -> dict[int, dict[str, Any]]:
    rows = [{"number": number} for number in numbers]
    return {row["number"]: row for row in pool(rows, Square, (fault,), WorkerPool(2, "cpu", 1), key="number")}


def test_each_row_comes_back_with_what_became_of_it(local_ray: None) -> None:
    found = squares(*range(8))
    assert found.keys() == set(range(8))
    errors = {number: row["error"] for number, row in found.items() if row["error"]}
    assert errors == {3: DIED, 5: "ArithmeticError: no good number"}
    assert all(found[number]["square"] == number**2 for number in (0, 1, 2, 4, 6, 7))


def test_a_worker_that_cannot_start_and_a_full_disk_stop_the_run_with_their_reason(local_ray: None) -> None:
    with pytest.raises(ValueError, match="a worker could not start: weights are missing"):
        squares(1, fault="weights are missing")
    with pytest.raises(ValueError, match="the disk is full"):
        squares(-1)


def test_no_rows_need_no_ray() -> None:
    assert squares() == {}
