"""A headless Chromium before the studio, and what a user does there."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.serving.workers import encode_audio
from tests.jobs.local_service import Service
from tests.jobs.songs import song_audio

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine's PATH", allow_module_level=True)

from playwright.sync_api import Browser, Page, expect  # noqa: E402

SECONDS = 60_000
expect.set_options(timeout=SECONDS)  # a busy machine is slow, not wrong
BANDS = ".lane[data-side=band]"
LISTEN = """
const start = AudioBufferSourceNode.prototype.start;
window.started = []; // seconds of each sound that is played
AudioBufferSourceNode.prototype.start = function (...given) {
  if (!(this.context instanceof OfflineAudioContext)) window.started.push(this.buffer.duration);
  return start.apply(this, given);
};
"""


@contextlib.contextmanager
def opened(browser: Browser, service: Service, **options: Any) -> Iterator[Page]:
    """The studio. What the browser complains of (scripts, content security policy) fails the test."""
    complaints: list[str] = []
    context = browser.new_context(
        viewport={"width": 1180, "height": 820},
        accept_downloads=True,
        reduced_motion="reduce",  # what is clicked stands still, however slowly the machine scrolls
        **options,
    )
    context.set_default_timeout(2 * SECONDS)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.add_init_script(LISTEN)
    page.goto(service.address)
    expect(page.locator("#model")).to_contain_text("tiny", timeout=SECONDS)
    yield page
    context.close()
    others = [
        one for one in complaints if "Failed to load resource" not in one
    ]  # HTTP errors are shown in words
    assert not others, f"the browser complained: {others}"


def give(page: Page, content: bytes, name: str = "voice.flac") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "audio/flac", "buffer": content})


def sing(page: Page, seconds: float = 6.0) -> None:
    give(page, encode_audio(0.3 * song_audio(seconds, 0), "flac"))
    expect(page.locator(".lane .wave div").first).to_be_attached()


def make(page: Page, variations: int = 1, quality: str = "Sketch") -> None:
    """Bands, whose number is then `variations` more. A sketch is quick, and has all that a band has."""
    there = page.locator(BANDS).count()
    page.locator(".choice label", has_text=quality).click()
    page.locator("#variations label", has_text=str(variations)).click()
    page.get_by_role("button", name="Make a band").click()
    expect(page.locator(f"{BANDS}:not(.growing)")).to_have_count(there + variations, timeout=3 * SECONDS)
    expect(page.locator("#work")).to_be_hidden()
