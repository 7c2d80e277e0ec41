"""A server and an empty audio store for each test of downloading."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalogue.download.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    opened = Site()
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "audio")
