"""One small Ray for all tests of jobs, on this machine, closed to the network."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["RAY_AUTH_MODE"] = "disabled"


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from jobs.connect import start

    import ray

    start(
        logging.ERROR,
        address="local",
        num_cpus=2,
        include_dashboard=False,
        # Workers import the tests too: what a test hands to a worker is found by name.
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}},
    )
    yield
    ray.shutdown()
