"""samuel.catalogue.songs and samuel.catalogue.titles: ids that mean the same song everywhere, and every form of catalogue."""

import os
import re
import shutil
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel import storage
from samuel.catalogue import songs, titles
from samuel.stems.reading import read_stems, stems_at
from tests.s3 import S3Location

LETTERS = st.text(st.characters(categories=["L", "N"]), min_size=1)
VISIBLE = st.text(min_size=1).filter(lambda text: any(c.isalnum() for c in text))

# Titles


@pytest.mark.parametrize(
    "spelling",
    [
        "Don't Stop",
        "DON’T STOP",
        " dont   stop!! ",
        "Don´t Stop (Official Video)",
        "Don't Stop [Official Music Video] [HD]",
        "Don't Stop (feat. Somebody)",
        "Don't Stop feat. Somebody Else",
        "Don't Stop - Remastered 2011",
        "Don't Stop - 2004 Digital Remaster",
        "Ｄｏｎ＇ｔ　Ｓｔｏｐ",
    ],
)
def test_spellings_of_one_title(spelling: str) -> None:
    assert titles.normalised(spelling) == "dont stop"
    assert songs.query_song(spelling).song_id == songs.query_song("Don't Stop").song_id


@pytest.mark.parametrize(
    "other",
    [
        "Don't Stop (Live)",
        "Don't Stop - Acoustic",
        "Don't Stop (X Remix)",
        "Don't",
        "Don't Stop 2",
        "Don't Stop ❤",
    ],
)
def test_other_recordings_stay_apart(other: str) -> None:
    assert songs.query_song(other).song_id != songs.query_song("Don't Stop").song_id


def test_titles_that_look_like_noise_survive() -> None:
    kept = ["Video", "Audio", "Lyrics", "(Official Video)", "Remastered", "feat. X", "6 Ft 7 Ft", "HD", "4K"]
    kept += [
        "日本語",
        "العربية",
        "हिन्दी",
        "ไทย",
        "ქართული",
        "!!!",
        "???",
        "...",
        "+",
        "÷",
        "❤️",
        "👨‍👩‍👧",
        "🎵🎵",
    ]
    keys = [titles.normalised(title) for title in kept]
    assert all(keys)
    assert len(set(keys)) == len(kept)


@given(VISIBLE)
def test_every_visible_title_has_a_key(title: str) -> None:
    assert titles.normalised(title)


@given(LETTERS)
def test_case_composition_spaces_and_punctuation_do_not_matter(title: str) -> None:
    key = titles.normalised(title)
    assert titles.normalised(f"  {title}. ") == key
    assert titles.normalised(unicodedata.normalize("NFD", title)) == key
    assert titles.normalised(title.casefold()) == key


@given(
    st.text(string.ascii_lowercase + string.digits + "日本語عربي", min_size=1),
    st.text(string.ascii_lowercase, min_size=1),
)
def test_different_letters_are_different_songs(title: str, more: str) -> None:
    assert songs.query_song(title).song_id != songs.query_song(title + more).song_id
    assert songs.query_song(title, more).song_id != songs.query_song(title).song_id


def test_artist_and_title_taken_apart() -> None:
    assert titles.artist_and_title("Queen – Bohemian Rhapsody") == ("Queen", "Bohemian Rhapsody")
    assert titles.artist_and_title("A - B - Live") == ("A", "B - Live")
    assert titles.artist_and_title("Song - Official Video") == ("", "Song - Official Video")
    assert titles.artist_and_title("Anti-Hero") == ("", "Anti-Hero")
    names = {"01 - Title": ("", "Title"), "07. Artist - Title": ("Artist", "Title"), "1999": ("", "1999")}
    names |= {"Artist_-_A_Title": ("Artist", "A Title"), "311 - Amber": ("311", "Amber")}
    names |= {"50 Cent - In da Club": ("50 Cent", "In da Club"), "宇多田ヒカル - 光": ("宇多田ヒカル", "光")}
    assert {name: titles.from_file_name(name) for name in names} == names


# Ids and splits


@given(st.text())
def test_ids_are_16_hex_digits_for_ever(title: str) -> None:
    assert re.fullmatch("[0-9a-f]{16}", songs.query_song(title).song_id)


