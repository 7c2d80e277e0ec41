"""The build as a user runs it: real Ray, the real separator and codec, short songs."""

import functools
import http.server
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from jobs.runtime.cluster import Cluster
from jobs.runtime.worker_pool import choose_workers
from samuel import audio
from samuel.catalogue.songs import read_catalogue
from samuel.codec import load_codec
from samuel.config import CHUNK_FRAMES
from samuel.lead_sheet import LeadSheet
from samuel.popdb import Identity, Store
from samuel.popdb.song_builder import PairBuilder
from samuel.storage.lease import Lease
from samuel.vocals import normal_form
from tests.jobs.songs import song_audio, write_song
from tests.s3 import S3Location

SCRIPT = Path(__file__).parents[2] / "jobs" / "build_popdb.py"


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output of the job, in this process."""
    from jobs.build_popdb import app

    told = [str(one) for one in arguments]
    if "--complete" not in told:
        told.append("--no-lead-sheets")  # they take seconds: one test of theirs is enough
    result = CliRunner().invoke(app, told)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def rows(out: object) -> list[dict]:
    columns = ["song_id", "chunk", "title", "split", "vocal_activity", "source", "start_seconds"]
    return pq.read_table(f"{out}/data", columns=columns).to_pylist()


def failures(out: object) -> dict[str, dict]:
    return {Path(row["source"]).name: row for row in pq.read_table(f"{out}/failures.parquet").to_pylist()}


def test_good_songs_give_pairs_and_bad_ones_rows_with_reasons(local_ray: None, tmp_path: Path) -> None:
    songs, out = tmp_path / "songs", tmp_path / "popdb"
    write_song(songs / "deep" / "er" / "Ann - Two chunks.ogg", 96.0, seed=1)
    write_song(songs / "歌.mp3", 48.0, seed=2)
    write_song(songs / "short.flac", 1.0)
    (songs / "zero.mp3").touch()
    (songs / "字.wav").write_text("not audio at all, but a text that goes on for a while" * 99)
    audio.write(songs / "silent.flac", torch.zeros(2, 60 * 44100))
    write_song(songs / "long.ogg", 100.0)
    broken = (songs / "歌.mp3").read_bytes()
    (songs / "cut off in its header.mp3").write_bytes(broken[:40])

    code, output = run("--songs", songs, "--out", out, "--max-minutes", 98 / 60)
    assert code == 0, output
    assert Counter(row["title"] for row in rows(out)) == {"Two chunks": 2, "歌": 1}
    assert sorted(row["start_seconds"] for row in rows(out)) == pytest.approx([0, 0, 47.55], abs=0.01)
    assert all(0.1 < row["vocal_activity"] <= 1 for row in rows(out))
    reasons = failures(out)
    assert {name: row["stage"] for name, row in reasons.items()} == {
        "short.flac": "chunk",
        "zero.mp3": "decode",
        "字.wav": "decode",
        "silent.flac": "decode",
        "long.ogg": "decode",
        "cut off in its header.mp3": "decode",
    }
    assert "47.55 s" in reasons["short.flac"]["error"]
    assert "silent" in reasons["silent.flac"]["error"]
    assert "too long" in reasons["long.ogg"]["error"]
    assert str(out) in output
    assert "jobs/train.py" in output
    assert "字" in output

    before = {file.name: file.read_bytes() for file in (out / "data").iterdir()}
    code, output = run("--songs", songs, "--out", out, "--max-minutes", 98 / 60)
    assert (code, failures(out)) == (0, reasons)  # nothing tried again, nothing forgotten
    assert {file.name: file.read_bytes() for file in (out / "data").iterdir()} == before

    write_song(songs / "short.flac", 49.0, seed=3)  # mended
    write_song(songs / "new.ogg", 49.0, seed=4)
    code, output = run("--songs", songs, "--out", out, "--max-minutes", 2, "--retry-failed")
    assert code == 0, output
    assert Counter(row["title"] for row in rows(out)) == {
        "Two chunks": 2,
        "歌": 1,
        "short": 1,
        "new": 1,
        "long": 2,
    }
    assert {name: row["attempts"] for name, row in failures(out).items()} == {
        "zero.mp3": 2,
        "字.wav": 2,
        "silent.flac": 2,
        "cut off in its header.mp3": 2,
    }
    for name, content in before.items():
        assert (out / "data" / name).read_bytes() == content


def test_stems_are_taken_as_they_are(local_ray: None, tmp_path: Path) -> None:
    vocals, drums, bass = (0.3 * song_audio(49.0, seed) for seed in (1, 2, 3))
    for name, stem in {"vocals": vocals, "drums": drums, "bass": bass}.items():
        (tmp_path / "songs" / "Ann - Tune").mkdir(parents=True, exist_ok=True)
        audio.write(tmp_path / "songs" / "Ann - Tune" / f"{name}.wav", stem)
    code, output = run("--songs", tmp_path / "songs", "--out", tmp_path / "popdb")
    assert code == 0, output
    pair = pq.read_table(tmp_path / "popdb" / "data").to_pylist()[0]
    codec = load_codec("mini", "cpu")
    for column, stem in (("vocals", normal_form(vocals)), ("accompaniment", drums + bass)):
        expected = codec.encode(stem[None])[0, :, :CHUNK_FRAMES]
        got = np.array(pair[column], dtype=np.float32).reshape(expected.shape)
        difference = torch.from_numpy(got) - expected  # stems went through 24-bit files and half precision
        assert difference.abs().mean() < 0.02 * expected.std()

    assert pair["lead_sheet"] is None
    code, output = run("--complete", "--out", tmp_path / "popdb")
    assert code == 0, output
    (completed,) = pq.read_table(tmp_path / "popdb" / "data").to_pylist()
    assert len(LeadSheet.from_json(completed["lead_sheet"]).beats) > 20
    assert completed["arrangement"] is not None
    for column in ("vocals", "accompaniment", "features"):
        assert completed[column] == pair[column]
    (shard,) = (tmp_path / "popdb" / "data").iterdir()
    before = shard.read_bytes()
    code, output = run("--complete", "--out", tmp_path / "popdb")
    assert (code, shard.read_bytes()) == (0, before), output
    code, output = run("--complete", "--songs", tmp_path / "songs", "--out", tmp_path / "popdb")
    assert code == 2
    assert "leave out --songs" in output
    code, output = run("--complete", "--out", tmp_path / "nothing")
    assert code == 2
    assert "no POPDB" in output


def test_stems_of_different_lengths_are_padded_and_told(local_ray: None, tmp_path: Path) -> None:
    write_song(tmp_path / "songs" / "tune" / "vocals.wav", 49.0)
    write_song(tmp_path / "songs" / "tune" / "band.wav", 52.0, seed=2)
    code, output = run("--songs", tmp_path / "songs", "--out", tmp_path / "popdb")
    assert code == 0, output
    assert "stems differ in length: silence follows those that end before the longest (vocals" in output
    assert [row["title"] for row in rows(tmp_path / "popdb")] == ["tune"]


def test_songs_and_pairs_may_lie_on_s3(local_ray: None, tmp_path: Path, s3: S3Location) -> None:
    import s3fs

    write_song(tmp_path / "one.ogg", 49.0, seed=1)
    s3fs.S3FileSystem().put(str(tmp_path / "one.ogg"), f"{s3.url}/songs/deep/Ann - One.ogg")
    environment = [f"{name}={value}" for name, value in s3.server.environment.items()]
    done = subprocess.run(
        [
            "env",
            *environment,
            sys.executable,
            SCRIPT,
            "--songs",
            f"{s3.url}/songs",
            "--out",
            f"{s3.url}/popdb",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{s3.url}/popdb" in done.stdout
    with s3fs.S3FileSystem().open(Store.at(f"{s3.url}/popdb").shard_files()[0].path) as shard:
        assert pq.read_table(shard).column("title").to_pylist() == ["One"]


def test_wrong_s3_credentials_are_one_clear_line(s3: S3Location, tmp_path: Path) -> None:
    write_song(tmp_path / "songs" / "one.ogg", 1.0)
    arguments = ["--songs", str(tmp_path / "songs"), "--out", f"{s3.url}/popdb"]
    environment = [f"{name}={value}" for name, value in s3.server.environment.items()]
    done = subprocess.run(
        ["env", *environment, "AWS_SECRET_ACCESS_KEY=wrong", sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "AWS_SECRET_ACCESS_KEY" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A web server with one song; gives its address and the list of paths asked for."""
    write_song(tmp_path / "web" / "Ann - Webbed.ogg", 49.0, seed=5)
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_addresses_are_downloaded_once(local_ray: None, tmp_path: Path, web: tuple[str, list[str]]) -> None:
    address, asked = web
    (tmp_path / "songs.txt").write_text(
        f"{address}/Ann%20-%20Webbed.ogg\n# a comment\n{address}/missing.ogg\n"
    )
    arguments = ("--songs", tmp_path / "songs.txt", "--out", tmp_path / "popdb", "--requests-per-minute", 600)
    code, output = run(*arguments)
    assert code == 0, output
    assert [row["title"] for row in rows(tmp_path / "popdb")] == ["Webbed"]
    (failure,) = pq.read_table(tmp_path / "popdb" / "failures.parquet").to_pylist()
    assert failure["stage"] == "download"
    (song,) = [one for one in read_catalogue(str(tmp_path / "songs.txt")).songs if one.title == "Webbed"]
    assert [file.stem for file in (tmp_path / "popdb" / "audio").iterdir()] == [song.song_id]

    for shard in (tmp_path / "popdb" / "data").iterdir():
        shard.unlink()  # the pairs are lost, the download is not
    asked.clear()
    code, output = run(*arguments)
    assert code == 0, output
    assert not [path for path in asked if "Webbed" in path]
    assert [row["title"] for row in rows(tmp_path / "popdb")] == ["Webbed"]


