"""The service without Ray: real workers in threads, a tiny untrained model, short recordings."""

from collections.abc import Iterator

import httpx
import pytest

from tests.jobs.local_service import Service, running, write_tiny_checkpoint
from tests.jobs.serving.asking import settings_of


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def service(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = settings_of(checkpoint, max_seconds=120, max_bytes=30_000_000)
    with running(settings, tmp_path_factory.mktemp("spool")) as service:
        yield service


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