def test_ids_and_splits_never_change() -> None:
    """A changed id would make every POPDB build start again: these were written down on the first day."""
    assert songs.query_song("Bohemian Rhapsody", "Queen").song_id == "6b7630029fca2f05"
    assert songs.url_song("https://youtu.be/dQw4w9WgXcQ").song_id == "7b1fc78160d1eda4"
    assert [songs.split_of(f"{n:016x}") for n in range(12)] == [
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
        "test",
        "train",
        "train",
        "train",
        "train",
        "train",
    ]


def test_the_split_is_80_10_10() -> None:
    sides = [songs.query_song(f"song {n}").split for n in range(5000)]
    shares = {side: sides.count(side) / 5000 for side in ("train", "validation", "test")}
    assert shares["train"] == pytest.approx(0.8, abs=0.02)
    assert shares["validation"] == pytest.approx(0.1, abs=0.015)
    assert shares["test"] == pytest.approx(0.1, abs=0.015)


def test_one_id_for_every_address_of_a_video() -> None:
    forms = ["https://youtu.be/dQw4w9WgXcQ?si=x", "http://m.youtube.com/watch?list=PL1&v=dQw4w9WgXcQ&t=5"]
    forms += ["https://music.youtube.com/watch?v=dQw4w9WgXcQ", "https://www.youtube.com/shorts/dQw4w9WgXcQ"]
    found = {songs.url_song(form) for form in forms}
    assert {song.source for song in found} == {"https://www.youtube.com/watch?v=dQw4w9WgXcQ"}
    assert len(found) == 1
    assert songs.url_song("https://youtu.be/dQw4w9WgXcR").song_id not in {song.song_id for song in found}


def test_addresses() -> None:
    one = songs.url_song("https://Host.example/Artist%20-%20Title.mp3?utm_source=x&key=1#t=3")
    assert one.source == "https://host.example/Artist%20-%20Title.mp3?key=1"
    assert (one.artist, one.title, one.kind) == ("Artist", "Title", "url")
    assert one.song_id == songs.url_song("http://host.example:80/Artist%20-%20Title.mp3?key=1").song_id
    assert one.song_id != songs.url_song("https://host.example/Artist%20-%20Title.mp3?key=2").song_id
    assert one.song_id != songs.url_song("https://host.example/artist%20-%20Title.mp3?key=1").song_id
    assert songs.read_catalogue("https://youtu.be/dQw4w9WgXcQ").songs == (
        songs.url_song("https://youtu.be/dQw4w9WgXcQ"),
    )


# Tables and lists


def _table(tmp_path: Path, text: str, encoding: str = "utf-8", name: str = "songs.csv") -> songs.Catalogue:
    (tmp_path / name).write_bytes(text.encode(encoding))
    return songs.read_catalogue(str(tmp_path / name))


def test_the_kaggle_table(tmp_path: Path) -> None:
    lines = ["song_name,song_popularity,song_duration_ms", "Boulevard of Broken Dreams,73,262333"]
    lines += [
        "In The End,66,216933",
        '"In the End",66,216933',
        '"Hello, Goodbye",74,231733',
        ",3,4",
        "IN THE END,1,1",
    ]
    catalogue = _table(tmp_path, "\r\n".join(lines))
    assert [song.title for song in catalogue.songs] == [
        "Boulevard of Broken Dreams",
        "In The End",
        "Hello, Goodbye",
    ]
    assert catalogue.duplicates == 2
    assert all(song.kind == "query" and song.source == song.title for song in catalogue.songs)
    assert "1 line of" in catalogue.warnings[0]
    assert "lines 6" in catalogue.warnings[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_separators_and_artists(tmp_path: Path, encoding: str) -> None:
    lines = [
        "Popularity;Artist(s) Name;Track-Name",
        "1;Édith Piaf;La vie en rose",
        "2;Beyoncé;Déjà Vu",
        "3;Björk;Jóga",
    ]
    lines += ["4;Sigur Rós;Sæglópur", "5;Mylène Farmer;Désenchantée", "6;Die Ärzte;Männer sind Schweine"]
    catalogue = _table(tmp_path, "\n".join(lines), encoding)
    assert [(song.artist, song.title) for song in catalogue.songs][:3] == [
        ("Édith Piaf", "La vie en rose"),
        ("Beyoncé", "Déjà Vu"),
        ("Björk", "Jóga"),
    ]
    assert catalogue.songs[0].source == "Édith Piaf - La vie en rose"
    assert bool(catalogue.warnings) == (encoding == "cp1252")  # a guess is told


def test_one_title_by_two_artists_is_two_songs(tmp_path: Path) -> None:
    text = "title,artist\nHello,Adele\nHello,Lionel Richie\nHello,ADELE feat. X\nHello,\n"
    assert [song.artist for song in _table(tmp_path, text).songs] == ["Adele", "Lionel Richie", ""]


def test_a_table_without_titles_names_its_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"song_name.*found the columns \['danceability', 'key'\]"):
        _table(tmp_path, "danceability,key\n0.5,3\n")
    with pytest.raises(ValueError, match="no songs in"):
        _table(tmp_path, "song_name\n")
    with pytest.raises(ValueError, match="found the columns"):
        _table(tmp_path, "")
    with pytest.raises(ValueError, match=r"line 2 of .* is no CSV"):
        _table(tmp_path, 'song_name\n"' + "x" * 200_000)


