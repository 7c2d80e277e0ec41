"""Scores on disk become songs on disk: archives, repeats, failures, mixes."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from samuel import audio
from samuel.arranging.presets import PresetFile
from samuel.arranging.soundfont import SHIPPED
from samuel.config import SAMPLE_RATE
from samuel.rendering.library import find_scores
from samuel.rendering.mixdown import ENCODERS, write_mix
from samuel.rendering.renderer import Options, Renderer, drawn_soundfont, load_soundfonts
from samuel.rendering.song import ANNOTATIONS, STEMS
from tests.rendering.scores import write_lead_sheet, write_midi


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scores") / "tunes"
    (folder / "a").mkdir(parents=True)
    write_midi(folder / "a" / "Älteste Melodie.mid")
    write_lead_sheet(folder / "waltz.musicxml")
    (folder / "broken.mid").write_bytes(b"?")
    return folder


def test_songs_are_written_whole_and_failures_reported(collection: Path, tmp_path: Path) -> None:
    options = Options(
        tmp_path / "stems", min_seconds=5.0, max_seconds=8.0, mixes=tmp_path / "mixes", mix_format="mp3"
    )
    render = Renderer(options)
    reports = {score.path.stem: render(score.song_id, score.path) for score in find_scores(collection)}
    assert reports["broken"].error.startswith("ScoreError: broken.mid: not readable as MIDI")
    assert not options.is_done(reports["broken"].song_id)
    good = [reports["waltz"], reports["Älteste Melodie"]]
    assert sorted(path.name for path in options.out.iterdir()) == sorted(report.song_id for report in good)
    for report in good:
        assert (report.error, options.is_done(report.song_id)) == ("", True)
        folder = options.out / report.song_id
        stems = [soundfile.read(folder / f"{name}.flac", dtype="float32")[0] for name in STEMS]
        assert {stem.shape for stem in stems} == {(round(report.seconds * SAMPLE_RATE), 2)}
        assert json.loads((folder / ANNOTATIONS).read_text())["song_id"] == report.song_id
        mix = audio.decode(tmp_path / "mixes" / f"{report.song_id}.mp3").numpy()
        both = np.stack([mix[0, :200_000], sum(stems)[:200_000, 0]])
        assert np.corrcoef(both)[0, 1] > 0.98  # mp3 is lossy, the stems are 16 bits


def test_each_song_is_played_with_one_of_the_soundfonts(collection: Path, tmp_path: Path) -> None:
    """Which one is drawn by seed and song, whatever their order, and told; it is the one that is heard."""
    piano = tmp_path / "piano.sf2"
    piano.write_bytes(PresetFile(SHIPPED).extract(0, 0))
    score = next(one for one in find_scores(collection) if one.path.stem == "waltz")
    heard: dict[tuple[Path, ...], dict[str, bytes]] = {}
    for fonts in ((piano, SHIPPED), (SHIPPED, piano), (piano,), (SHIPPED,)):
        out = tmp_path / "-".join(font.stem for font in fonts)
        render = Renderer(Options(out, soundfonts=fonts, min_seconds=2.0, max_seconds=4.0))
        assert render(score.song_id, score.path).error == ""
        heard[fonts] = {path.name: path.read_bytes() for path in (out / score.song_id).iterdir()}
        assert told_name(heard[fonts]) == drawn_soundfont([font.name for font in fonts], 0, score.song_id)
    drawn = (piano,) if told_name(heard[piano, SHIPPED]) == piano.name else (SHIPPED,)
    assert heard[piano, SHIPPED] == heard[SHIPPED, piano] == heard[drawn]
    assert heard[piano,]["other.flac"] != heard[SHIPPED,]["other.flac"]


def told_name(files: dict[str, bytes]) -> str:
    return str(json.loads(files[ANNOTATIONS])["band"]["soundfont"])


def test_soundfonts_are_drawn_evenly_and_one_more_moves_no_song_between_the_others() -> None:
    songs = [f"song-{number}" for number in range(300)]
    two = [drawn_soundfont(["a.sf2", "b.sf3"], 3, song) for song in songs]
    three = [drawn_soundfont(["c.sf2", "b.sf3", "a.sf2"], 3, song) for song in songs]
    assert 100 < two.count("a.sf2") < 200
    assert 60 < three.count("c.sf2") < 140
    assert all(after in (before, "c.sf2") for before, after in zip(two, three, strict=True))
    assert two != [drawn_soundfont(["a.sf2", "b.sf3"], 4, song) for song in songs]


def test_two_soundfonts_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"2 named {SHIPPED.name}"):
        load_soundfonts([SHIPPED, tmp_path / SHIPPED.name])


def test_rendering_again_changes_nothing(collection: Path, tmp_path: Path) -> None:
    score = next(one for one in find_scores(collection) if one.path.stem == "waltz")
    render = Renderer(Options(tmp_path, min_seconds=4.0, max_seconds=6.0))
    render(score.song_id, score.path)
    before = {path.name: path.read_bytes() for path in (tmp_path / score.song_id).iterdir()}
    assert render(score.song_id, score.path).error == ""
    assert {path.name: path.read_bytes() for path in (tmp_path / score.song_id).iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == [score.song_id]


@pytest.mark.parametrize("suffix", ENCODERS)
def test_mixes_keep_sound_and_tags(suffix: str, tmp_path: Path) -> None:
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    sound = (0.4 * np.stack([np.sin(2 * np.pi * 440 * seconds), np.sin(2 * np.pi * 660 * seconds)])).astype(
        "f4"
    )
    path = tmp_path / f"mix.{suffix}"
    write_mix(path, sound, tags={"title": "Ein Lied", "artist": "Ölander", "album": ""})
    with av.open(str(path)) as container:
        tags = {**container.metadata, **container.streams[0].metadata}
    found = {key.lower(): value for key, value in tags.items()}
    assert (found["title"], found["artist"], "album" in found) == ("Ein Lied", "Ölander", False)
    back = audio.decode(path).numpy()[:, : sound.shape[1]]
    assert back.shape[1] > 0.99 * sound.shape[1]
    middle = slice(SAMPLE_RATE // 2, SAMPLE_RATE)
    error = back[:, middle] - sound[:, middle]
    assert np.sqrt((error**2).mean()) < 0.05 * 0.4  # a lossy encoder at its usual rate, in time to the sample
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a suffix of .*got mix\.wma"):
        write_mix(tmp_path / "mix.wma", np.zeros((2, 100), np.float32), tags={})
