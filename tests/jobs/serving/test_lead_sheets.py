"""Lead sheets over HTTP: found, given, converted, played from, changed in a region."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import mido
import pytest
import torch

from jobs.serving.packed_audio import unpack
from samuel.arranging import PARTS
from samuel.config import SAMPLE_RATE
from samuel.generation.regions import FADE_SECONDS
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.files import read_lead_sheet
from tests.jobs.local_service import Service
from tests.jobs.serving.asking import ASYNC, finished, order, problem, sound, sung

SHEETS = "/v1/lead-sheets"
GIVEN = {"bpm": 120, "first_beat": 0.5, "chords": "| Am | F |", "style": "bossa nova"}


def ask(client: httpx.Client, recording: bytes | None = None, **fields: object) -> httpx.Response:
    files = {"recording": ("voice.flac", recording)} if recording else {}
    return client.post(SHEETS, files=files or None, data=fields)


def labels(sheet: dict[str, object]) -> list[list[object]]:
    return sheet["chords"]  # type: ignore[return-value]


def test_a_lead_sheet_is_found_and_what_is_given_holds(client: httpx.Client) -> None:
    found = ask(client, sung(6.0)).raise_for_status().json()
    assert found["seconds"] == 6.0
    assert found["lead_sheet"]["beats"]
    assert found["melody"]
    assert all(30 < pitch < 90 and 0 <= time <= 6 for line in found["melody"] for time, pitch in line)
    locked = ask(client, sung(6.0), **GIVEN).raise_for_status().json()
    assert locked["text"].startswith("120 bpm, 4/4")
    assert locked["text"].endswith("| Am | F | Am |")
    assert locked["lead_sheet"]["downbeats"] == [0.5, 2.5, 4.5]
    assert locked["chord_names"] == ["Am", "F", "Am"]
    assert locked["lead_sheet"]["style"] == "bossa nova"


@pytest.mark.parametrize("name", ["json", "midi", "musicxml", "lab", "chordpro", "txt"])
def test_a_lead_sheet_is_converted(client: httpx.Client, tmp_path: Path, name: str) -> None:
    sheet = ask(client, sung(6.0), **GIVEN).json()["lead_sheet"]
    answer = ask(client, lead_sheet=json.dumps(sheet), format=name)
    assert answer.status_code == 200, answer.text
    suffix = {"midi": "mid", "chordpro": "cho"}.get(name, name)
    file = tmp_path / f"song.{suffix}"
    file.write_bytes(answer.content)
    assert [c.label for c in read_lead_sheet(file).chords] == ["A:min", "F:maj", "A:min"]
    if name != "lab":  # which has no beats
        again = (
            client.post(SHEETS, files={"lead_sheet": (file.name, answer.content)}).raise_for_status().json()
        )
        assert again["chord_names"] == ["Am", "F", "Am"]
        assert again["lead_sheet"]["beats_per_minute"] == pytest.approx(120)


def test_a_band_is_played_from_what_is_given_and_the_result_says_so(
    client: httpx.Client, tmp_path: Path
) -> None:
    job = finished(client, order(client, sung(6.0), ASYNC, **GIVEN, parts="drums,bass").json())
    assert job["state"] == "succeeded", job
    sheet = job["lead_sheets"][0]
    assert [label for *_, label in labels(sheet)] == ["A:min", "F:maj", "A:min"]
    links = {name: link[0] for name, link in job["links"].items() if isinstance(link, list)}
    assert client.get(links["lead_sheet"]).json() == sheet
    assert "| Am | F | Am |" in client.get(links["lead_sheet"], params={"format": "txt"}).text
    click = sound(client.get(links["click"]))[0]
    assert click.shape == (6 * SAMPLE_RATE,)
    struck = [
        round(n / 2, 1) for n in range(1, 12) if click[int(n / 2 * SAMPLE_RATE) :][:300].abs().max() > 0.1
    ]
    assert struck == sheet["beats"]
    midi = mido.MidiFile(file=io.BytesIO(client.get(links["midi"]).content))
    assert {track.name for track in midi.tracks[1:]} == {"drums", "bass"}
    assert midi.length == pytest.approx(6, abs=1.5)
    arranged = sound(client.get(links["arrangement"]))
    with zipfile.ZipFile(io.BytesIO(client.get(links["stems"]).content)) as archive:
        (tmp_path / "stems").mkdir()
        archive.extractall(tmp_path / "stems")
    names = ("bass", "drums", "other")
    assert sorted(one.stem for one in (tmp_path / "stems").iterdir()) == sorted(names)
    stems = sum(
        sound(httpx.Response(200, content=(tmp_path / "stems" / f"{n}.flac").read_bytes())) for n in names
    )
    assert torch.allclose(torch.as_tensor(stems), arranged, atol=2e-4)
    part = sound(client.get(links["arrangement"], params={"start": 2, "end": 3.5}))
    assert torch.equal(part, arranged[:, 2 * SAMPLE_RATE : 7 * SAMPLE_RATE // 2])


def test_at_strength_0_the_band_is_the_arrangement(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(9.0), ASYNC, **GIVEN, strength=0).json())
    band, arranged = (sound(client.get(job["links"][name][0])) for name in ("audio", "arrangement"))
    assert torch.allclose(band, arranged, atol=1e-4)
    fields = {"reference": job["id"], "start": 2.5, "end": 4.5, "strength": 0, "chords": "| Dm |"}
    remade = finished(client, client.post("/v1/accompaniments", data=fields, headers=ASYNC).json())
    assert remade["state"] == "succeeded", remade
    other, arranged = (sound(client.get(remade["links"][name][0])) for name in ("audio", "arrangement"))
    apart = (other - arranged).abs().amax(0).gt(1e-4).nonzero().flatten() / SAMPLE_RATE
    assert all(abs(one - 2.5) < 0.2 or abs(one - 4.5) < 0.2 for one in apart.tolist())  # in the fades
    changed = (other != band).any(0).nonzero().flatten() / SAMPLE_RATE
    assert 2.4 < changed.min() < changed.max() < 4.6


def stems_of(client: httpx.Client, job: dict[str, Any], **query: str) -> dict[str, torch.Tensor]:
    answer = client.get(job["links"]["stems"][0], params=query)
    with zipfile.ZipFile(io.BytesIO(answer.raise_for_status().content)) as archive:
        return {
            Path(name).stem: sound(httpx.Response(200, content=archive.read(name)))
            for name in archive.namelist()
        }


def test_parts_have_levels_of_their_own_in_all_that_is_played_from_them(client: httpx.Client) -> None:
    plain = finished(client, order(client, sung(6.0), ASYNC, **GIVEN, strength=0).json())
    given = GIVEN | {"part_levels": "drums=-60, other=-6"}
    job = finished(client, order(client, sung(6.0), ASYNC, **given, strength=0).json())
    assert job["state"] == "succeeded", job
    before, after = stems_of(client, plain), stems_of(client, job)
    assert after["drums"].abs().max() < 0.01 < before["drums"].abs().max()
    assert after["other"].square().mean() < 0.5 * before["other"].square().mean()
    band = sound(client.get(job["links"]["audio"][0]))
    assert torch.allclose(band, torch.stack(list(after.values())).sum(0), atol=2e-4)
    players = stems_of(client, job, by_part="true")
    assert {"drums", "bass", "chords"} <= set(players) <= set(PARTS)
    assert torch.allclose(band, torch.stack(list(players.values())).sum(0), atol=2e-4)
    fields = {
        "reference": plain["id"],
        "start": 0,
        "end": 6,
        "strength": 0,
        "part_levels": "drums=-60, other=-6",
    }
    again = finished(client, client.post("/v1/accompaniments", data=fields, headers=ASYNC).json())
    assert torch.allclose(sound(client.get(again["links"]["audio"][0])), band, atol=1e-3)
    midi = mido.MidiFile(file=io.BytesIO(client.get(again["links"]["midi"][0]).content))
    volumes = {
        track.name: message.value
        for track in midi.tracks
        for message in track
        if message.type == "control_change" and message.control == 7
    }
    assert volumes["drums"] < 10 < volumes["bass"]


def test_other_chords_in_a_region_change_that_region_alone(client: httpx.Client, service: Service) -> None:
    job = finished(client, order(client, sung(12.0), ASYNC, **GIVEN, seed=3).json())
    sheet = job["lead_sheets"][0]
    other = sheet | {"chords": [[start, end, "D:min"] for start, end, _ in labels(sheet)]}
    fields = {"reference": job["id"], "start": 4.5, "end": 6.5, "seed": 3, "quality": "draft"}
    asked = client.post("/v1/accompaniments", data=fields | {"lead_sheet": json.dumps(other)}, headers=ASYNC)
    remade = finished(client, asked.raise_for_status().json())
    assert remade["state"] == "succeeded", remade
    assert labels(remade["lead_sheets"][0]) == [
        [0.5, 2.5, "A:min"],
        [2.5, 4.5, "F:maj"],
        [4.5, 6.5, "D:min"],
        *labels(sheet)[3:],
    ]
    folder = Path(service.manager.store.root)  # as they lie there: a file's peaks may be limited
    for kind in ("band", "arrangement"):
        before, after = (
            torch.cat(
                [unpack(file.read_bytes()) for file in sorted((folder / one["id"]).glob(f"{kind}-0-*.wav"))],
                1,
            )
            for one in (job, remade)
        )
        changed = (before != after).any(0).nonzero().flatten() / SAMPLE_RATE
        assert 4.5 - FADE_SECONDS <= changed.min() < 4.7, kind
        assert 6.3 < changed.max() <= 6.5 + FADE_SECONDS, kind
    guides = service.manager.store.read_latents(remade["id"])
    assert not torch.equal(
        guides["arrangement-0"], service.manager.store.read_latents(job["id"])["arrangement-0"]
    )
    again = ask(client, reference=remade["id"], bpm=120, first_beat=0.5).raise_for_status().json()
    assert again["seconds"] == 12.0
    assert "whole accompaniment" in problem(client.post("/v1/accompaniments", data=fields | {"bpm": 90}), 422)


def test_a_chord_in_words_changes_a_region(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(8.0), ASYNC, **GIVEN).json())
    fields = {"reference": job["id"], "start": 2.5, "end": 4.5, "quality": "draft", "chords": "| Am | G/B |"}
    remade = finished(client, client.post("/v1/accompaniments", data=fields, headers=ASYNC).json())
    text = client.get(remade["links"]["lead_sheet"][0], params={"format": "txt"}).text
    assert "| Am | G/B | Am | F |" in text
    assert remade["lead_sheets"][0]["style"] == "bossa nova"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"chords": "| Am | Xq | F |"}, "bar 2: cannot read the chord 'Xq'"),
        ({"key": "H dur"}, "H dur"),
        ({"metre": "four"}, "expected a metre such as 4/4"),
        ({"style": "polka metal"}, "expected a style of"),
        ({"energy": "loud"}, "expected energy from 0 to 1"),
        ({"lead_sheet": "{"}, "no JSON"),
        ({"lead_sheet": '{"beats": [2, 1]}'}, "beats that rise, but number 2 is at 1.000 s"),
        ({"lead_sheet": json.dumps({"beats": list(range(30_000))})}, "at most 20,000 beats"),
        ({"bpm": 1000}, "bpm"),
    ],
)
def test_what_cannot_hold_is_refused_with_bar_and_word(
    client: httpx.Client, fields: dict[str, object], says: str
) -> None:
    assert says in problem(ask(client, sung(2.0), **fields), 422)
    assert says in problem(order(client, sung(2.0), ASYNC, **fields), 422)


def test_lead_sheets_are_refused_with_reasons(client: httpx.Client) -> None:
    assert "to convert" in problem(ask(client), 422)
    assert "not both" in problem(ask(client, sung(2.0), reference="0" * 32), 422)
    assert "never was" in problem(ask(client, reference="0" * 32), 404)
    wrong = client.post(SHEETS, files={"lead_sheet": ("song.pdf", b"%PDF")})
    assert "whose name ends in .json" in problem(wrong, 422)
    large = client.post(SHEETS, files={"lead_sheet": ("song.json", b" " * 1_000_001)})
    assert "larger than 1,000,000 bytes" in problem(large, 413)
    assert "parts of" in problem(order(client, sung(2.0), ASYNC, parts="kazoo"), 422)
    assert "levels of drums" in problem(order(client, sung(2.0), ASYNC, part_levels="kazoo=2"), 422)
    assert "-60 to 60 dB" in problem(order(client, sung(2.0), ASYNC, part_levels="drums=99"), 422)
    assert "got 'drums'" in problem(order(client, sung(2.0), ASYNC, part_levels="bass=1, drums"), 422)
    contradiction = ask(client, lead_sheet=LeadSheet().to_json(), chords="| C |")
    assert "`bpm`" in problem(contradiction, 422)