def test_a_list_agrees_with_a_table(tmp_path: Path) -> None:
    text = "\ufeff# my songs\n\nQueen - Bohemian Rhapsody\nhttps://youtu.be/dQw4w9WgXcQ\n夜に駆ける\n"
    text += "queen – bohemian rhapsody (Remastered)\nhttps://www.youtube.com/watch?v=dQw4w9WgXcQ\n"
    catalogue = _table(tmp_path, text, name="songs.txt")
    assert [song.kind for song in catalogue.songs] == ["query", "url", "query"]
    assert catalogue.duplicates == 2
    table = _table(tmp_path, "artist,title\nQueen,Bohemian Rhapsody\n")
    assert table.songs[0] == catalogue.songs[0]


def test_lists_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 2 of .*s3://bucket/x"):
        _table(tmp_path, "A song\ns3://bucket/x\n", name="songs.txt")
    with pytest.raises(ValueError, match="no songs in"):
        _table(tmp_path, "# nothing\n", name="songs.txt")
    with pytest.raises(ValueError, match="cannot tell what"):
        _table(tmp_path, "x", name="songs.pdf")
    with pytest.raises(ValueError, match="nothing is there"):
        songs.read_catalogue(str(tmp_path / "missing.csv"))


# Folders


def _fill(root: str, files: dict[str, int]) -> None:
    for name, size in files.items():
        storage.write_atomic(storage.join(root, name), bytes(size))


MUSIC = {
    "Queen - Bohemian Rhapsody.mp3": 5,
    "deep/er/01 - 光.flac": 6,
    "deep/cover.jpg": 9,
    "empty.OGG": 0,
    "odd::name #1?.webm": 7,
    "stems/Song A/vocals.wav": 3,
    "stems/Song A/drums.wav": 3,
    "stems/Song A/bass.wav": 4,
    "stems/Song B/Vocals.flac": 3,
    "._hidden.mp3": 4,
}


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "music")
    s3: S3Location = request.getfixturevalue("s3")
    return s3.url + "/music"


def test_a_folder_of_files_and_stems(folder: str) -> None:
    _fill(folder, MUSIC)
    catalogue = songs.read_catalogue(folder)
    found = {song.source.removeprefix(folder): song for song in catalogue.songs}
    assert {path: song.kind for path, song in found.items()} == {
        "/Queen - Bohemian Rhapsody.mp3": "audio",
        "/deep/er/01 - 光.flac": "audio",
        "/empty.OGG": "audio",  # listed, so that it fails where the user sees it
        "/odd::name #1?.webm": "audio",
        "/stems/Song A": "stems",
        "/stems/Song B": "stems",  # likewise: it has no accompaniment
    }
    assert (found["/Queen - Bohemian Rhapsody.mp3"].artist, found["/deep/er/01 - 光.flac"].title) == (
        "Queen",
        "光",
    )
    assert storage.read_bytes(found["/odd::name #1?.webm"].source) == bytes(7)
    assert any("1 hidden audio files" in warning for warning in catalogue.warnings)
    stems = stems_at(found["/stems/Song A"].source)
    assert stems.voices == (folder + "/stems/Song A/vocals.wav",)
    assert stems.accompaniment == (folder + "/stems/Song A/bass.wav", folder + "/stems/Song A/drums.wav")
    with pytest.raises(ValueError, match="at least one other audio file"):
        read_stems(found["/stems/Song B"].source)


