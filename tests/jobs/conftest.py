"""One small Ray for all tests of jobs, on this machine, closed to the network."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.jobs.drilled import build_undisturbed, write_songs

os.environ["RAY_AUTH_MODE"] = "disabled"


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from jobs.runtime.cluster import start

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


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The songs of the drills of building."""
    folder = tmp_path_factory.mktemp("songs")
    write_songs(folder)
    return folder


@pytest.fixture(scope="session")
def undisturbed(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The pairs of `songs` that one builder makes, without Ray."""
    return build_undisturbed(songs, tmp_path_factory.mktemp("undisturbed"))
