"""Folders of tracks, aligned by name."""

from pathlib import Path

import pytest

from samuel import audio
from samuel.evaluation.samples import folder_version, missing_tracks, parse_systems, read_folder
from tests.evaluation import signals
from tests.s3 import S3Location


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_files_of_one_name_are_one_track_in_any_format(tmp_path: Path) -> None:
    ours = read_folder(
        "ours", str(fill(tmp_path / "ours", "verse/1.wav", "2.MP3", "notes.txt", ".hidden/3.wav"))
    )
    theirs = read_folder("theirs", str(fill(tmp_path / "theirs", "verse/1.flac", "3.ogg", "3.wav")))
    assert set(ours.samples) == {"verse/1", "2"}
    assert set(theirs.samples) == {"verse/1", "3"}
    assert "3.wav is left out" in theirs.warnings[0]
    lines = missing_tracks({"ours": ours, "theirs": theirs})
    assert lines == ["ours lacks 1 of 3 tracks: 3", "theirs lacks 1 of 3 tracks: 2"]


def test_a_changed_file_has_another_key(tmp_path: Path) -> None:
    fill(tmp_path, "1.wav")
    before = read_folder("ours", str(tmp_path)).samples["1"].key
    assert read_folder("others", str(tmp_path)).samples["1"].key == before
    (tmp_path / "1.wav").write_bytes(b"2.wav")  # as long as before
    assert read_folder("ours", str(tmp_path)).samples["1"].key != before


def test_links_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "there", "1.wav", "verse/2.wav")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "verse").symlink_to(tmp_path / "there" / "verse")
    (tmp_path / "here" / "1.wav").symlink_to(tmp_path / "there" / "1.wav")
    before = read_folder("ours", str(tmp_path / "here")).samples
    assert set(before) == {"1", "verse/2"}
    (tmp_path / "there" / "1.wav").write_bytes(b"2.wav")
    assert read_folder("ours", str(tmp_path / "here")).samples["1"].key != before["1"].key


def test_folders_may_lie_on_s3(tmp_path: Path, s3: S3Location) -> None:
    import s3fs

    audio.write(tmp_path / "1.flac", signals.band(2.0))
    s3fs.S3FileSystem().put(str(tmp_path / "1.flac"), f"{s3.url}/ours/a/1.flac")
    (sample,) = read_folder("ours", f"{s3.url}/ours").samples.values()
    assert (sample.track, sample.source) == ("a/1", f"{s3.url}/ours/a/1.flac")
    assert folder_version(f"{s3.url}/ours") == folder_version(f"{s3.url}/ours") != ""
    s3fs.S3FileSystem().pipe(f"{s3.url}/ours/a/1.flac", bytes((tmp_path / "1.flac").stat().st_size))
    (other,) = read_folder("ours", f"{s3.url}/ours").samples.values()
    assert other.key != sample.key


def test_wrong_folders_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is none at"):
        read_folder("ours", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="no audio files for 'ours'"):
        read_folder("ours", str(tmp_path))


def test_systems_are_named_once() -> None:
    assert parse_systems(["a=x", "b c=s3://d/e=f"]) == {"a": "x", "b c": "s3://d/e=f"}
    for wrong in (["a"], ["=x"], ["a="], ["a=x", "a=y"], ["a/b=x"]):
        with pytest.raises(ValueError, match=r"NAME=FOLDER|given twice"):
            parse_systems(wrong)
