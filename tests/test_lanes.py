import threading

import pytest
import torch

from samuel.lanes import side_by_side


@pytest.fixture(autouse=True, params=[1, 2, 3])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param
    torch.set_num_threads(before)


def test_results_come_in_order() -> None:
    assert side_by_side(lambda n: n * n, range(7)) == [n * n for n in range(7)]
    assert side_by_side(str, []) == []


def test_each_item_has_one_thread_of_torch_and_as_many_go_at_once_as_it_had(threads: int) -> None:
    together = threading.Barrier(threads)

    def work(_: int) -> int:
        together.wait(timeout=20)  # broken where fewer go at once
        return torch.get_num_threads()

    assert side_by_side(work, range(2 * threads)) == [1] * 2 * threads


def test_an_error_is_raised() -> None:
    def work(n: int) -> int:
        if n == 2:
            raise ValueError("the third")
        return n

    with pytest.raises(ValueError, match="the third"):
        side_by_side(work, range(4))
