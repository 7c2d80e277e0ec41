"""Recordings and catalogues bent at random: what is there, or one sentence, in time. All of it: pytest -m fuzz

A small sample runs with the other tests. `SEEDS` are inputs that went wrong once.
"""

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from samuel.audio import decode, missing_part, probe
from samuel.catalogue import tables
from samuel.catalogue.songs import read_catalogue
from samuel.stems.layouts import find_stems

SAMPLE = 25
DEADLINE_MILLISECONDS = 10_000
LONGEST_SECONDS = 60.0
COUNTS = [pytest.param(SAMPLE, id="sample"), pytest.param(1500, id="all", marks=pytest.mark.fuzz)]
MANY = [pytest.param(SAMPLE, id="sample"), pytest.param(3000, id="all", marks=pytest.mark.fuzz)]
CONTAINERS = {
    "wav": "pcm_s16le",
    "flac": "flac",
    "mp3": "libmp3lame",
    "ogg": "vorbis",
    "opus": "libopus",
    "m4a": "aac",
    "webm": "libopus",
    "aiff": "pcm_s16be",
    "w64": "pcm_s16le",
    "caf": "pcm_s16le",
    "wv": "wavpack",
    "aac": "aac",
    "ac3": "ac3",
}
FORMATS = {"m4a": "ipod", "aac": "adts"}

Bend = tuple[str, float, bytes]


def in_time(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(
        max_examples=count,
        deadline=DEADLINE_MILLISECONDS,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def recording(kind: str) -> bytes:
    """A second of noise in a container."""
    noise = np.random.default_rng(0).integers(-9000, 9000, (1, 2 * 48_000), dtype=np.int16)
    file = io.BytesIO()
    if kind == "ogg":  # Vorbis
        soundfile.write(file, noise.reshape(-1, 2), 48_000, format="OGG")
        return file.getvalue()
    with av.open(file, "w", format=FORMATS.get(kind, kind)) as container:
        stream = container.add_stream(CONTAINERS[kind], rate=48_000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="stereo")
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


RECORDINGS = {kind: recording(kind) for kind in CONTAINERS}

BENDS = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "remove", "insert", "repeat"]),
        st.one_of(st.floats(0, 1), st.floats(0, 0.01)),  # headers are small
        st.binary(min_size=1, max_size=16),
    ),
    min_size=1,
    max_size=6,
)


def bent(data: bytes, bends: list[Bend]) -> bytes:
    """`data` changed at places that are shares of its length."""
    for how, where, some in bends:
        at = int(where * len(data))
        rest = data[at:]
        if how == "set":
            rest = some + rest[len(some) :]
        elif how == "cut":
            rest = b""
        elif how == "remove":
            rest = rest[len(some) ** 2 :]
        elif how == "insert":
            rest = some + rest
        else:
            rest = rest[:4000] + rest
        data = data[:at] + rest
    return data


@pytest.mark.parametrize("count", MANY)
def test_recordings_bent_byte_by_byte(count: int) -> None:
    @in_time(count)
    @given(kind=st.sampled_from(sorted(CONTAINERS)), bends=BENDS)
    def check(kind: str, bends: list[Bend]) -> None:
        data = bent(RECORDINGS[kind], bends)
        try:
            told: list[str] = []
            audio = decode(
                io.BytesIO(data), max_seconds=LONGEST_SECONDS, max_work_seconds=8.0, tell=told.append
            )
            assert audio.shape[0] == 2
            assert 0 < audio.shape[1] <= LONGEST_SECONDS * 44_100
            assert bool(audio.isfinite().all())
            assert all(told)
            missing_part(io.BytesIO(data))
            probe(io.BytesIO(data))
        except ValueError as error:
            assert str(error)  # noqa: PT017

    check()


CELLS = st.one_of(
    st.sampled_from(["One", "1979", "", "nan", '"', '""', "A, B", "['A', 'B']", "https://youtu.be/aaaaaaaaaaa", "x.mp3"]),
    st.text(max_size=12),
)  # fmt: skip
HEADERS = st.sampled_from(["title", "artist", "Track Name", "url", "track", "id", "", '"name', "título"])


