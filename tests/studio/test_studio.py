"""The page in a real browser: a headless Chromium, against the service with a tiny model."""

import io
import re
import time
from pathlib import Path

import pytest

from jobs.serving.settings import Settings
from jobs.serving.workers import encode_audio
from samuel.audio import decode
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from tests.jobs.local_service import HalfWayWorkers, Service, running
from tests.jobs.songs import song_audio
from tests.studio.browsing import BANDS, SECONDS, Browser, Page, expect, give, make, opened, sing


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
    make(page, variations=2, quality="Draft")
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


def test_the_beginning_is_heard_while_the_rest_is_made_and_a_reload_stops_nothing(
    browser: Browser, settings: Settings, tmp_path: Path
) -> None:
    HalfWayWorkers.gate.clear()
    seconds = 28
    with running(settings, tmp_path, HalfWayWorkers) as service, opened(browser, service) as page:
        sing(page, seconds)
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
        while sum(page.evaluate("started")) < seconds + made - 1.1 and time.monotonic() < until:
            page.wait_for_timeout(100)
        voice, *pieces = page.evaluate("started")
        assert voice == seconds
        assert sum(pieces) == pytest.approx(made, abs=1.1)
        page.reload()
        expect(page.locator("#work-words")).to_contain_text("playing along", timeout=SECONDS)
        expect(growing).to_have_count(1)
        page.get_by_label("Position").fill("1")
        page.get_by_role("button", name="Play").click()
        HalfWayWorkers.gate.set()
        expect(growing).to_have_count(0, timeout=3 * SECONDS)
        expect(page.locator("#news")).to_contain_text("Band A is ready")
        assert page.evaluate("started").count(seconds) >= 2  # with all of the band
        expect(page.get_by_role("button", name="Download Band A")).to_be_enabled()
        assert gains(page) == {"Voice": True, "Band A": True}
        expect(page.locator("#time")).to_contain_text("/ 0:28")
        assert len(service.manager.jobs) == 1


def test_a_part_is_chosen_left_heard_round_and_round_and_made_anew(page: Page) -> None:
    sing(page)
    make(page)
    wave = page.locator(f"{BANDS} .wave")
    wave.hover()  # waits until it stands still
    box = wave.bounding_box()
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
    start.focus()
    page.keyboard.press("Escape")
    expect(page.locator("#region")).to_be_hidden()
    redo = page.get_by_role("button", name="Redo a part")
    expect(redo).to_be_focused()
    redo.click()
    expect(start).to_be_focused()
    start.fill("1")
    end.fill("1.5")
    page.get_by_role("button", name="Loop it").click()
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => started.length > 5", timeout=SECONDS)  # two sounds, again and again
    assert 1.0 <= float(page.get_by_label("Position").input_value()) <= 1.6
    page.get_by_role("button", name="Leave it").click()
    expect(page.locator("#time")).to_have_text(re.compile("0:0[2-6]"), timeout=SECONDS)
    redo.click()
    start.fill("1.5")
    end.fill("3.5")
    page.get_by_role("button", name="Make this part anew").click()
    expect(page.locator(f"{BANDS}:not(.growing)")).to_have_count(2, timeout=3 * SECONDS)
    expect(page.locator(".lane-note").last).to_contain_text("Band A, 1.5–3.5 s anew")
    expect(page.locator("#region")).to_be_hidden()


def test_the_example_is_heard_by_one_key_and_all_goes_by_keyboard(page: Page) -> None:
    page.get_by_role("button", name="Try the example").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#sheet .chord.now")).to_have_count(1, timeout=2 * SECONDS)
    expect(page.locator(f"{BANDS} .lane-note")).to_contain_text("sketch", timeout=3 * SECONDS)
    expect(page.locator("#news")).to_contain_text("Band A is ready")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()  # it plays on
    expect(page.locator("#play")).to_be_focused()
    page.get_by_role("button", name="Redo a part").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Start of the part")).to_be_focused()
    page.get_by_role("button", name="Leave it").press("Enter")
    expect(page.get_by_role("button", name="Redo a part")).to_be_focused()
    unnamed = page.locator("button:visible, input:visible, select:visible").evaluate_all(
        "all => all.filter(one => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length)).length"
    )
    assert unnamed == 0
    page.get_by_label("Sketch").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Make a band").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#work-words")).to_have_text(re.compile("…$"))  # as a screen reader hears it
    expect(page.locator(BANDS)).to_have_count(2, timeout=3 * SECONDS)
    for name in ("Remove Band B", "Remove Band A"):
        page.get_by_role("button", name=name).press("Enter")
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
    expect(trouble).to_contain_text("“words.txt” cannot be used")
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
    assert service.manager.taken == 0


def test_cancelling_gives_the_place_back(page: Page, service: Service) -> None:
    sing(page, 30)
    page.get_by_role("button", name="Make a band").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#work")).to_be_hidden()
    until = time.monotonic() + 60
    while service.manager.taken and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert service.manager.taken == 0
    expect(page.locator("#trouble")).to_be_hidden()