def test_another_codec_in_the_same_folder_is_an_error(local_ray: None, tmp_path: Path) -> None:
    write_song(tmp_path / "songs" / "one.ogg", 49.0)
    out = tmp_path / "popdb"
    out.mkdir()
    identity = {
        "codec": "other@1",
        "separator": "x",
        "sample_rate": 44100,
        "chunk_frames": 1024,
        "version": "0",
    }
    (out / "popdb.json").write_text(json.dumps(identity))
    code, output = run("--songs", tmp_path / "songs", "--out", out)
    assert code == 2
    assert "other@1" in output
    assert "--out" in output


def test_a_popdb_that_cannot_be_written_stops_the_run(local_ray: None, tmp_path: Path) -> None:
    write_song(tmp_path / "songs" / "one.ogg", 49.0)
    (tmp_path / "popdb").mkdir()
    (tmp_path / "popdb" / "songs").write_text("a file where a folder must be")
    code, output = run("--songs", tmp_path / "songs", "--out", tmp_path / "popdb")
    assert code == 2
    assert "cannot write" in output
    assert not (tmp_path / "popdb" / "failures").exists()  # the song is not to blame
    (tmp_path / "popdb" / "songs").unlink()
    code, output = run("--songs", tmp_path / "songs", "--out", tmp_path / "popdb")
    assert code == 0, output
    assert [row["title"] for row in rows(tmp_path / "popdb")] == ["one"]


