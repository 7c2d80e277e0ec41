"""Evaluation as a user runs it: real Ray, real files, a page at the end; and the proof on two small songs."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from samuel import audio
from samuel.evaluation.samples import Sample
from tests.evaluation import signals
from tests.evaluation.tiny_systems import write_musicgen, write_musicgen_melody, write_stable_audio_open
from tests.jobs.local_service import write_tiny_checkpoint
from tests.s3 import S3Location

SCRIPTS = Path(__file__).parents[2] / "jobs"
SONGS = {"a": 0, "b": 3, "c": 5}


def run(app: object, *arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments])  # type: ignore[arg-type]
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def evaluate(*arguments: object) -> tuple[int, str]:
    from jobs.evaluate import app

    return run(app, *arguments)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three songs of two systems and their vocals; one file of the second is missing and one is no audio."""
    for folder in ("good", "other", "vocals"):
        (tmp_path / folder).mkdir()
    for name, key in SONGS.items():
        audio.write(tmp_path / "good" / f"{name}.flac", signals.band(8.0, key))
        audio.write(tmp_path / "vocals" / f"{name}.ogg", 0.5 * signals.band(8.0, key))
    audio.write(tmp_path / "other" / "a.mp3", signals.band(8.0, 6))
    (tmp_path / "other" / "b.wav").write_text("no audio")
    return tmp_path


def test_two_systems_become_scores_and_a_report(local_ray: None, folders: Path) -> None:
    out = folders / "report"
    arguments = (
        "--samples",
        f"good={folders}/good",
        f"other={folders}/other",
        "--vocals",
        folders / "vocals",
    )
    code, output = evaluate(*arguments, "--aesthetics", "none", "--out", out)
    assert code == 0, output
    scores = pq.read_table(out / "scores.parquet")
    own = scores.filter(pc.equal(scores["kind"], "system"))
    rows = {(row["system"], row["track"]): row for row in own.to_pylist()}
    assert set(rows) == {("good", "a"), ("good", "b"), ("good", "c"), ("other", "a"), ("other", "b")}
    assert "not audio" in rows["other", "b"]["error"]
    assert rows["good", "a"]["vocals_chroma"] > 0.9 > rows["other", "a"]["vocals_chroma"] + 0.4
    assert "other lacks 1 of 3 tracks: c" in output
    page = (out / "report.html").read_text()
    assert "other lacks 1 of 3 tracks: c" in page
    assert "<audio" in page
    assert page.count('class="hear"') == 4  # a row each, but for the file that is no audio
    assert "Machines while this ran: " in output
    assert len(list((out / "costs").iterdir())) == 1

    records = {file: file.stat().st_mtime_ns for file in (out / "records").iterdir()}
    audio.write(folders / "other" / "b.wav", signals.band(8.0, 3))  # mended
    code, output = evaluate(*arguments, "--aesthetics", "none", "--out", out)
    assert code == 0, output
    assert "7 heard before" in output  # all but the mended one
    assert {file: file.stat().st_mtime_ns for file in records} == records
    scores = pq.read_table(out / "scores.parquet")
    assert pc.sum(pc.not_equal(scores["error"], "")).as_py() == 0