@st.composite
def files_of_tables(draw: st.DrawFn) -> bytes:
    separator = draw(st.sampled_from([",", ";", "\t", "|", ", "]))
    header = draw(st.lists(HEADERS, min_size=1, max_size=4))
    rows = draw(st.lists(st.lists(CELLS, min_size=0, max_size=5), max_size=6))
    quote = draw(st.sampled_from(["", '"', "'"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    before = draw(st.sampled_from(["", "\ufeff", "sep=;\n", "\n", "# a comment\n"]))
    text = before + end.join(
        [separator.join(header), *(separator.join(quote + c + quote for c in row) for row in rows)]
    )
    encoding = draw(st.sampled_from(["utf-8", "utf-16", "utf-16-le", "cp1252", "shift_jis"]))
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["songs.csv", "songs.tsv", "songs.txt"])
def test_any_table_and_list(tmp_path: Path, name: str, count: int) -> None:
    file = tmp_path / name

    @in_time(count)
    @given(data=st.one_of(files_of_tables(), st.binary(max_size=80), st.text(max_size=80).map(_utf8)))
    @example(data=b'title\n"\n')
    @example(data=b"http://[::1/x.mp3\n")
    def check(data: bytes) -> None:
        file.write_bytes(data)
        try:
            for song in read_catalogue(str(file)).songs:
                assert song.source.strip()
                assert len(song.song_id) == 16
                song.source.encode()
        except ValueError as error:
            assert str(error)  # noqa: PT017

    check()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


TITLES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12).filter(
    lambda text: text.casefold() not in tables.NOTHING
)


@pytest.mark.parametrize("count", COUNTS)
def test_no_title_of_a_well_formed_table_is_lost(count: int) -> None:
    import csv

    @in_time(count)
    @given(
        titles=st.lists(TITLES, min_size=1, max_size=8),
        separator=st.sampled_from(",;\t|"),
        quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    )
    def check(titles: list[str], separator: str, quoting: int, encoding: str) -> None:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, quoting=quoting)  # type: ignore[arg-type]
        writer.writerow(["id", "title", "artist"])
        for number, title in enumerate(titles):
            writer.writerow([number, title, f'A{separator} "B"'])
        entries, _ = tables.read_table(text.getvalue().encode(encoding), "songs.csv")
        assert [entry.title for entry in entries] == [" ".join(title.split()) for title in titles]
        assert {entry.artist for entry in entries} == {f'A{separator} "B"'.replace("\t", " ")}

    check()


NAMES = st.sampled_from(
    [
        *("vocals", "no_vocals", "drums", "bass", "other", "mix", "mixture", "S00", "Song - vocals", "Song"),
        *(
            "1_Song_(Vocals)",
            "1_Song_(Instrumental)",
            "source-01",
            "source-02",
            "Song_MIX",
            "lead vox",
            "A - B.stem",
        ),
    ]
)
FOLDERS = st.sampled_from(
    ["", "Song", "Song/stems", "Song/vocals", "Song/drums", "Song_STEMS", "a/b/Song_STEMS"]
)
PATHS = st.builds(
    lambda folder, name, kind: f"{folder}/{name}.{kind}".lstrip("/"),
    FOLDERS,
    NAMES,
    st.sampled_from(["wav", "flac", "mp3", "mp4"]),
)


@pytest.mark.parametrize("count", COUNTS)
def test_every_file_of_any_folder_is_used_told_or_a_song(count: int) -> None:
    @in_time(count)
    @given(paths=st.lists(PATHS, unique=True, max_size=12), metadata=st.booleans())
    def check(paths: list[str], metadata: bool) -> None:
        found = find_stems(paths, ["Song_METADATA.yaml"] if metadata else [])
        assert found.taken <= set(paths)
        of_songs = [file for song in found.songs for file in song.files]
        assert len(of_songs) == len(set(of_songs))  # in one song only
        told = found.no_voice + found.alone + found.mixes
        for file in found.taken - set(of_songs):
            assert any(file == one or file.startswith(f"{one}/") or not one for one in told) or found.no_voice
        for song in found.songs:
            assert {*song.voices, *song.accompaniment, *song.unknown} <= set(song.files)
            assert not set(song.voices) & set(song.accompaniment)

    check()
