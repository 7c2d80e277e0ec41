"""Tables and lists as programs and people write them: nothing is swallowed, nothing searched that is no title."""

from pathlib import Path

import pytest

from samuel.catalogue.songs import canonical_url, read_catalogue

SPOTIFY = "spotify:track:6rqhFgbbKwnb9MLmUQDhG6"


@pytest.mark.parametrize(
    ("name", "content", "searched"),
    [
        ("a byte order mark.csv", "\ufefftitle,artist\nÖne,A\n".encode(), ["A - Öne"]),
        ("a mark before sep=.csv", "\ufeffsep=;\ntitle;artist\nOne;A\n".encode(), ["A - One"]),
        ("UTF-16.csv", "title,artist\nÖne,A\n".encode("utf-16"), ["A - Öne"]),
        ("UTF-16 without a mark.tsv", "title\tartist\nÖne\tA\n".encode("utf-16-le"), ["A - Öne"]),
        ("old Macs.csv", b"title,artist\rOne,A\rTwo,B\r", ["A - One", "B - Two"]),
        ("blank lines first.csv", b"\n\ntitle,artist\nOne,A\n", ["A - One"]),
        ("a comment first.csv", b"# my songs\ntitle,artist\nOne,A\n", ["A - One"]),
        ("a column named #.csv", b"#,title,artist\n1,One,A\n", ["A - One"]),
        ("one name twice.csv", b"title,title,artist\nOne,Uno,A\n", ["A - One"]),
        ("the second knows.csv", b"title,artist,title,artist\n,,One,A\n", ["A - One"]),
        ("commas in the only column.csv", b"title\nOne,Two\nThree\n", ["One,Two", "Three"]),
        ("spaces before quotes.csv", b'title, artist\n"One", "A, B"\n', ["A, B - One"]),
        ("doubled quotes.csv", b'"title","artist"\n"One ""live""","A"\n', ['A - One "live"']),
        ("a break in a title.csv", b'title,artist\n"One\nTwo",A\nThree,B\n', ["A - One Two", "B - Three"]),
        ("a zero.csv", b"title,artist\nOn\0e,A\n", ["A - One"]),
        ("Excel's text.csv", b'title,artist\n="007",A\n', ["A - 007"]),
        ("Exportify.csv", f'"Track URI","Track Name","Artist Name(s)"\n"{SPOTIFY}","One","A"\n'.encode(), ["A - One"]),
        ("German.csv", "Künstler;Titel\nA;Eins\n".encode(), ["A - Eins"]),
        ("Spanish.csv", "Título,Artista\nUno,A\n".encode(), ["A - Uno"]),
        ("numbers that are titles.csv", b"title,artist\n1979,A\n7,B\nOne,C\n", ["A - 1979", "B - 7", "C - One"]),
        ("Markdown.txt", b"- A - One\n* B - Two\n", ["A - One", "B - Two"]),
        ("yt-dlp's searches.txt", b"ytsearch:A One\nytsearch5:B Two\n", ["A One", "B Two"]),
        ("cp1250.csv", "title,artist\nŁódź żółć,Ćma\nŚwięta noc,Łąka\n".encode("cp1250"),
         ["Ćma - Łódź żółć", "Łąka - Święta noc"]),
        ("a Mac's.csv", "title,artist\nCafé,Élan\n".encode("mac_roman"), ["Élan - Café"]),
        ("two writers.csv", b"title,artist\nCaf\xe9,A\nPl\xc3\xa4,B\n", ["A - Café", "B - Plä"]),
        ("UTF-8 twice.csv", "title,artist\nCafÃ©,BjÃ¶rk\n".encode(), ["Björk - Café"]),
        ("Excel's tab.csv", "sep=\t\ntitle\tartist\nOne\tA\n".encode("utf-16"), ["A - One"]),
        ("backslashes.csv", b'title,artist,id\n"Say \\"Hi\\", all",A,1\n"Two",B,2\n', ["A - Say \"Hi\", all", "B - Two"]),
        ("a quote over three lines.csv", b'title,artist\nOne,"A\nTwo,B\nThree,C"\n', ["A - One", "B - Two", "C - Three"]),
        ("inches.csv", b'title,artist\n12" mix,A\n7",B\n"Open,C\n', ['A - 12" mix', 'B - 7"', "C - Open"]),
        ("HTML.csv", b"title,artist\nOne &amp; Two,A &#39;B&#39;\n", ["A 'B' - One & Two"]),
        ("Spotify's.csv", b"artists,album_name,track_name\nA;B,X,One\n", ["A - One"]),
        ("history.csv", b"master_metadata_track_name,master_metadata_album_artist_name,ms\nOne,A,3\n", ["A - One"]),
        ("camels.csv", b"msPlayed,trackName,artistName\n3,One,A\n", ["A - One"]),
        ("Artist(s).csv", b"#,Title,Artist(s)\n1,One,A\n", ["A - One"]),
        ("Japanese.csv", "曲名,アーティスト\nOne,A\n".encode(), ["A - One"]),
        ("numbers and tracktitle.csv", b"artist,track,tracktitle\nA,1,One\nB,2,Two\n", ["A - One", "B - Two"]),
        ("dictionaries.csv", b'name,artists\nOne,"[{\'id\': 1, \'name\': \'A\'}, {\'name\': \'B\'}]"\n', ["A - One"]),
        ("tuples.csv", b'title,artist\nOne,"(\'A\', \'B\')"\nTwo,{\'B\'}\nThree,[]\n', ["A - One", "B - Two", "Three"]),
        ("nobody.csv", b"title,artist\nOne,None\nTwo,Unknown Artist\n-,A\n", ["One", "Two"]),
        ("shops.csv", b"title,artist,url\nOne,A,https://open.spotify.com/track/4sPmO7\n", ["A - One"]),
        ("cp1252.csv", "title,artist\nBésame,Núñez\n".encode("cp1252"), ["Núñez - Bésame"]),
    ],
)  # fmt: skip
def test_tables_and_lists(tmp_path: Path, name: str, content: bytes, searched: list[str]) -> None:
    (tmp_path / name).write_bytes(content)
    songs = read_catalogue(str(tmp_path / name)).songs
    assert [(song.kind, song.source) for song in songs] == [("query", words) for words in searched]


