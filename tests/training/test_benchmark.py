"""The measurements: that they measure, and that the table says what was measured."""

import sys
from pathlib import Path

import pytest
import torch

from samuel.training import benchmark
from samuel.training.benchmark import Measured, authors, measure, operations_of, ours, share_of_peak, table
from samuel.training.presets import PRESETS

CPU = torch.device("cpu")


def test_a_network_is_measured() -> None:
    candidate = ours(PRESETS["tiny"], CPU, batch_size=2)
    (measured,) = measure([candidate], CPU, repetitions=1, timed_steps=2)
    assert measured.parameters == sum(one.numel() for one in candidate.model.parameters())
    assert 0 < measured.forward < measured.training_step
    assert list(measured.sampling) == [800, 50, 25, 10]
    assert measured.sampling[800] > measured.sampling[10] > 0


def test_a_training_step_trains() -> None:
    candidate = ours(PRESETS["tiny"], CPU, batch_size=2)
    before = [one.detach().clone() for one in candidate.model.parameters()]
    candidate.training_step()
    candidate.training_step()
    changed = [
        not torch.equal(old, new) for old, new in zip(before, candidate.model.parameters(), strict=True)
    ]
    assert sum(changed) > 0.9 * len(changed)


def test_operations_of_a_product_are_counted() -> None:
    left, right = torch.ones(10, 20), torch.ones(20, 30)
    assert operations_of(lambda: left @ right) == 2 * 10 * 20 * 30


def test_operations_inside_of_attention_are_counted() -> None:
    heads = torch.ones(1, 1, 100, 8)
    assert operations_of(
        lambda: torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)
    ) == 2 * (2 * 100 * 100 * 8)


def test_the_table_compares_with_ours() -> None:
    mine = Measured(15_000_000, 5_000_000_000, 0.1, 2.0, {800: 160.0, 50: 10.0, 25: 5.0, 10: 2.0})
    theirs = Measured(16_000_000, 6_000_000_000, 0.2, 3.0, {800: 300.0})
    text = table(["ours", "theirs"], [mine, theirs], [2_000_000_000, 3_000_000_000], CPU)
    assert "| parameters | 15.00 M | 16.00 M |" in text
    assert "| training step, batch 16 | 2 s | 3 s, 1.50x |" in text
    assert "| peak memory of training | 2.00 GB | 3.00 GB |" in text
    assert "| sampling in 25 steps, guided | 5 s | 300 s, 60.00x (in 800 steps) |" in text
    assert "| 100 epochs of 15,713 pairs | 54.6 h | 81.8 h |" in text


def test_share_of_the_peak_is_of_the_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_of_peak(1e12, CPU) is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100 80GB HBM3")
    assert share_of_peak(98.9e12, torch.device("cuda")) == pytest.approx(0.1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "unheard of")
    assert share_of_peak(98.9e12, torch.device("cuda")) is None


def test_a_folder_without_the_authors_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ValueError, match=r"expected the authors' model\.py"):
        authors(str(tmp_path), CPU)


def test_memory_is_of_the_process() -> None:
    candidate = ours(PRESETS["tiny"], CPU, batch_size=2)
    assert 50e6 < benchmark.training_memory(candidate, CPU) < 50e9
