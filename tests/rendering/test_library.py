"""Scores in folders, archives and alone."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from samuel.rendering.library import collection_name, find_scores, score_name, unpack
from tests.rendering.scores import write_lead_sheet, write_midi


def names(folder: Path) -> list[str]:
    return sorted(score.path.relative_to(folder).as_posix() for score in find_scores(folder))


def test_alternative_versions_of_pop909_are_told_by_their_layout(tmp_path: Path) -> None:
    for name in ("001/001.mid", "001/versions/001-v1.mid", "versions/a.mid", "versions/b/versions/c.mid"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_midi(tmp_path / name)
    assert names(tmp_path) == ["001/001.mid", "versions/a.mid", "versions/b/versions/c.mid"]
    assert names(tmp_path / "001" / "versions") == ["001-v1.mid"]


def test_what_systems_put_beside_scores_is_left_out(tmp_path: Path) -> None:
    write_midi(tmp_path / "a.mid")
    for name in ("._a.mid", "__MACOSX/a.mid", "META-INF/container.xml", "folder.mid/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert names(tmp_path) == ["a.mid"]
    with pytest.raises(ValueError, match="found none"):
        find_scores(tmp_path / "folder.mid")


def test_a_single_score_is_one_song(tmp_path: Path) -> None:
    plain = write_lead_sheet(tmp_path / "waltz.musicxml")
    with zipfile.ZipFile(tmp_path / "waltz.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", '<container><rootfile full-path="score.xml"/></container>')
        archive.write(plain, "score.xml")
    for source in (plain, tmp_path / "waltz.mxl", write_midi(tmp_path / "march.mid")):
        unpacked = unpack(source, tmp_path / "unpacked")
        [score] = find_scores(unpacked, name=collection_name(source))
        assert score.path == source
        assert score.song_id.startswith(f"{source.stem}-{source.stem}-")


def write_tunes(tmp_path: Path, *names: str, inside: str) -> Path:
    """A folder of scores, and `tunes.tar.xz` beside it, in which they lie in `inside`."""
    folder = tmp_path / "tunes"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_midi(folder / name)
    with tarfile.open(tmp_path / "tunes.tar.xz", "w:xz") as archive:
        archive.add(folder, arcname=inside)
    return folder


def test_a_folder_and_its_archives_give_the_same_ids(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path, "a/Älteste Melodie.mid", "b.mid", inside=".")
    with zipfile.ZipFile(tmp_path / "tunes.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder))
    ids = [score.song_id for score in find_scores(folder)]
    assert sorted(one.rsplit("-", 1)[0] for one in ids) == ["tunes-alteste-melodie", "tunes-b"]
    for source in (tmp_path / "tunes.tar.xz", tmp_path / "tunes.zip"):
        unpacked = unpack(source, tmp_path / f"from-{source.name}")
        assert [score.song_id for score in find_scores(unpacked, name=collection_name(source))] == ids


def test_a_score_keeps_its_name_in_an_archive_of_its_folder(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path, "a/Melody.mid", "deadbeef.mid", inside="tunes")
    unpacked = unpack(tmp_path / "tunes.tar.xz", tmp_path / "unpacked")
    for source in (folder, unpacked):
        found = {score_name(score.song_id) for score in find_scores(source, name="tunes")}
        assert found == {"tunes-melody", "tunes-deadbeef"}


def test_archives_that_are_damaged_or_reach_outside_are_refused(tmp_path: Path) -> None:
    score = write_midi(tmp_path / "a.mid")
    with tarfile.open(tmp_path / "outside.tar", "w") as archive:
        archive.add(score, arcname="../a.mid")
    with tarfile.open(tmp_path / "whole.tar.xz", "w:xz") as archive:
        archive.add(score, arcname="a.mid")
    (tmp_path / "cut.tar.xz").write_bytes((tmp_path / "whole.tar.xz").read_bytes()[:-200])
    (tmp_path / "text.txt").write_text("no archive")
    for name, message in (("outside.tar", "cannot be unpacked"), ("cut.tar.xz", "cannot be unpacked|expected a folder"),
                          ("text.txt", "expected a folder"), ("absent.zip", "does not exist")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            unpack(tmp_path / name, tmp_path / "unpacked")
