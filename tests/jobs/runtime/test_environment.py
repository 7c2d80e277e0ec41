"""What `jobs` sets before torch and Ray read it."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "wanted"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_threads_sleep_while_they_wait_unless_the_environment_says_otherwise(
    given: dict[str, str], wanted: str
) -> None:
    mine = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    asked = "import jobs, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", asked], env=mine | given, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [wanted, "False"]
