"""What people do to a page: click twice, reload, bring odd files, sing into one ear, hold a phone."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from jobs.serving.workers import encode_audio
from samuel.audio import decode
from samuel.audio.loudness import loudness
from samuel.config import SAMPLE_RATE
from tests.jobs.local_service import Service
from tests.jobs.songs import song_audio
from tests.studio.browsing import BANDS, SECONDS, Page, expect, give, make, sing

COUNT_MICROPHONES = """
window.microphones = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (...given) => {
  await new Promise((resolve) => setTimeout(resolve, 500)); // as while a browser asks whether it may
  const stream = await ask(...given);
  window.microphones.push(...stream.getTracks());
  return stream;
};
null;
"""
SLOW_SOUNDS = """
for (const [kind, name] of [[BaseAudioContext, "decodeAudioData"], [OfflineAudioContext, "startRendering"]]) {
  const work = kind.prototype[name];
  kind.prototype[name] = async function (...given) {
    await new Promise((resolve) => setTimeout(resolve, 1000)); // as on a busy machine
    return work.apply(this, given);
  };
}
null;
"""
RENDER = """
async ({ job, balance, seconds }) => {
  const script = new URL(document.querySelector("script[type=module]").src);
  const { Player } = await import(new URL("player.js", script));
  const context = new OfflineAudioContext(2, 44100 * seconds, 44100);
  context.resume = async () => {};
  const player = new Player(context);
  for (const kind of ["vocals", "audio"]) {
    const sound = await fetch(`v1/accompaniments/${job}/${kind}?format=flac`);
    await player.add(kind === "vocals" ? "voice" : "band", await player.decode(await sound.blob()));
  }
  player.heard = "band";
  player.balance = balance;
  player.setGains();
  await player.play();
  const heard = await context.startRendering();
  return [0, 1].map((side) => {
    const bytes = new Uint8Array(heard.getChannelData(side).buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  });
}
"""
TELL = """
async (shares) => {
  const { setWorking, tell } = await import(new URL("telling.js", document.querySelector("script[type=module]").src));
  let now = 0;
  performance.now = () => now;
  setWorking(true);
  return shares.map(([seconds, share]) => {
    now = 1000 * seconds;
    tell("Playing", share);
    return document.getElementById("work-share").textContent;
  });
}
"""
LIMITER_SAMPLES = 2 * 882
"""By which the page's limiter is late."""


def test_an_impatient_double_click_opens_one_microphone_and_stop_closes_it(page: Page) -> None:
    page.evaluate(COUNT_MICROPHONES)
    page.get_by_role("button", name="Record").dblclick()
    expect(page.locator("#record-word")).to_have_text("Stop")
    expect(page.locator("#recording-time")).to_have_text(re.compile("0:0[1-9]"), timeout=SECONDS)
    page.get_by_role("button", name="Stop").dblclick()
    expect(page.locator(".lane-note")).to_contain_text("recording.webm")
    expect(page.locator("#record-word")).to_have_text("Record")
    assert page.evaluate("microphones.map((one) => one.readyState)") == ["ended"]


@pytest.mark.parametrize("shown", ["#record-word:text('Record')", ".lane-note:text('recording.webm')"])
def test_what_is_only_in_the_page_is_not_lost_without_a_question(page: Page, shown: str) -> None:
    asked: list[str] = []

    def answer(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    page.on("dialog", answer)
    page.reload()
    assert asked == []
    page.evaluate(SLOW_SOUNDS)
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#recording-time")).to_have_text(re.compile("0:0[1-9]"), timeout=SECONDS)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(shown)).to_be_visible()
    page.reload()  # before the lane is there, and before its sound is measured
    assert asked == ["beforeunload"]
    expect(page.locator(".lane")).to_have_count(0)


def test_a_reload_and_back_bring_the_work_again(page: Page, service: Service) -> None:
    sing(page)
    make(page, variations=2)
    page.get_by_label("Balance").fill("-6")
    page.get_by_role("button", name="Remove Band A").click()
    note = page.locator(f"{BANDS} .lane-note").text_content()
    assert note
    page.reload()
    band = page.locator(BANDS)
    expect(band).to_have_count(1, timeout=SECONDS)
    expect(band).to_have_attribute("aria-label", "Band B")
    expect(band.locator(".lane-note")).to_have_text(note)
    expect(page.get_by_label("Balance")).to_have_value("-6")
    page.goto("about:blank")
    page.go_back()
    expect(band).to_have_count(1, timeout=SECONDS)
    make(page)  # of the voice that the server had
    expect(band.last).to_have_attribute("aria-label", "Band C")
    for job in list(service.manager.jobs.values()):
        page.evaluate("id => fetch(`v1/accompaniments/${id}`, { method: 'DELETE' })", job.id)
    page.reload()
    expect(page.locator("#trouble")).to_contain_text("no longer on the server")


def test_a_file_that_the_browser_cannot_play_is_judged_at_once(page: Page) -> None:
    sound = io.BytesIO()
    soundfile.write(sound, 0.3 * song_audio(2.0, 0).T.numpy(), SAMPLE_RATE, format="AIFF")
    give(page, sound.getvalue()[: len(sound.getvalue()) // 50], "cut.aiff")
    expect(page.locator("#trouble")).to_contain_text("“cut.aiff” cannot be used: ")
    expect(page.locator(".lane")).to_have_count(0)
    give(page, sound.getvalue(), "voice.aiff")
    expect(page.locator(".lane-note")).to_have_text("voice.aiff · 0:02")
    expect(page.locator("#time")).to_have_text("0:00 / 0:02")


def test_the_time_that_is_left_stands_beside_the_progress(page: Page) -> None:
    said = page.evaluate(
        TELL, [[0, None], [5, 0.1], [6, 0.12], [15, 0.35], [30, 0.9], [31, 0.05], [331, 0.15]]
    )
    assert said[:3] == ["", "10%", "12%"]
    assert said[3:] == ["35% · about 30 s left", "90% · about 4 s left", "5%", "15% · about 43 min left"]


def test_what_is_heard_is_what_is_downloaded(page: Page, service: Service) -> None:
    voice = 0.02 * song_audio(6.0, 0)
    voice[0] = 0  # sung into the right ear alone, quietly
    give(page, encode_audio(voice, "flac"))
    make(page)
    (job,) = {
        one.split("-")[1]
        for one in page.locator(BANDS).evaluate_all("lanes => lanes.map((lane) => lane.dataset.name)")
    }
    for balance in (0, 9):
        rendered = page.evaluate(RENDER, {"job": job, "balance": balance, "seconds": 7})
        heard = torch.from_numpy(
            np.stack([np.frombuffer(base64.b64decode(side), np.float32) for side in rendered])
        )
        address = f"{service.address}/v1/accompaniments/{job}/mix?balance={balance}&format=flac"
        mix = decode(io.BytesIO(page.request.get(address).body()))
        heard = heard[:, LIMITER_SAMPLES:][:, : mix.shape[1]]
        assert loudness(heard) == pytest.approx(loudness(mix), abs=0.5)
        assert loudness(mix) == pytest.approx(-14, abs=0.5)
        assert likeness(heard, mix) > 0.99
        assert heard.abs().max() < 10 ** (-1 / 20)


def likeness(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1])
