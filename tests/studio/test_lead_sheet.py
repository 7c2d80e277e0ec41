"""The lead sheet in the page: seen, heard as a click, corrected, heard again, undone."""

import re

import pytest

from tests.jobs.local_service import Service
from tests.studio.browsing import BANDS, SECONDS, Browser, Page, expect, make, opened, sing

CLICKS = """
async () => {
  const { player } = await import(new URL("state.js", document.querySelector("script[type=module]").src));
  const [{ buffer }] = player.pieces("click");
  const samples = buffer.getChannelData(0);
  const times = [];
  for (let i = 1; i < samples.length; i++) {
    if (Math.abs(samples[i]) > 0.05 && i - (times.at(-1) ?? -1e9) > 4000) times.push(i);
  }
  return { times: times.map((one) => one / 44100), on: player.tracks.get("click").gain.gain.value };
}
"""
CHANGED = """
async ([one, other]) => {
  const { player } = await import(new URL("state.js", document.querySelector("script[type=module]").src));
  const [a, b] = [one, other].map((name) => player.pieces(name)[0].buffer.getChannelData(0));
  const apart = [...a.keys()].filter((i) => Math.abs(a[i] - b[i]) > 1e-3);
  return [apart[0] / 44100, apart.at(-1) / 44100];
}
"""


def chords(page: Page) -> list[str]:
    return page.locator("#sheet .chord").all_text_contents()


def seen(page: Page) -> None:
    expect(page.locator("#sheet .chord").first).to_be_visible(timeout=2 * SECONDS)


def locked(page: Page, bpm: int = 120, first_beat: float = 0.5) -> None:
    """A grid that is known: bars of two seconds."""
    seen(page)
    for field, value in (("#bpm", bpm), ("#first-beat", first_beat)):
        with page.expect_response("**/v1/lead-sheets"):
            page.locator(field).fill(str(value))
            page.keyboard.press("Enter")
    expect(page.locator("#first-beat")).to_have_value(f"{first_beat:.2f}")
    expect(page.locator("#bpm")).to_have_value(str(bpm))


def change(page: Page, number: int, name: str) -> None:
    page.locator("#sheet .chord").nth(number).click()
    page.locator("#chord").fill(name)
    page.keyboard.press("Enter")


def one_a_bar(page: Page) -> None:
    """Whatever was found: chords that begin within a bar give way to those before them."""
    within = page.locator('#sheet .chord:not([aria-label*=", beat 1:"])')
    for _ in range(within.count()):
        number = [", beat 1:" in label for label in labels(page)].index(False)
        left = page.locator("#sheet .chord").count() - 1
        change(page, number, chords(page)[number - 1].rstrip("?"))
        expect(page.locator("#sheet .chord")).to_have_count(left, timeout=SECONDS)
    assert len(chords(page)) == 4  # bars at 0.5, 2.5, 4.5, 6.5 s


def labels(page: Page) -> list[str]:
    return [str(one.get_attribute("aria-label")) for one in page.locator("#sheet .chord").all()]


def test_what_the_band_understood_is_seen_and_goes_along(page: Page) -> None:
    sing(page, 8.0)
    locked(page)
    one_a_bar(page)
    assert page.locator("#sheet polyline").count() > 0
    assert page.locator("#sheet .bar").all_text_contents()[:3] == ["1", "2", "3"]
    page.get_by_label("Position").fill("3")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("#sheet .chord").nth(1)).to_have_class(re.compile("now"))
    expect(page.locator("#sheet .chord").nth(2)).to_have_class(re.compile("now"), timeout=SECONDS)
    page.get_by_role("button", name="Pause").click()


