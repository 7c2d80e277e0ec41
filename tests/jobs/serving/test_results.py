"""What the service makes."""

import io
from pathlib import Path
from typing import ClassVar

import av
import httpx
import pytest
import soundfile
import torch
from torch import Tensor

from jobs.serving.job_store import JobStore, piece_file
from jobs.serving.packed_audio import pack, unpack
from jobs.serving.workers import Piece, encode_audio
from samuel.audio import decode
from samuel.audio.loudness import loudness
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import PIECE_FRAMES, GenerationConfig, Generator
from samuel.generation.config import Mixdown
from samuel.generation.producer import Producer
from samuel.generation.recordings import Outputs, recording_of
from samuel.generation.regions import FADE_SECONDS
from tests.jobs.local_service import LocalWorkers, running
from tests.jobs.serving.asking import ASYNC, POST, finished, order, problem, settings_of, sound, sung
from tests.jobs.songs import song_audio


def test_a_recording_gives_a_band_of_its_length(client: httpx.Client) -> None:
    answer = order(client, sung(2.3), seed=7)
    band = sound(answer)
    assert answer.headers["content-type"] == "audio/wav"
    assert band.shape == decode(io.BytesIO(sung(2.3))).shape
    assert band.abs().mean() > 1e-3
    job = client.get(answer.headers["location"]).json()
    assert (job["state"], job["progress"], job["seeds"]) == ("succeeded", 1.0, [7])
    assert set(job["stage_seconds"]) == {"encode", "sample", "decode"}
    assert torch.equal(sound(order(client, sung(2.3), seed=7)), band)
    assert not torch.allclose(sound(order(client, sung(2.3), seed=8)), band, atol=1e-2)
    assert not torch.equal(sound(order(client, sung(2.3), seed=7, steps=8)), band)


def test_stems_and_mix_in_every_format(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(4.0), ASYNC).json())
    for file_format in ("wav", "flac", "mp3", "ogg", "opus"):
        band = sound(client.get(job["links"]["audio"][0], params={"format": file_format, "variation": 0}))
        assert abs(band.shape[-1] - 4 * SAMPLE_RATE) < 3000
    voice = sound(client.get(job["links"]["vocals"]))
    assert torch.allclose(voice, decode(io.BytesIO(sung(4.0))), atol=1e-6)
    mix = sound(client.get(job["links"]["mix"][0]))
    assert loudness(mix) == pytest.approx(-14, abs=1)
    assert mix.abs().max() < 1
    quiet = sound(client.get(job["links"]["mix"][0], params={"lufs": -23, "variation": 0}))
    assert loudness(quiet) == pytest.approx(-23, abs=1)
    answer = sound(order(client, sung(4.0), output="mix", lufs=-30))
    assert loudness(answer) == pytest.approx(-30, abs=1)
    loud = sound(client.get(f"{job['links']['self']}/mix", params={"balance": 20}))
    band = sound(client.get(job["links"]["audio"][0]))
    assert likeness(loud, band) > likeness(mix, band)


def likeness(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1])


def test_a_region_is_made_anew_and_the_rest_stays(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(6.0), ASYNC, variations=2).json())
    before = sound(client.get(f"{job['links']['self']}/audio", params={"variation": 1}))
    region = {"reference": job["id"], "reference_variation": 1, "start": 2.0, "end": 4.0, "quality": "draft"}
    answer = client.post(POST, data=region | {"seed": 99})
    after = sound(answer)
    assert after.shape == before.shape
    difference = (after - before).abs().mean(0)
    seconds = torch.arange(len(difference)) / SAMPLE_RATE
    assert difference[(seconds > 2.0) & (seconds < 4.0)].mean() > 1e-3
    assert not difference[(seconds < 2.0 - FADE_SECONDS) | (seconds > 4.0 + FADE_SECONDS)].any()  # to the bit
    again = finished(client, client.get(answer.headers["location"]).json())
    assert client.delete(job["links"]["self"]).status_code == 204  # the new one stands for itself
    assert sound(client.get(again["links"]["vocals"])).shape == before.shape


def test_a_region_does_not_decode_the_rest_again(checkpoint: str, tmp_path: Path) -> None:
    class CountingWorkers(LocalWorkers):
        played: ClassVar[list[int]] = []

        async def decode(self, latents: Tensor, pieces: list[Piece]) -> list[bytes]:
            self.played.extend(one.start for one in pieces)
            return await super().decode(latents, pieces)

    with running(settings_of(checkpoint), tmp_path, CountingWorkers) as service, service.client() as client:
        job = finished(client, order(client, sung(20.0), ASYNC).json())
        assert CountingWorkers.played == [0, 150, 300]
        CountingWorkers.played.clear()
        region = {"reference": job["id"], "start": 10.0, "end": 11.0, "quality": "draft", "seed": 3}
        again = finished(client, client.post(POST, data=region, headers=ASYNC).json())
        assert CountingWorkers.played == [150]  # frames 215 to 237
        before, after = (pieces_of(tmp_path, one["id"]) for one in (job, again))
        assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
        changed = (unpack(before[1]) != unpack(after[1])).any(0).nonzero().flatten() / SAMPLE_RATE
        first = PIECE_FRAMES * FRAME_SAMPLES / SAMPLE_RATE
        assert 10 - FADE_SECONDS <= first + changed.min() <= 10
        assert 11 <= first + changed.max() <= 11 + FADE_SECONDS


