"""The job as a user runs it: one recording, a folder, S3, a kill on the way."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from samuel import audio
from samuel.arranging import STEMS
from samuel.audio.loudness import LOOK_AHEAD, loudness, true_peak
from samuel.config import SAMPLE_RATE
from tests.generation.generators import write_checkpoint
from tests.jobs.songs import song_audio, write_song
from tests.s3 import S3Location

SCRIPT = Path(__file__).parents[2] / "jobs" / "generate.py"


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output of the job, in this process."""
    from jobs.generate import app

    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "300"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def failures(out: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    return {Path(row["vocals"]).name: row["error"] for row in rows}


def test_a_recording_becomes_bands_and_mixes_without_ray(tmp_path: Path, checkpoint: Path) -> None:
    audio.write(tmp_path / "vocals.ogg", song_audio(3.0, 1))
    command = [SCRIPT, tmp_path / "vocals.ogg", "-o", tmp_path / "deep" / "band.flac", "--variations", "2"]
    command += ["--mix", tmp_path / "mix.wav", "--checkpoint", checkpoint, "--quality", "draft"]
    code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    guard = "import sys; sys.modules['ray'] = None; "  # an import of Ray would fail
    root = SCRIPT.parents[1]
    done = subprocess.run(
        [sys.executable, "-c", guard + code, *map(str, command)], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stdout + done.stderr
    bands = [audio.decode(tmp_path / "deep" / name) for name in ("band.flac", "band-2.flac")]
    assert all(band.shape == (2, 3 * SAMPLE_RATE) for band in bands)
    assert (bands[0] - bands[1]).abs().max() > 0.01
    for name in ("mix.wav", "mix-2.wav"):
        mixed = audio.decode(tmp_path / name)
        assert loudness(mixed) == pytest.approx(-14, abs=1)
        assert true_peak(mixed) < -0.9


def test_the_same_command_gives_the_same_band_and_a_region_changes_alone(
    tmp_path: Path, checkpoint: Path
) -> None:
    audio.write(tmp_path / "vocals.wav", song_audio(4.0, 1))
    given = (tmp_path / "vocals.wav", "--checkpoint", checkpoint, "--quality", "draft")
    for name in ("one.wav", "two.wav"):
        assert run(*given, "-o", tmp_path / name)[0] == 0
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()
    assert run(*given, "-o", tmp_path / "other.wav", "--steps", 8)[0] == 0
    assert (tmp_path / "other.wav").read_bytes() != (tmp_path / "one.wav").read_bytes()
    code, output = run(
        *given, "-o", tmp_path / "new.wav", "--keep", tmp_path / "one.wav", "--region", "1:2", "--seed", 5
    )
    assert code == 0, output
    old, new = (audio.decode(tmp_path / name) for name in ("one.wav", "new.wav"))
    changed = (old != new).any(0).nonzero().flatten() / SAMPLE_RATE
    limited = 2 * LOOK_AHEAD / SAMPLE_RATE  # around a new peak over full scale
    assert 0.95 - limited <= changed.min() < 1.01
    assert 1.99 < changed.max() <= 2.05 + limited


def test_the_voice_is_taken_out_of_a_mix(tmp_path: Path, checkpoint: Path) -> None:
    """The mix with a band that was made from a mix has less of that mix's own accompaniment than it had."""
    voice = audio.decode(SCRIPT.parents[1] / "samuel" / "studio" / "example.ogg")[:, : 4 * SAMPLE_RATE]
    time = torch.arange(voice.shape[1]) / SAMPLE_RATE
    drone = 0.1 * torch.sin(2 * torch.pi * 82.4 * time).expand(2, -1)
    audio.write(tmp_path / "song.wav", voice + drone)
    files = ("-o", tmp_path / "band.wav", "--mix", tmp_path / "mix.wav")
    code, output = run(tmp_path / "song.wav", *files, "--separate", "--checkpoint", checkpoint)
    assert code == 0, output
    band, mixed = audio.decode(tmp_path / "band.wav"), audio.decode(tmp_path / "mix.wav")
    design = torch.stack([voice.flatten(), drone.flatten(), band.flatten()], dim=1).double()
    shares = torch.linalg.solve(design.T @ design, design.T @ mixed.flatten().double())
    assert shares[0] > 0.1
    assert shares[1].abs() < 0.5 * shares[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.wav"], "nothing is there"),
        ([], "expected one recording"),
        (["{folder}/vocals.wav", "-o", "band.xyz"], "ends in .wav"),
        (["{folder}/vocals.wav", "--quality", "superb"], "draft, standard, best"),
        (["{folder}/vocals.wav", "--region", "1-2"], "FROM:TO"),
        (["{folder}/vocals.wav", "--region", "1:2"], "to --keep"),
        (["{folder}/vocals.wav", "--keep", "{folder}/old.wav", "--region", "2:1"], "FROM:TO"),
        (["{folder}/vocals.wav", "--keep", "{folder}/nowhere.wav", "--region", "1:2"], "no file is there"),
        (["{folder}/vocals.wav", "--loudness", "3"], "loudness from -60 to -5"),
        (["{folder}/vocals.wav", "--balance", "nan"], "balance from -60 to 60"),
        (["{folder}/vocals.wav", "-o", "{folder}/vocals.wav"], "written over the recording"),
        (["{folder}/vocals.wav", "-o", "{folder}/link.wav"], "written over the recording"),
        (
            ["{folder}/vocals.wav", "-o", "{folder}/b.wav", "--mix", "{folder}/vocals.wav"],
            "over the recording",
        ),
        (
            ["{folder}/vocals.wav", "-o", "{folder}/b.wav", "--mix", "{folder}/b.wav"],
            "over the accompaniment",
        ),
        (["{folder}/vocals.wav", "-o", "{folder}/old.wav", "--keep", "{folder}/old.wav"], "to keep"),
        (["{folder}/vocals.wav", "-o", "{folder}/folder.wav"], "is a folder"),
        (["{folder}", "-o", "{folder}"], "choose a folder beside"),
        (["{folder}", "-o", "{folder}/bands"], "choose a folder beside"),
        (["{folder}", "-o", "{folder}-bands", "--mix", "{folder}/mixes"], "choose a folder beside"),
        (["{folder}", "-o", "{folder}-bands", "--mix", "{folder}-bands"], "over the accompaniment"),
        (["{folder}", "-o", "{folder}-bands", "--format", "xyz"], "--format wav"),
        (["{folder}/vocals.wav", "--device", "tpu"], "auto, cpu or cuda"),
        (["{folder}/vocals.wav", "--part-levels", "kazoo=-3"], "expected levels of drums"),
        (["{folder}/vocals.wav", "--part-levels", "drums"], "such as drums=-3,bass=+2"),
        (["{folder}/vocals.wav", "--part-levels", "drums=1", "--no-lead-sheet"], "leaves nothing to lock"),
        (["{folder}/vocals.wav", "--checkpoint", "nowhere"], "no checkpoint"),
        (["{folder}/silent.wav", "-o", "{folder}/band.wav"], "silent"),
        (["{folder}/text.wav", "-o", "{folder}/band.wav"], "not audio"),
        (["{folder}/vocals.wav", "--max-minutes", "0.01"], "too long"),
        (["{folder}/vocals.wav", "--stems-by-part"], "give --stems"),
        (["{folder}/vocals.wav", "--soundfont", "{folder}/text.wav"], "expected a SoundFont"),
        (["{folder}", "-o", "{folder}-bands", "--soundfont", "{folder}/none.sf2"], "expected a SoundFont"),
        (["{folder}"], "expected --out"),
        (["{folder}/empty", "-o", "{folder}/out"], "no audio files"),
    ],
)
def test_wrong_arguments_are_one_clear_line(
    tmp_path: Path, checkpoint: Path, arguments: list[str], says: str
) -> None:
    audio.write(tmp_path / "vocals.wav", song_audio(1.0, 1))
    audio.write(tmp_path / "silent.wav", torch.zeros(2, SAMPLE_RATE))
    (tmp_path / "text.wav").write_text("no audio at all, but a text that goes on for a while" * 99)
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.wav").mkdir()
    audio.write(tmp_path / "old.wav", song_audio(1.0, 2))
    (tmp_path / "link.wav").symlink_to(tmp_path / "vocals.wav")
    given = [one.format(folder=tmp_path) for one in arguments]
    if "--checkpoint" not in given:
        given += ["--checkpoint", str(checkpoint)]
    before = (tmp_path / "vocals.wav").read_bytes()
    code, output = run(*given)
    assert code == 2
    assert says in output
    assert (tmp_path / "vocals.wav").read_bytes() == before


@pytest.mark.parametrize(
    "wrong",
    [
        ["-o", "band.xyz"],
        ["-o", "noext"],
        ["--balance", "100"],
        ["--region", "1-2"],
        ["--steps", "0"],
        ["--device", "tpu"],
    ],
)
def test_arguments_are_judged_before_anything_is_loaded(tmp_path: Path, wrong: list[str]) -> None:
    """A checkpoint that is not there would be told first."""
    audio.write(tmp_path / "vocals.wav", song_audio(1.0, 1))
    code, output = run(tmp_path / "vocals.wav", "--checkpoint", tmp_path / "nowhere", *wrong)
    assert code == 2
    assert "no checkpoint" not in output


def test_levels_of_a_mix_that_is_not_made_are_told(tmp_path: Path, checkpoint: Path) -> None:
    audio.write(tmp_path / "vocals.wav", song_audio(1.0, 1))
    given = (tmp_path / "vocals.wav", "--checkpoint", checkpoint, "--quality", "draft")
    code, output = run(*given, "-o", tmp_path / "band.wav", "--loudness", -20)
    assert code == 0, output
    assert "without --mix they change nothing" in output


def test_a_folder_is_made_once_and_bad_recordings_are_rows(
    local_ray: None, tmp_path: Path, checkpoint: Path
) -> None:
    vocals, out = tmp_path / "vocals", tmp_path / "out"
    write_song(vocals / "one.wav", 1.0, seed=1)
    write_song(vocals / "deep" / "歌.ogg", 2.0, seed=2)
    write_song(vocals / "deep" / "歌.wav", 1.0, seed=3)
    audio.write(vocals / "silent.flac", torch.zeros(2, SAMPLE_RATE))
    (vocals / "text.mp3").write_text("no audio" * 99)
    given = ("--vocals", vocals, "--out", out, "--mix", tmp_path / "mixes", "--checkpoint", checkpoint)
    given += ("--format", "ogg", "--quality", "draft")
    code, output = run(*given)
    assert code == 0, output
    assert {str(file.relative_to(out)) for file in out.rglob("*.ogg")} == {"one.ogg", "deep/歌.ogg"}
    assert {file.name for file in (tmp_path / "mixes").rglob("*.ogg")} == {"one.ogg", "歌.ogg"}
    assert audio.decode(out / "deep" / "歌.ogg").shape == (2, 2 * SAMPLE_RATE)
    reasons = failures(out)
    assert set(reasons) == {"歌.wav", "silent.flac", "text.mp3"}
    assert "same file" in reasons["歌.wav"]
    assert "silent" in reasons["silent.flac"]
    assert "not audio" in reasons["text.mp3"]
    assert "Machines while this ran: " in output
    assert len(list((out / "costs").iterdir())) == 1

    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.ogg")}
    write_song(vocals / "silent.flac", 1.0, seed=4)  # mended
    code, output = run(*given)
    assert code == 0, output
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert (out / "silent.ogg").exists()
    assert set(failures(out)) == {"歌.wav", "text.mp3"}

    code, output = run(*given, "--seed", 9)
    assert code == 2
    assert "other settings" in output
    assert "seed" in output
    moved = shutil.copytree(checkpoint, tmp_path / "moved")
    assert run(*given, "--checkpoint", moved)[0] == 0  # the same weights
    save_file(
        {name: 2 * one for name, one in load_file(moved / "ema.safetensors").items()},
        moved / "ema.safetensors",
    )
    code, output = run(*given, "--checkpoint", moved)
    assert code == 2
    assert "weights" in output


def test_a_folder_of_recordings_gets_midi_files_and_stems(local_ray: None, tmp_path: Path) -> None:
    vocals, out = tmp_path / "vocals", tmp_path / "out"
    write_song(vocals / "one.wav", 2.0, seed=1)
    write_song(vocals / "deep" / "two.ogg", 3.0, seed=2)
    given = ("--vocals", vocals, "--out", out, "--strength", 0, "--bpm", 120, "--chords", "| Am |")
    more = ("--midi", tmp_path / "midi", "--stems", tmp_path / "stems")

    def files(folder: str) -> set[str]:
        root = tmp_path / folder
        return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}

    assert run(*given)[0] == 0
    code, output = run(*given, *more)  # what was made before had none
    assert code == 0, output
    assert files("midi") == {"one.mid", "deep/two.mid"}
    assert files("stems") == {f"{song}/{s}.flac" for song in ("one", "deep/two") for s in STEMS}
    assert "2 of them done before" in run(*given, *more)[1]
    (tmp_path / "midi" / "one.mid").unlink()
    assert "1 of them done before" in run(*given, *more)[1]
    code, output = run(*given, *more, "--stems-by-part")
    assert code == 0, output
    for song in ("one", "deep/two"):
        band = audio.decode(out / f"{song}.flac")
        players = [audio.decode(file) for file in (tmp_path / "stems" / song).iterdir()]
        assert "chords.flac" in {file.name for file in (tmp_path / "stems" / song).iterdir()}
        assert (sum(players) - band).square().mean() < 1e-6 * band.square().mean()
    code, output = run(*given, "--midi", vocals)
    assert code == 2
    assert "--midi" in output
    assert "lies in it" in output