def test_a_wrong_tempo_is_heard_as_a_click_and_mended(page: Page) -> None:
    sing(page, 6.0)
    locked(page)
    assert page.evaluate(CLICKS)["times"] == pytest.approx([0.5 * n for n in range(1, 12)], abs=0.003)
    assert page.evaluate(CLICKS)["on"] == 0
    page.get_by_role("button", name="Click").click()
    expect(page.get_by_role("button", name="Click")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(200)
    assert page.evaluate(CLICKS)["on"] > 0.3
    page.get_by_role("button", name="Half the tempo").click()
    expect(page.locator("#bpm")).to_have_value("60")
    assert page.evaluate(CLICKS)["times"] == pytest.approx([0.5 + n for n in range(6)], abs=0.003)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#bpm")).to_have_value("120")
    handle = page.locator("#sheet .first-beat").bounding_box()
    width = page.locator("#sheet .sheet-page").bounding_box()
    assert handle
    assert width
    page.mouse.move(handle["x"] + 8, handle["y"] + 8)
    page.mouse.down()
    page.mouse.move(handle["x"] + 8 + 0.25 / 6 * width["width"], handle["y"] + 8, steps=4)
    page.mouse.up()
    expect(page.locator("#first-beat")).to_have_value(re.compile("0.7[4-6]"))
    for _ in range(5):
        page.get_by_role("button", name="Tap").click()
        page.wait_for_timeout(400)
    tapped = float(page.locator("#bpm").input_value())
    assert 60 < tapped < 150
    expect(page.locator("#news")).to_contain_text("beats a minute", timeout=SECONDS)


def test_a_chord_is_changed_by_hand_and_a_wrong_one_is_named(page: Page) -> None:
    sing(page, 8.0)
    locked(page)
    one_a_bar(page)
    change(page, 1, "Gm7b5")
    expect(page.locator("#sheet .chord").nth(1)).to_have_text("Gm7b5", timeout=SECONDS)
    change(page, 2, "Xq")
    expect(page.locator("#trouble")).to_contain_text("Bar 3: cannot read the chord 'Xq'")
    page.keyboard.press("Escape")
    before = chords(page)
    page.locator("#sheet .chord").nth(2).click()
    likely = page.locator("#likely button")
    assert likely.count() >= 6
    other = likely.filter(has_not_text=before[2]).first
    name = other.text_content()
    other.click()
    expect(page.locator("#sheet .chord").nth(2)).to_have_text(str(name), timeout=SECONDS)
    page.locator("#sheet .chord").nth(1).click()
    page.get_by_role("button", name="Begin a beat earlier").click()
    expect(page.locator("#chord-place")).to_have_text("Bar 1, beat 4", timeout=SECONDS)
    assert chords(page)[1] == "Gm7b5"
    page.get_by_role("button", name="Leave it").click()
    border = page.locator("#sheet .border").first.bounding_box()
    width = page.locator("#sheet .sheet-page").bounding_box()
    assert border
    assert width
    page.mouse.move(border["x"] + 6, border["y"] + 20)
    page.mouse.down()
    page.mouse.move(border["x"] + 6 - 0.5 / 8 * width["width"], border["y"] + 20, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Gm7b5, Bar 1, beat 3: change it")).to_be_visible(timeout=SECONDS)
    for _ in range(4):
        page.keyboard.press("Control+z")
    expect(page.locator("#sheet .chord").nth(1)).not_to_have_text("Gm7b5", timeout=SECONDS)


def test_other_chords_are_heard_at_once_then_played_by_the_network_and_undone(
    page: Page, service: Service
) -> None:
    sing(page, 8.0)
    locked(page)
    one_a_bar(page)
    change(page, 0, "Am")
    expect(page.locator("#sheet .chord").first).to_have_text("Am", timeout=SECONDS)
    make(page, quality="Draft")
    first = page.locator(BANDS).first.get_attribute("data-name")
    (job,) = [one for one in service.manager.jobs.values() if f"band-{one.id}-0" == first]
    assert [chord for chord in (job.played[0].sheet or "").split('"') if chord == "A:min"]
    change(page, 1, "Dm")
    heard = re.compile("The arrangement of it can be heard|Band B is ready")  # whichever is there first
    expect(page.locator("#news")).to_contain_text(heard, timeout=2 * SECONDS)
    expect(page.locator(BANDS)).to_have_count(2)
    expect(page.locator(f"{BANDS}:not(.growing)")).to_have_count(2, timeout=3 * SECONDS)
    expect(page.locator(".lane-note").last).to_contain_text("other chords at 0:02")
    second = page.locator(BANDS).last.get_attribute("data-name")
    start, end = page.evaluate(CHANGED, [first, second])
    assert 2.4 < start < 2.7
    assert 4.2 < end < 4.6
    expect(page.get_by_label("Listen to Band B")).to_be_checked()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Listen to Band A")).to_be_checked()
    assert chords(page)[1] != "Dm"
    page.reload()
    expect(page.locator(BANDS)).to_have_count(2, timeout=SECONDS)
    assert chords(page)[0] == "Am"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the arrangement of Band A as MIDI").click()
    assert download.value.suggested_filename == "voice - band a.mid"


def test_a_song_is_recorded_to_a_click_that_counts_in(page: Page) -> None:
    page.get_by_label("Count me in at").check()
    page.get_by_label("Beats a minute of the click").fill("120")
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#recording-time")).to_have_text(re.compile("0:0[4-9]"), timeout=SECONDS)
    page.get_by_role("button", name="Stop").click()
    seen(page)
    expect(page.locator("#bpm")).to_have_value("120")
    expect(page.locator("#first-beat")).to_have_value(re.compile("2.1"))  # after one bar


def small(page: Page) -> list[str]:
    return page.locator(
        "button:visible, select:visible, summary:visible, a:visible, .choice span:visible, input:visible"
    ).evaluate_all(
        """all => all.filter(one => !one.closest(".choice label") || one.tagName === "SPAN").map(one => {
            const { width, height } = one.getBoundingClientRect();
            return [Math.round(width), Math.round(height), one.id || one.className || one.textContent];
        }).filter(([width, height]) => width < 44 || height < 44).map(String)"""
    )


def test_on_a_phone_and_on_a_desk_all_is_wide_enough_and_axe_finds_nothing(
    browser: Browser, service: Service
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()

    def well(width: int) -> None:
        page.set_viewport_size({"width": width, "height": 800})
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    with opened(browser, service, bypass_csp=True) as page:  # axe brings styles of its own
        well(1180)
        well(360)
        assert small(page) == []
        sing(page, 4.0)
        seen(page)
        page.get_by_text("More", exact=True).click()
        make(page)
        page.get_by_role("button", name="Redo a part").click()
        page.get_by_role("button", name="Draw energy").click()
        page.locator("#sheet .chord").first.click()
        well(360)
        assert small(page) == []
        for button in page.locator("button:visible").all():
            box = button.bounding_box()
            assert box
            inside = button.evaluate(
                "one => Boolean(one.closest('.sheet-scroll'))"
            )  # which scrolls by itself
            assert inside or (box["x"] >= 0 and box["x"] + box["width"] <= 360)
        well(1180)


def test_the_page_is_light(page: Page) -> None:
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    page.reload()
    page.wait_for_load_state("networkidle")
    assert 20_000 < sum(sizes) < 400_000
