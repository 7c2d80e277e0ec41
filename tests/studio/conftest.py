"""The service with a tiny model, and the studio in a browser."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from jobs.serving.settings import Settings
from tests.jobs.local_service import Service, running, write_tiny_checkpoint

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="package")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    checkpoint = write_tiny_checkpoint(tmp_path_factory.mktemp("run"))
    return Settings(checkpoint=checkpoint, separator="spleeter", threads=1, max_seconds=90)


@pytest.fixture(scope="package")
def service(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(settings, tmp_path_factory.mktemp("spool")) as service:
        yield service


@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    from tests.studio.browsing import CHROMIUM

    fakes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *fakes])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "Browser", service: Service) -> Iterator["Page"]:
    from tests.studio.browsing import opened

    with opened(browser, service) as page:
        yield page