@pytest.mark.parametrize(
    "address",
    [
        "https://youtu.be/aaaaaaaaaaa?t=42",
        "HTTPS://YOUTU.BE/aaaaaaaaaaa",
        "https://music.youtube.com/watch?v=aaaaaaaaaaa&list=RDAMVM",
        "https://youtube.com/watch?list=PLxx&v=aaaaaaaaaaa&index=3&t=10s",
        "https://m.youtube.com/watch?app=desktop&v=aaaaaaaaaaa#t=1",
        "https://gaming.youtube.com/watch?v=aaaaaaaaaaa",
        "https://www.youtube.com/shorts/aaaaaaaaaaa?feature=share",
        "https://www.youtube.com/live/aaaaaaaaaaa",
        "https://www.youtube.com/embed/aaaaaaaaaaa?start=3",
        "https://www.youtube.com/e/aaaaaaaaaaa",
        "https://www.youtube.com/watch/aaaaaaaaaaa",
        "https://www.youtube-nocookie.com/embed/aaaaaaaaaaa",
        "https://www.youtube.com:443/watch?v=aaaaaaaaaaa",
        "https://www.youtube.com./watch/?v=aaaaaaaaaaa",
        "https://youtu.be/aaaaaaaaaaa&t=3",
        "https://www.youtube.com/watch?v=aaaaaaaaaaa&amp;list=x",
        "https://www.youtube.com/watch?v%3Daaaaaaaaaaa",
        "https://www.youtube.com/watch?v=aaaaaaaaaaa?si=x",
        "https://www.youtube.com/?v=aaaaaaaaaaa",
        "https://www.youtube.com/watch#!v=aaaaaaaaaaa",
        "https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3Daaaaaaaaaaa&gl=DE",
        "https://www.google.com/url?q=https://www.youtube.com/watch%3Fv%3Daaaaaaaaaaa&sa=D",
        "https://l.facebook.com/l.php?u=https%3A%2F%2Fyoutu.be%2Faaaaaaaaaaa",
        "https://www.youtube.com/attribution_link?u=%2Fwatch%3Fv%3Daaaaaaaaaaa%26feature%3Dshare",
    ],
)
def test_all_addresses_of_a_video_are_one(address: str) -> None:
    assert canonical_url(address) == "https://www.youtube.com/watch?v=aaaaaaaaaaa"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("beside a title.csv", b"title,artist,url\nOne,A,https://youtu.be/aaaaaaaaaaa\n"),
        ("as an identity.csv", b"video_id,title,artist\naaaaaaaaaaa,One,A\n"),
        ("of Excel.csv", b'title,artist\n"=HYPERLINK(""https://youtu.be/aaaaaaaaaaa"",""One"")",A\n'),
    ],
)
def test_an_address_beside_a_title_is_taken(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (song,) = read_catalogue(str(tmp_path / name)).songs
    assert song.source == "https://www.youtube.com/watch?v=aaaaaaaaaaa"
    assert (song.kind, song.title, song.artist) == ("url", "One", "A")


def test_several_addresses_in_a_line_and_files_by_address(tmp_path: Path) -> None:
    song = tmp_path / "a song.wav"
    song.write_bytes(b"RIFF")
    text = f"https://a.org/1.mp3,https://b.org/2.mp3\n//youtu.be/aaaaaaaaaaa\n{song.as_uri()}\n"
    (tmp_path / "list.txt").write_text(text)
    songs = read_catalogue(str(tmp_path / "list.txt")).songs
    video = "https://www.youtube.com/watch?v=aaaaaaaaaaa"
    assert [one.source for one in songs] == ["https://a.org/1.mp3", "https://b.org/2.mp3", video, str(song)]


@pytest.mark.parametrize(
    ("content", "what"), [(b"PK\x03\x04\0\0", "an Excel or ZIP file"), (b"%PDF-1.7", "a PDF")]
)
def test_what_is_no_text_says_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "songs.csv").write_bytes(content)
    with pytest.raises(ValueError, match=f"is {what}, not text; save it as CSV"):
        read_catalogue(str(tmp_path / "songs.csv"))


def test_lines_of_another_encoding_and_a_title_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "songs.csv").write_bytes(b"title,artist\nPl\xc3\xa4,A\nCaf\xe9,B\nNone,C\n")
    encoding, none = read_catalogue(str(tmp_path / "songs.csv")).warnings
    assert "not UTF-8" in encoding
    assert "(lines 3)" in encoding
    assert "(lines 4)" in none


def test_an_address_by_itself_needs_no_scheme_and_a_broken_one_is_named() -> None:
    assert read_catalogue("youtu.be/aaaaaaaaaaa").songs[0].source.endswith("watch?v=aaaaaaaaaaa")
    with pytest.raises(ValueError, match=r"got 'http://\[::1/x.mp3'"):
        read_catalogue("http://[::1/x.mp3")
