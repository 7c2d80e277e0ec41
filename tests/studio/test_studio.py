"""The page in a real browser: a headless Chromium, against the service with a tiny model."""

import contextlib
import io
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.serving.settings import Settings
from jobs.serving.workers import encode_audio
from samuel.audio import decode
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from tests.jobs.local_service import HalfWayWorkers, Service, running, write_tiny_checkpoint
from tests.jobs.songs import song_audio

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine's PATH", allow_module_level=True)

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

SECONDS = 60_000
BANDS = ".lane[data-side=band]"
LISTEN = """
const start = AudioBufferSourceNode.prototype.start;
window.started = []; // seconds of each sound that is played
AudioBufferSourceNode.prototype.start = function (...given) {
  window.started.push(this.buffer.duration);
  return start.apply(this, given);
};
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    checkpoint = write_tiny_checkpoint(tmp_path_factory.mktemp("run"))
    return Settings(checkpoint=checkpoint, separator="spleeter", threads=1, max_seconds=90)


@pytest.fixture(scope="module")
def service(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(settings, tmp_path_factory.mktemp("spool")) as service:
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    fakes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *fakes])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    with opened(browser, service) as page:
        yield page


@contextlib.contextmanager
def opened(browser: Browser, service: Service) -> Iterator[Page]:
    """The studio. What the browser complains of (scripts, content security policy) fails the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1180, "height": 820}, accept_downloads=True)
    context.set_default_timeout(2 * SECONDS)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.add_init_script(LISTEN)
    page.goto(service.address)
    expect(page.locator("#model")).to_contain_text("tiny", timeout=SECONDS)
    yield page
    context.close()
    assert [
        one for one in complaints if "Failed to load resource" not in one
    ] == []  # HTTP errors are shown in words


def give(page: Page, content: bytes, name: str = "voice.flac") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "audio/flac", "buffer": content})


def sing(page: Page, seconds: float = 6.0) -> None:
    give(page, encode_audio(0.3 * song_audio(seconds, 0), "flac"))
    expect(page.locator(".lane .wave div").first).to_be_attached()


def make(page: Page, variations: int = 1) -> None:
    page.locator(".choice label", has_text="Draft").click()
    page.locator("#variations label", has_text=str(variations)).click()
    page.get_by_role("button", name="Make a band").click()
    expect(page.locator(BANDS)).to_have_count(variations, timeout=3 * SECONDS)
    expect(page.locator("#work")).to_be_hidden()


def gains(page: Page) -> dict[str, bool]:
    """Which lanes are heard."""
    return dict(
        page.locator(".lane").evaluate_all(
            "lanes => lanes.map(one => [one.getAttribute('aria-label'), !one.classList.contains('silent')])"
        )
    )


def test_from_a_voice_to_bands_that_play_and_download(page: Page) -> None:
    sing(page)
    expect(page.locator("#time")).to_have_text("0:00 / 0:06")
    make(page, variations=2)
    assert gains(page) == {"Voice": True, "Band A": True, "Band B": False}

    page.keyboard.press("2")
    assert gains(page) == {"Voice": True, "Band A": False, "Band B": True}
    page.keyboard.press("1")
    page.get_by_label("Voice", exact=True).get_by_role("button", name="Mute").click()
    assert gains(page)["Voice"] is False
    page.get_by_label("Band B", exact=True).get_by_role("button", name="Solo").click()
    assert gains(page) == {"Voice": False, "Band A": False, "Band B": True}

    page.get_by_role("button", name="Play").click()
    expect(page.locator("#time")).to_have_text(re.compile("0:0[1-5] / 0:06"), timeout=SECONDS)
    page.get_by_role("button", name="Pause").click()
    wave = page.locator(f"{BANDS} .wave").first
    box = wave.bounding_box()
    assert box
    wave.click(position={"x": box["width"] * 0.75, "y": 30})
    expect(page.locator("#time")).to_have_text("0:04 / 0:06")
    page.get_by_label("Position").fill("1.5")
    expect(page.locator("#time")).to_have_text("0:01 / 0:06")

    page.get_by_label("Download as").select_option("flac")
    page.get_by_label("Balance").fill("-6")
    for button, name in (
        ("Download Band A", "voice - band a.flac"),
        ("Download the mix", "voice - with band a.flac"),
    ):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).first.click()
        assert download.value.suggested_filename == name
        sound = decode(io.BytesIO(Path(download.value.path()).read_bytes()))
        assert sound.shape[-1] == 6 * SAMPLE_RATE
        assert sound.abs().max() > 0.01