def test_ids_stay_when_a_folder_moves_to_s3_and_change_with_the_content(
    tmp_path: Path, s3: S3Location
) -> None:
    _fill(str(tmp_path / "a"), MUSIC)
    _fill(s3.url, MUSIC)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    here, moved, there = (
        {song.song_id for song in songs.read_catalogue(str(place)).songs}
        for place in [tmp_path / "a", tmp_path / "b", s3.url + "/"]
    )
    assert here == moved == there
    assert len(here) == 6
    _fill(str(tmp_path / "a"), {"empty.OGG": 1, "stems/Song A/bass.wav": 5, "new.mp3": 1})
    changed = {song.song_id for song in songs.read_catalogue(str(tmp_path / "a")).songs}
    assert len(here & changed) == 4
    assert len(changed) == 7


def test_one_file_and_one_stems_folder(tmp_path: Path) -> None:
    _fill(str(tmp_path), MUSIC)
    one = songs.read_catalogue(str(tmp_path / "Queen - Bohemian Rhapsody.mp3")).songs
    assert one[0] in songs.read_catalogue(str(tmp_path)).songs
    stems = songs.read_catalogue(str(tmp_path / "stems" / "Song A")).songs
    assert [(song.kind, song.title, song.source) for song in stems] == [
        ("stems", "Song A", str(tmp_path / "stems" / "Song A"))
    ]


def test_stems_beside_their_mixture(tmp_path: Path) -> None:
    """MUSDB18 puts the mixture beside the stems; Demucs with two stems writes no_vocals."""
    _fill(
        str(tmp_path),
        {"a/vocals.wav": 1, "a/mixture.wav": 1, "a/bass.wav": 1, "a/other.wav": 1, "a/notes.txt": 1},
    )
    _fill(str(tmp_path), {"b/vocals.wav": 1, "b/no_vocals.wav": 1, "b/bass.wav": 1})
    assert stems_at(str(tmp_path / "a")).accompaniment == (
        str(tmp_path / "a/bass.wav"),
        str(tmp_path / "a/other.wav"),
    )
    assert stems_at(str(tmp_path / "b")).accompaniment == (str(tmp_path / "b/no_vocals.wav"),)


def test_folders_without_audio_and_missing_ones(folder: str) -> None:
    _fill(folder, {"a/cover.jpg": 3, "notes": 1})
    with pytest.raises(ValueError, match=r"no audio files in .*found \['jpg', 'no extension'\]"):
        songs.read_catalogue(folder)
    with pytest.raises(ValueError, match="nothing is there"):
        songs.read_catalogue(folder + "/b")


def test_an_unreadable_subfolder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(str(tmp_path), {"a.mp3": 1, "locked/b.mp3": 1})
    listing = storage.Listing((storage.StoredFile("a.mp3", 1),), (str(tmp_path / "locked"),))
    monkeypatch.setattr(storage, "list_files", lambda _: listing)  # root can open every folder
    catalogue = songs.read_catalogue(str(tmp_path))
    assert len(catalogue.songs) == 1
    assert re.search("cannot open .*locked", catalogue.warnings[0])


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.mp3"), "wb"):
        pass
    catalogue = songs.read_catalogue(str(tmp_path))
    assert catalogue.songs[0].title == "caf\\xe9"
    catalogue.songs[0].source.encode()  # any table can hold it
    assert "not UTF-8" in catalogue.warnings[0]


def test_the_demo_songs_fall_into_all_three_splits() -> None:
    """So that what is built of them can be trained on as it is."""
    demo = songs.read_catalogue(str(songs.DEMO_SONGS)).songs
    assert {song.split for song in demo} == {"train", "validation", "test"}
    assert all(song.title for song in demo)