def test_a_band_goes_on_where_it_ended(client: httpx.Client) -> None:
    voice = 0.3 * song_audio(16.0, seed=1)
    beginning, whole = (encode_audio(part, "flac") for part in (voice[:, : 9 * SAMPLE_RATE + 5], voice))
    earlier = finished(client, order(client, beginning, ASYNC, variations=2).json())
    before = sound(client.get(earlier["links"]["audio"][1]))
    on = {"reference": earlier["id"], "reference_variation": 1}
    later = finished(client, order(client, whole, ASYNC, seed=5, **on).json())
    after = sound(client.get(later["links"]["audio"][0]))
    assert after.shape == voice.shape
    heard = before.shape[-1] - round(FADE_SECONDS * SAMPLE_RATE)  # then it goes over into the new
    assert torch.equal(after[:, :heard], before[:, :heard])
    assert after[:, before.shape[-1] :].abs().mean() > 1e-3
    for recording, fields, says in (
        (beginning, on, "as long as the vocals"),
        (whole, on | {"start": 1, "end": 2}, "goes on where it ended"),
    ):
        answer = order(client, recording, **fields)
        assert says in problem(answer, 422)


def pieces_of(spool: Path, job: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((spool / job).glob("band-0-*"))]


def test_separation_takes_the_voice_out_of_a_mix(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(3.0, seed=3), ASYNC, separate="true").json())
    if job["state"] == "failed":  # noise that is no voice at all may leave nothing
        assert "no voice" in job["error"]["detail"]
    else:
        assert "separate" in job["stage_seconds"]
        voice = sound(client.get(job["links"]["vocals"]))
        assert not torch.allclose(voice, decode(io.BytesIO(sung(3.0, seed=3))), atol=1e-3)


def test_events_tell_the_way_to_the_result(client: httpx.Client) -> None:
    files = {"vocals": ("voice.flac", sung(2.0))}
    with client.stream("POST", POST, files=files, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    names = [line.removeprefix("event: ") for line in lines[::2]]
    assert names[0] == "queued"
    assert names[-1] == "succeeded"
    shares = [
        httpx.Response(200, content=line.removeprefix("data: ")).json()["progress"] for line in lines[1::2]
    ]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2
    assert client.get(answer.headers["location"]).json()["state"] == "succeeded"


def test_a_band_has_the_same_bits_over_http_as_on_the_command_line(
    checkpoint: str, client: httpx.Client, tmp_path: Path
) -> None:
    voice = tmp_path / "voice.wav"
    loud = song_audio(9.0, 4)
    loud *= 2.5 / loud.abs().max()  # over full scale, as a float file may be
    soundfile.write(voice, loud.T.numpy(), SAMPLE_RATE, "FLOAT")
    wanted = recording_of(str(voice), Outputs(str(tmp_path / "band.wav"), str(tmp_path / "mix.wav")))
    producer = Producer(Generator.load(checkpoint), GenerationConfig("draft", 3), Mixdown(balance_db=2.0))
    assert [report.error for report in producer([wanted])] == [""]
    job = finished(client, order(client, voice.read_bytes(), ASYNC, seed=3).json())
    assert client.get(job["links"]["audio"][0]).content == Path(wanted.bands[0]).read_bytes()
    mixed = client.get(job["links"]["mix"][0], params={"balance": 2})
    assert mixed.content == Path(wanted.mixes[0]).read_bytes()
    assert float(mixed.headers["x-loudness-lufs"]) == pytest.approx(loudness(sound(mixed)), abs=0.1)


@pytest.mark.parametrize("samples", [1, 2, 44_100, 307_201])
def test_stems_keep_every_bit(samples: int) -> None:
    stem = 3 * torch.randn(2, samples, generator=torch.Generator().manual_seed(samples))
    assert torch.equal(unpack(pack(stem)), stem)


def test_stems_of_earlier_services_are_read(tmp_path: Path) -> None:
    stem = 3 * torch.randn(2, 30_000, generator=torch.Generator().manual_seed(0))
    earlier = io.BytesIO()
    with av.open(earlier, "w", format="wv") as container:
        stream = container.add_stream("wavpack", rate=SAMPLE_RATE, layout="stereo", format="fltp")
        frame = av.AudioFrame.from_ndarray(stem.numpy(), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        for packets in (stream.encode(frame), stream.encode(None)):
            container.mux(packets)
    store = JobStore(str(tmp_path))
    store.write("job", piece_file(0, 0).replace(".wav", ".wv"), earlier.getvalue())
    assert torch.equal(unpack(store.read("job", piece_file(0, 0))), stem)
    with pytest.raises(FileNotFoundError):
        store.read("job", piece_file(0, 1))


def test_stems_are_wav_files_for_anybody() -> None:
    stem = 3 * torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    read, rate = soundfile.read(io.BytesIO(pack(stem)), dtype="float32")
    assert rate == SAMPLE_RATE
    assert torch.equal(torch.from_numpy(read.T), stem)