def test_what_is_lost_is_told_and_the_report_has_the_rest(
    local_ray: None, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that die are simulated: a track, one of the vocals and an anchor come back as lost by the pool."""
    from jobs.runtime import scoring
    from jobs.runtime.actor_pool import DIED

    audio.write(folders / "good" / "d.wav", signals.band(8.0)[:, :1])
    extract = scoring.extract_records

    def loses(samples: list[Sample], *more: Any, **named: Any) -> Iterator[dict[str, Any]]:
        gone = [one for one in samples if Path(one.source).name in ("a.mp3", "b.ogg", "anchor:silence")]
        yield from extract([one for one in samples if one not in gone], *more, **named)
        yield from ({"key": one.key, "source": one.source, "error": DIED, "seconds": 0.0} for one in gone)

    monkeypatch.setattr(scoring, "extract_records", loses)
    out = folders / "report"
    code, output = evaluate(
        *("--samples", f"good={folders}/good", f"other={folders}/other", "--vocals", folders / "vocals"),
        *("--aesthetics", "none", "--out", out),
    )
    assert code == 0, output
    scores = pq.read_table(out / "scores.parquet")
    rows = {(row["system"], row["track"]): row for row in scores.to_pylist()}
    assert rows["other", "a"]["error"] == DIED
    assert "too short to be heard" in rows["good", "d"]["error"]
    assert rows["good", "a"]["vocals_chroma"] > 0.9
    assert rows["good", "b"]["vocals_chroma"] is None  # its vocals are lost
    assert ("silence", "a") not in rows
    report = (out / "report.md").read_text()
    for said in (
        f"other: a could not be heard: {DIED}",
        "vocals: 1 of 3 could not",
        "anchors: 1 of",
        "good: d could",
    ):
        assert said in report
    assert "Track" in (out / "report.html").read_text()
    monkeypatch.undo()  # another run hears them
    code, output = evaluate("--samples", f"other={folders}/other", "--aesthetics", "none", "--out", out)
    assert DIED not in output + (out / "report.md").read_text()


def evaluate_on_s3(s3: S3Location, folders: Path, *arguments: str) -> str:
    """As a user does it, in a process of its own, with vocals and report on S3; the output."""
    import s3fs

    for folder in ("good", "vocals"):
        s3fs.S3FileSystem().put(str(folders / folder), f"{s3.url}/{folder}", recursive=True)
    environment = [f"{name}={value}" for name, value in s3.server.environment.items()]
    done = subprocess.run(
        [
            *("env", *environment, sys.executable, SCRIPTS / "evaluate.py", "--samples", *arguments),
            *("--vocals", f"{s3.url}/vocals", "--aesthetics", "none", "--out", f"{s3.url}/report"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_s3(url: str) -> bytes:
    import s3fs

    return s3fs.S3FileSystem().cat_file(url)


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_all_systems_make_their_tracks_in_one_run_on_s3(folders: Path, s3: S3Location) -> None:
    for write in (write_musicgen, write_musicgen_melody, write_stable_audio_open):
        write(folders / write.__name__)
    systems = {
        "ours": f"samuel@{write_tiny_checkpoint(folders / 'run')}",
        "small": f"musicgen-small@{folders}/write_musicgen",
        "melody": f"musicgen-melody@{folders}/write_musicgen_melody",
        "open": f"stable-audio-open@{folders}/write_stable_audio_open",
    }
    generated = [f"{name}=generate:{system}" for name, system in systems.items()]
    output = evaluate_on_s3(s3, folders, f"good={s3.url}/good", *generated)
    assert "makes nothing" not in output
    assert "made nothing" not in output
    scores = pq.read_table(io.BytesIO(read_s3(f"{s3.url}/report/scores.parquet")))
    own = scores.filter(pc.equal(scores["kind"], "system")).to_pylist()
    assert {(row["system"], row["track"]) for row in own} == {
        (system, track) for system in ("good", *systems) for track in SONGS
    }
    for row in own:
        assert not row["error"]
        assert row["seconds"] == pytest.approx(8.0, abs=0.05)
    report = read_s3(f"{s3.url}/report/report.md").decode()
    table = report[report.index("Table II") :]
    for name, hears in (
        ("ours (samuel)", "vocals"),
        ("small (musicgen-small)", "text"),
        ("melody (musicgen-melody)", "vocals, text"),
        ("open (stable-audio-open)", "text"),
    ):
        (line,) = (line for line in table.splitlines() if name in line)
        assert hears in line


def test_tracks_are_made_and_timed_first_and_weights_that_are_not_there_stop_nothing(
    local_ray: None, folders: Path
) -> None:
    checkpoint = write_tiny_checkpoint(folders / "run")
    out = folders / "report"
    (folders / "vocals" / "b.ogg").write_text("no audio")
    code, output = evaluate(
        *("--samples", f"ours=generate:samuel@{checkpoint}", "theirs=generate:musicgen-small@nowhere"),
        *(
            "--vocals",
            folders / "vocals",
            "--aesthetics",
            folders / "nowhere.pt",
            "--examples",
            0,
            "--out",
            out,
        ),
    )
    assert code == 0, output
    assert "nowhere.pt" in output  # the judge's
    assert "theirs makes nothing: " in output
    assert "the weights of musicgen-small cannot be had from nowhere" in output
    assert "ours made nothing of b: not audio" in output
    own = pq.read_table(out / "scores.parquet").filter(pc.field("system") == "ours")
    assert own["track"].to_pylist() == ["a", "c"]
    assert own["seconds"].to_pylist() == [pytest.approx(8.0, abs=0.01)] * 2
    page = (out / "report.html").read_text()
    assert "ours (samuel)" in page  # timed
    assert "Not measured in this run" in page
    assert "1 thread" in page


def test_a_track_is_made_once_and_anew_for_other_vocals_or_another_prompt(folders: Path) -> None:
    from jobs.runtime.baselines import Generate, unmade
    from samuel.evaluation.samples import read_folder

    place = str(folders / "made")
    work = Generate(f"samuel@{write_tiny_checkpoint(folders / 'run')}", "cpu", place, 60.0, 1)

    def missing(**prompts: str) -> list[dict[str, str]]:
        return unmade(place, read_folder("vocals", str(folders / "vocals")).samples, prompts)

    rows = missing()
    assert [row["track"] for row in rows] == ["a", "b", "c"]
    assert not work(rows[0])
    assert [row["track"] for row in missing()] == ["b", "c"]
    assert [row["track"] for row in missing(a="a waltz")] == ["a", "b", "c"]
    (folders / "vocals" / "a.ogg").write_text("no audio")
    row, *_ = missing()
    assert row["track"] == "a"
    assert "not audio" in work(row)["error"]
    assert not list(Path(place).glob("*.flac"))  # what earlier vocals had got is not left for the new ones


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--samples", "good"], "NAME=FOLDER"),
        (["--samples", "good={folder}"], "choose a folder beside"),
        (["--samples", "good={folder}/sub", "--vocals", "{folder}"], "choose a folder beside"),
        (["--samples", "good=nowhere"], "none at"),
        (["--samples", "good=generate:samuel"], "--vocals"),
        (["--samples", "good=generate:nonsense", "--vocals", "vocals"], "musicgen-small"),
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        audio.write(folder / "a.wav", signals.band(1.0))
    code, output = evaluate(*(one.format(folder=tmp_path) for one in arguments), "--out", tmp_path)
    assert code == 2
    assert says in output


def test_a_proof_needs_two_songs(tmp_path: Path) -> None:
    from jobs.prove import app

    song = tmp_path / "songs" / "one"
    song.mkdir(parents=True)
    for stem in ("vocals", "band"):
        audio.write(song / f"{stem}.flac", signals.band(12.0))
    (song / "annotations.json").write_text(json.dumps({"beats": [], "chords": [], "key": "C major"}))
    code, output = run(app, "--songs", tmp_path / "songs", "--split", "all", "--out", tmp_path / "proof")
    assert code == 2
    assert "two rendered songs or more" in output