@pytest.mark.drill
def test_recordings_and_bands_may_lie_on_s3(
    local_ray: None, tmp_path: Path, checkpoint: Path, s3: S3Location
) -> None:
    import s3fs

    write_song(tmp_path / "one.ogg", 1.0, seed=1)
    files = s3fs.S3FileSystem()
    files.put(str(tmp_path / "one.ogg"), f"{s3.url}/vocals/deep/one.ogg")
    command = ["--vocals", f"{s3.url}/vocals", "--out", f"{s3.url}/bands", "--checkpoint", str(checkpoint)]
    environment = [f"{name}={value}" for name, value in s3.server.environment.items()]
    done = subprocess.run(
        ["env", *environment, sys.executable, SCRIPT, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert files.exists(f"{s3.url}/bands/deep/one.flac")


@pytest.mark.drill
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, checkpoint: Path) -> None:
    vocals, out = tmp_path / "vocals", tmp_path / "out"
    for number in range(6):
        write_song(vocals / f"{number}.wav", 15.0, seed=number)
    command = [sys.executable, str(SCRIPT), "--vocals", str(vocals), "--out", str(out), "--workers", "1"]
    command += ["--checkpoint", str(checkpoint), "--quality", "best"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(out.glob("*.flac")) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(3)  # its workers notice
    done = {file: file.read_bytes() for file in out.glob("*.flac")}
    assert 1 <= len(done) < 6
    subprocess.run(command, check=True, capture_output=True)
    assert len(list(out.glob("*.flac"))) == 6
    assert {file: file.read_bytes() for file in done} == done
    assert all(audio.decode(file).shape == (2, 15 * SAMPLE_RATE) for file in out.glob("*.flac"))
    assert [file.name for file in out.glob(".*")] == [".made"]  # the settings; nothing half written
