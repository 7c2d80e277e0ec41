"""The arrangement in the page: style, energy and levels, variations of chords, and bands side by side."""

import io
import re
import zipfile
from pathlib import Path

import pytest

from jobs.serving.job import Job
from samuel.audio import decode
from tests.jobs.local_service import Service
from tests.studio.browsing import BANDS, SECONDS, Page, expect, make, sing
from tests.studio.test_lead_sheet import change, chords, locked, seen

LOUDNESS = """
async () => {
  const modules = document.querySelector("script[type=module]").src;
  const { player } = await import(new URL("state.js", modules));
  const { loudness } = await import(new URL("loudness.js", modules));
  const bands = [...player.tracks].filter(([name]) => name.startsWith("band"));
  return bands.map(([, band]) => loudness(band.powers) + 20 * Math.log10(player.gains(band).band / player.gains(band).voice));
}
"""
SCROLLED = """
async () => {
  const { state } = await import(new URL("state.js", document.querySelector("script[type=module]").src));
  const { wave } = state.bands[0].lane;
  return { width: wave.getWrapper().clientWidth / wave.getWidth(), at: wave.getScroll() / wave.getWrapper().clientWidth };
}
"""
DRAGGED = """
(button) => {
  const dataTransfer = new DataTransfer();
  button.dispatchEvent(new DragEvent("dragstart", { dataTransfer, bubbles: true, cancelable: true }));
  return dataTransfer.getData("DownloadURL");
}
"""


def heard(page: Page, service: Service) -> Job:
    """The job of the band that is heard."""
    name = page.locator(f"{BANDS}:has(input:checked)").get_attribute("data-name")
    assert name
    return service.manager.jobs[name.split("-")[1]]


def changed(page: Page, bands: int) -> None:
    expect(page.locator(f"{BANDS}:not(.growing)")).to_have_count(bands, timeout=3 * SECONDS)
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator(".lane-note").last).to_contain_text("played otherwise")


def test_style_energy_and_levels_are_played_when_they_are_set_and_undone(
    page: Page, service: Service
) -> None:
    sing(page, 8.0)
    locked(page)
    make(page)
    page.get_by_label("Style").select_option("bossa nova")
    changed(page, 2)
    assert '"bossa nova"' in (heard(page, service).played[0].sheet or "")

    drums = page.get_by_label("Drums", exact=True)
    drums.fill("-24")
    expect(drums).to_have_attribute("aria-valuetext", "off")
    changed(page, 3)
    assert heard(page, service).played[0].levels["drums"] == -60
    with page.expect_download() as download:
        page.get_by_role(
            "button", name="Download drums, bass and others of the arrangement of Band C"
        ).click()
    assert download.value.suggested_filename == "voice - band c stems.zip"
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        loudest = {name: decode(io.BytesIO(archive.read(name))).abs().max() for name in archive.namelist()}
    assert loudest["drums.flac"] < 0.01 < loudest["bass.flac"]

    page.get_by_role("button", name="Draw energy").click()
    bars = page.get_by_role("slider", name="Energy of bar")
    expect(bars.first).to_be_focused()
    row = page.locator(".energy-row")
    row.scroll_into_view_if_needed()
    box = row.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.9 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"], steps=12)
    page.mouse.up()
    changed(page, 4)
    levels = [level for _, level in energy_of(heard(page, service))]
    assert levels == sorted(levels)
    assert levels[0] < 0.5 < 0.7 < levels[-1]
    expect(page.locator("#energy")).to_have_value(re.compile(":"))  # as drawn
    bars.last.press("Home")
    changed(page, 5)
    assert energy_of(heard(page, service))[-1][1] == 0
    expect(bars.last).to_be_focused()

    page.reload()
    expect(page.locator(BANDS)).to_have_count(5, timeout=SECONDS)
    expect(drums).to_have_value("-24")
    expect(page.get_by_label("Style")).to_have_value("bossa nova")
    page.keyboard.press("2")  # what is seen is what is heard
    expect(drums).to_have_value("0")
    page.keyboard.press("1")
    expect(page.get_by_label("Style")).to_have_value("")
    page.get_by_label("Style").select_option("bossa nova")  # which is there
    expect(page.get_by_label("Listen to Band B")).to_be_checked()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Listen to Band A")).to_be_checked()
    expect(page.locator(BANDS)).to_have_count(5)


def energy_of(job: Job) -> tuple[tuple[float, float], ...]:
    from samuel.lead_sheet import LeadSheet

    return LeadSheet.from_json(job.played[0].sheet or "").energy


def test_variations_of_chords_are_compared_equally_loud_close_by_and_dragged_out(
    page: Page, service: Service
) -> None:
    sing(page, 8.0)
    seen(page)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Variations with other chords, too").check()
    make(page, variations=2)
    expect(page.get_by_label("Listen to Band A")).to_be_checked()
    first = chords(page)
    page.get_by_role("button", name="A/B").click()
    expect(page.get_by_label("Listen to Band B")).to_be_checked()
    assert chords(page) != first
    page.locator("body").press("b")
    expect(page.get_by_label("Listen to Band A")).to_be_checked()
    assert chords(page) == first
    one, other = page.evaluate(LOUDNESS)
    assert one == pytest.approx(other, abs=0.1)

    page.get_by_role("button", name="Zoom in").click()
    page.locator("body").press("+")
    expect(page.locator("#news")).to_have_text("4 times as close")
    assert page.evaluate(SCROLLED) == {"width": pytest.approx(4, abs=0.1), "at": 0}
    page.locator(".sheet-scroll").evaluate("one => (one.scrollLeft = one.firstElementChild.offsetWidth / 2)")
    page.wait_for_function(f"async () => Math.abs((await ({SCROLLED})()).at - 0.5) < 0.02", timeout=SECONDS)
    page.locator("body").press("-")
    page.get_by_role("button", name="Zoom out").click()
    expect(page.get_by_role("button", name="Zoom out")).to_be_disabled()

    for name, kind, file in (
        ("as MIDI", "audio/midi", "voice - band a.mid"),
        ("Download drums, bass and others", "application/zip", "voice - band a stems.zip"),
    ):
        button = page.get_by_role("button", name=name).first
        type_, named, address = button.evaluate(DRAGGED).split(":", 2)
        assert (type_, named) == (kind, file)
        answer = page.request.get(address)
        assert answer.ok
        assert answer.headers["content-type"] == kind

    another = "Fm" if chords(page)[0] != "Fm" else "Gm"  # what was found depends on the harmonizer's weights
    change(page, 0, another)
    expect(page.locator(f"{BANDS}:not(.growing)")).to_have_count(3, timeout=3 * SECONDS)
    expect(page.locator("#work")).to_be_hidden()
    page.locator("#sheet .chord").first.click()
    page.get_by_role("button", name="Play it again, otherwise").click()
    expect(page.locator(f"{BANDS}:not(.growing)")).to_have_count(4, timeout=3 * SECONDS)
    expect(page.locator(".lane-note").last).to_contain_text("anew")
    assert chords(page)[0] == another