def test_a_worker_that_lacks_the_weights_stops_the_run_with_the_reason(
    local_ray: None, tmp_path: Path
) -> None:
    from jobs.runtime.popdb_pipeline import build
    from jobs.runtime.worker_pool import WorkerPool

    identity = Identity(codec="mini@elsewhere", separator="spleeter:2stems@elsewhere")
    write_song(tmp_path / "songs" / "one.ogg", 49.0)
    store = Store.at(tmp_path / "popdb")
    make = functools.partial(PairBuilder, store, codec="mini", separator="spleeter", identity=identity)
    songs = list(read_catalogue(str(tmp_path / "songs")).songs)
    with Lease(store.root) as lease, pytest.raises(ValueError, match=r"could not start: .*'mini@elsewhere'"):
        build(songs, store, lease, identity, make, WorkerPool(1, "cpu", 1))
    assert not (tmp_path / "popdb" / "failures").exists()


def test_two_songs_of_one_name_and_size_are_told_apart_to_the_user(local_ray: None, tmp_path: Path) -> None:
    write_song(tmp_path / "a" / "01.wav", 49.0, seed=1)
    write_song(tmp_path / "b" / "01.wav", 49.0, seed=2)
    assert run("--songs", tmp_path / "a", "--out", tmp_path / "popdb")[0] == 0
    code, output = run("--songs", tmp_path / "b", "--out", tmp_path / "popdb")
    assert code == 0
    assert f"{tmp_path}/b/01.wav from {tmp_path}/a/01.wav" in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--songs", "nowhere"], "nothing is there"),
        (["--codec", "nonsense"], "nonsense"),
        (["--separator", "nonsense"], "nonsense"),
        (["--device", "tpu"], "auto, cpu or cuda"),
        (["--device", "cuda"], "no GPU now"),
        (["--cookies", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_wrong_arguments_are_one_clear_line(
    local_ray: None, tmp_path: Path, arguments: list[str], says: str
) -> None:
    write_song(tmp_path / "songs" / "one.ogg", 1.0)
    given = {"--songs": tmp_path / "songs", "--out": tmp_path / "popdb"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    code, output = run(*(one for pair in given.items() for one in pair))
    assert code == 2
    assert says in output


def test_there_are_no_more_workers_than_there_is_memory_for() -> None:
    assert choose_workers(Cluster(cpus=8, gpus=0, nodes=1), "auto", None).count == 8
    small = Cluster(cpus=8, gpus=0, nodes=1, memory=5e9)
    assert choose_workers(small, "auto", None).count == 2
    assert choose_workers(small, "auto", 6).count == 6
    assert choose_workers(Cluster(cpus=0, gpus=0, nodes=1, memory=1e9), "auto", None).count == 1