def test_the_beginning_is_heard_while_the_rest_is_made(
    browser: Browser, settings: Settings, tmp_path: Path
) -> None:
    HalfWayWorkers.gate.clear()
    with running(settings, tmp_path, HalfWayWorkers) as service, opened(browser, service) as page:
        sing(page, 44.0)
        page.get_by_role("button", name="Make a band").click()
        growing = page.locator(".lane.growing")
        expect(growing).to_have_attribute("aria-busy", "true", timeout=3 * SECONDS)
        expect(page.locator("#work-words")).to_contain_text("you can listen already")
        assert gains(page) == {"Voice": True, "Band A": True}
        expect(growing.get_by_role("button", name="Download Band A")).to_be_disabled()
        page.get_by_role("button", name="Play").click()
        made = (
            450 * FRAME_SAMPLES / SAMPLE_RATE
        )  # of the first window: what comes while it plays is played, too
        until = time.monotonic() + 60
        while sum(page.evaluate("started")) < 44 + made - 1.1 and time.monotonic() < until:
            page.wait_for_timeout(100)
        voice, *pieces = page.evaluate("started")
        assert voice == 44
        assert sum(pieces) == pytest.approx(made, abs=1.1)
        expect(page.locator("#time")).to_have_text(re.compile("0:[0-4][1-9] / 0:44"), timeout=SECONDS)
        HalfWayWorkers.gate.set()
        expect(growing).to_have_count(0, timeout=3 * SECONDS)
        expect(page.locator("#news")).to_contain_text("Band A is ready")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()  # it plays on
        assert page.evaluate("window.started").count(44) >= 2  # with all of the band
        expect(page.get_by_role("button", name="Download Band A")).to_be_enabled()
        assert gains(page) == {"Voice": True, "Band A": True}


def test_a_part_is_chosen_and_made_anew(page: Page) -> None:
    sing(page)
    make(page)
    box = page.locator(f"{BANDS} .wave").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, middle, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
    page.mouse.up()
    start, end = page.get_by_label("Start of the part"), page.get_by_label("End of the part")
    expect(start).to_have_value("1.5")
    expect(end).to_have_value("3.0")
    end.fill("3.5")
    page.get_by_role("button", name="Make this part anew").click()
    expect(page.locator(BANDS)).to_have_count(2, timeout=3 * SECONDS)
    expect(page.locator(".lane-note").last).to_contain_text("Band A, 1.5–3.5 s anew")
    expect(page.locator("#region")).to_be_hidden()


def test_by_keyboard_alone(page: Page) -> None:
    page.get_by_role("button", name="Try the example").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Make a band")).to_be_focused()
    page.get_by_label("Draft").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Make a band").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#work-words")).to_have_text(
        "The band is playing along…", timeout=3 * SECONDS
    )  # as a screen reader hears it
    expect(page.locator(BANDS)).to_have_count(1, timeout=3 * SECONDS)
    expect(page.locator("#news")).to_contain_text("Band A is ready")
    expect(page.get_by_role("button", name="Play")).to_be_focused()
    page.get_by_role("button", name="Redo a part").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Start of the part")).to_be_focused()
    page.get_by_role("button", name="Leave it").press("Enter")
    expect(page.get_by_role("button", name="Redo a part")).to_be_focused()
    unnamed = page.locator("button:visible, input:visible, select:visible").evaluate_all(
        "all => all.filter(one => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length)).length"
    )
    assert unnamed == 0
    page.get_by_role("button", name="Remove Band A").press("Enter")
    expect(page.get_by_role("button", name="Make a band")).to_be_focused()


def test_a_song_is_recorded(page: Page) -> None:
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#recording-time")).to_have_text(re.compile("0:0[2-9]"), timeout=SECONDS)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".lane-note")).to_contain_text("recording.webm")
    make(page)  # the server reads what the browser recorded


def test_what_goes_wrong_is_said(page: Page, service: Service) -> None:
    trouble = page.locator("#trouble")
    give(page, b"these are only words", "words.txt")
    expect(trouble).to_contain_text("“words.txt” is no audio")
    page.get_by_role("button", name="Close this message").click()
    expect(trouble).to_be_hidden()
    give(page, encode_audio(0.3 * song_audio(100, 0), "ogg"), "long.ogg")
    expect(trouble).to_contain_text("1:40; the server takes 1:30")
    give(page, encode_audio(0 * song_audio(2, 0), "flac"), "silence.flac")
    page.get_by_role("button", name="Make a band").click()
    expect(trouble).to_contain_text("The recording is silent")
    page.context.set_offline(True)
    page.get_by_role("button", name="Make a band").click()
    expect(trouble).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    assert service.desk.taken == 0


def test_cancelling_gives_the_place_back(page: Page, service: Service) -> None:
    sing(page, 60)
    page.get_by_role("button", name="Make a band").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#work")).to_be_hidden()
    for _ in range(200):
        if not service.desk.taken:
            break
        page.wait_for_timeout(100)
    assert service.desk.taken == 0
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_phone_is_wide_enough(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    sing(page, 2)
    make(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for button in page.get_by_role("button").all():
        if button.is_visible():
            box = button.bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
