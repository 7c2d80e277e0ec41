"""Nothing that is read is written over, by whatever names it goes."""

import os
from pathlib import Path

import pytest

from samuel.storage.overwriting import is_below, refuse_overwriting, refuse_within, same_place


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "mine.wav"
    path.parent.mkdir()
    path.write_bytes(b"sound")
    return path


def test_a_file_is_known_by_all_its_names(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mine.parent.parent
    (folder / "link.wav").symlink_to(mine)
    (folder / "linked").symlink_to(mine.parent)
    os.link(mine, folder / "hard.wav")
    monkeypatch.chdir(folder)
    names = ["link.wav", "linked/mine.wav", "hard.wav", "deep/../deep/mine.wav", f"file://{mine}"]
    for name in names:
        assert same_place(mine, name)
    (folder / "other.wav").write_bytes(b"sound")
    assert not same_place(mine, "other.wav")
    assert not same_place(mine, "deep/new.wav")
    (folder / "dangling").symlink_to(folder / "deep" / "new.wav")
    assert same_place("dangling", "deep/new.wav")  # neither is there


def test_on_s3_a_file_is_its_key() -> None:
    assert same_place("s3://bucket/a/b.wav", "s3a://bucket/a/b.wav")
    assert not same_place("s3://bucket/a/b.wav", "s3://bucket/a/B.wav")
    assert is_below("s3://bucket/a/b", "s3://bucket/a/")
    assert not is_below("s3://bucket/ab", "s3://bucket/a")
    assert not is_below("/bucket/a/b", "s3://bucket/a")


def test_what_is_read_or_written_is_written_over_by_nothing(mine: Path) -> None:
    read = {"the recording": [mine]}
    refuse_overwriting(read, {"the band": [mine.parent / "band.wav"], "the mix": [mine.parent / "mix.wav"]})
    with pytest.raises(ValueError, match=r"the band .* would be written over the recording"):
        refuse_overwriting(read, {"the band": [mine.parent / "band.wav", mine]})
    with pytest.raises(ValueError, match=r"the mix .* would be written over the band"):
        refuse_overwriting({}, {"the band": ["/new/band.wav"], "the mix": ["/new/../new/band.wav"]})


def test_nothing_is_written_into_a_folder_that_is_read(mine: Path) -> None:
    folder = mine.parent
    (folder.parent / "linked").symlink_to(folder)
    for out in (folder, folder / "new" / "deep", folder.parent / "linked" / "new"):
        with pytest.raises(ValueError, match="choose a folder beside"):
            refuse_within(out, {"the folder of songs": [folder]})
    refuse_within(folder.parent, {"the folder of songs": [folder]})
    refuse_within(folder.parent / "deeper", {"the folder of songs": [folder]})
