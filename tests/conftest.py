"""What all tests share: shapes in signatures checked at run time (jaxtyping, beartype), and an S3 server.

Hypothesis draws the same examples in every run, so that a change is judged by itself; `-m fuzz` draws new ones.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.s3 import S3Location, S3Server

install_import_hook("samuel", "beartype.beartype")


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("the same each time", derandomize=True, database=None, print_blob=True)
    if "fuzz" not in str(config.getoption("markexpr")).replace("not fuzz", ""):
        settings.load_profile("the same each time")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that checks credentials, started when first asked for. Do not stop this one."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Location]:
    """An empty prefix (`.url`) on the server, the environment set for it (child processes inherit it)."""
    with S3Location.on(s3_server, monkeypatch) as location:
        yield location
