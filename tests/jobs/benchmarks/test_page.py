"""Benchmarks write their own sections of docs/measured.md."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.benchmarks import page
from jobs.runtime.errors import USER_ERROR


def test_a_benchmark_writes_its_own_section_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = tmp_path / "measured.md"
    measured.write_text("# Measured\n\n<!-- bench_one -->\nold\n<!-- /bench_one -->\n\nwords\n")
    monkeypatch.setattr(page, "MEASURED", measured)
    monkeypatch.setattr(sys, "argv", ["jobs/benchmarks/bench_one.py", "--record", "--style", "bossa nova"])
    for table in ("| 1 |", "| 2 |"):
        page.publish(table, record=True)
    text = measured.read_text()
    assert "old" not in text
    assert "| 1 |" not in text
    assert "`python jobs/benchmarks/bench_one.py --style 'bossa nova'`" in text
    assert text.endswith("| 2 |\n<!-- /bench_one -->\n\nwords\n")
    with pytest.raises(ValueError, match="expected one section between <!-- bench_two -->"):
        page.replaced(text, "bench_two", "")


def test_the_page_has_a_place_for_each_benchmark() -> None:
    text = page.MEASURED.read_text()
    for script in Path(page.__file__).parent.glob("bench_*.py"):
        page.replaced(text, script.stem, "")


def test_an_error_of_the_user_is_a_line_and_an_exit_code() -> None:
    def main(seconds: float = 1.0) -> None:
        """Sings."""
        raise ValueError(f"expected a voice of more than {seconds:g} s")

    result = CliRunner().invoke(page.app_of(main), ["--seconds", "2"])
    assert result.exit_code == USER_ERROR
    assert "error: expected a voice of more than 2 s" in result.output
    assert "Sings." in CliRunner().invoke(page.app_of(main), ["--help"]).output
