"""Stems as their sum: what the sound decides, and what is told."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from samuel.audio import AudioError
from samuel.catalogue.songs import read_catalogue
from samuel.config import SAMPLE_RATE
from samuel.stems.reading import read_stems
from tests.audio.test_files import encoded

SECONDS = 3


def part(seed: int, seconds: float = SECONDS) -> np.ndarray:
    """(samples, 2) of noise whose loudness comes and goes, another for each seed."""
    random = np.random.default_rng(seed)
    samples = round(seconds * SAMPLE_RATE)
    swell = 1 + np.sin(np.arange(samples) / SAMPLE_RATE * (seed + 1))
    return random.normal(scale=0.04, size=(samples, 2)) * swell[:, None]


VOICE, BACKING, DRUMS, BASS = (part(seed) for seed in range(4))


def written(folder: Path, **stems: np.ndarray) -> str:
    for name, samples in stems.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path.with_suffix(".wav"), samples, SAMPLE_RATE, subtype="FLOAT")
    return str(folder)


def read(folder: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    told: list[str] = []
    (song,) = read_catalogue(folder).songs
    assert song.kind == "stems"
    stems = read_stems(song.source, tell=told.append)
    assert stems.vocals.shape == stems.accompaniment.shape
    return stems.vocals.T.numpy(), stems.accompaniment.T.numpy(), told


def same(received: np.ndarray, *expected: np.ndarray) -> bool:
    return np.allclose(received, sum(expected), atol=1e-6)


@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("more", [False, True])
def test_a_mix_under_any_name_is_no_stem(tmp_path: Path, gain: float, more: bool) -> None:
    bass = {"bass": BASS} if more else {}
    whole = gain * (VOICE + DRUMS + sum(bass.values()))
    folder = written(tmp_path, vocals=VOICE, drums=DRUMS, everything=whole, **bass)
    vocals, accompaniment, told = read(folder)
    assert same(vocals, VOICE)
    assert same(accompaniment, DRUMS, *bass.values())
    assert told == ["everything.wav is left out: it is a mix with the voice in it"]


@pytest.mark.parametrize(("late", "sign"), [(1105, 1), (-700, 1), (44_100, 1), (0, -1)])
def test_a_mix_that_is_shifted_or_reversed_is_no_stem(tmp_path: Path, late: int, sign: int) -> None:
    mix = sign * (VOICE + DRUMS + BASS)
    mix = np.concatenate([np.zeros((late, 2)), mix]) if late > 0 else mix[-late:]
    vocals, accompaniment, told = read(written(tmp_path, vocals=VOICE, drums=DRUMS, bass=BASS, tune=mix))
    assert same(vocals, VOICE)
    assert same(accompaniment, DRUMS, BASS)
    assert told == ["tune.wav is left out: it is a mix with the voice in it"]


def test_a_stem_that_repeats_another_later_stays(tmp_path: Path) -> None:
    echo = np.concatenate([np.zeros((4000, 2)), BASS])[: len(BASS)]
    _, accompaniment, told = read(written(tmp_path, vocals=VOICE, bass=BASS, Mellotron=echo))
    assert same(accompaniment, BASS, echo)
    assert told == []


def test_a_stem_that_cannot_be_read_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "Song", vocals=VOICE, drums=DRUMS)
    (tmp_path / "Song" / "guitar.dsf").write_bytes(b"DSD ")
    with pytest.raises(ValueError, match=r"guitar\.dsf .* cannot be read: convert it"):
        read_stems(folder)


def test_two_mastered_mixes_are_no_stems(tmp_path: Path) -> None:
    loud = np.tanh(6 * (VOICE + DRUMS + BASS)) / 2
    folder = written(
        tmp_path, vocals=VOICE, drums=DRUMS, bass=BASS, song=VOICE + DRUMS + BASS, song_mastered=loud
    )
    _, accompaniment, told = read(folder)
    assert same(accompaniment, DRUMS, BASS)
    assert len(told) == 2


def test_a_sum_of_other_stems_is_not_added_again(tmp_path: Path) -> None:
    folder = written(tmp_path, vocals=VOICE, band=DRUMS + BASS, drums=DRUMS, bass=BASS)
    _, accompaniment, told = read(folder)
    assert same(accompaniment, DRUMS, BASS)
    assert told == ["band.wav is left out: it is the sum of bass.wav, drums.wav"]


def test_all_voices_are_the_vocals(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", vocals=VOICE, backing_vocals=BACKING, drums=DRUMS)
    assert same(read(folder)[0], VOICE, BACKING)
    parts = {"vocals": VOICE + BACKING, "lead_vocals": VOICE, "backing_vocals": BACKING}
    vocals, accompaniment, told = read(written(tmp_path / "b", drums=DRUMS, **parts))
    assert same(vocals, VOICE, BACKING)
    assert same(accompaniment, DRUMS)
    assert told == ["vocals.wav is left out: it is the sum of backing_vocals.wav, lead_vocals.wav"]


def test_a_stem_in_two_formats_counts_once(tmp_path: Path) -> None:
    folder = written(tmp_path, vocals=VOICE, drums=DRUMS, drums_copy=DRUMS, guitar=DRUMS)
    soundfile.write(tmp_path / "vocals.mp3", VOICE, SAMPLE_RATE)
    vocals, accompaniment, told = read(folder)
    assert same(vocals, VOICE)
    assert same(accompaniment, DRUMS, DRUMS)  # guitar and drums are two, whatever they play
    assert told == [
        "vocals.mp3 is left out: vocals.wav is the same stem",
        "drums_copy.wav is left out: it is the same as drums.wav",
    ]


def test_a_mix_with_no_other_stem_is_an_error(tmp_path: Path) -> None:
    folder = written(tmp_path, vocals=VOICE, song=VOICE + DRUMS)
    with pytest.raises(AudioError, match=r"song\.wav holds the voice, too"):
        read(folder)


def test_live_stems_that_hear_each_other_stay(tmp_path: Path) -> None:
    folder = written(tmp_path, vocals=VOICE, drums=DRUMS + 0.1 * VOICE + 0.2 * BASS, bass=BASS + 0.1 * DRUMS)
    _, accompaniment, told = read(folder)
    assert same(accompaniment, 1.1 * DRUMS, 0.1 * VOICE, 1.2 * BASS)
    assert told == []


def test_stems_that_end_early_end_in_silence(tmp_path: Path) -> None:
    folder = written(tmp_path, vocals=VOICE, drums=DRUMS[:SAMPLE_RATE], bass=BASS)
    vocals, accompaniment, told = read(folder)
    assert same(vocals, VOICE)
    assert same(accompaniment[:SAMPLE_RATE], DRUMS[:SAMPLE_RATE], BASS[:SAMPLE_RATE])
    assert same(accompaniment[SAMPLE_RATE:], BASS[SAMPLE_RATE:])
    assert told == [
        "stems differ in length: silence follows those that end before the longest (drums.wav 2.00 s)"
    ]
    short = written(tmp_path / "b", vocals=VOICE[:SAMPLE_RATE], drums=DRUMS)
    assert len(read(short)[0]) == SECONDS * SAMPLE_RATE


def test_a_damaged_stem_names_its_file(tmp_path: Path) -> None:
    folder = written(tmp_path, vocals=VOICE)
    (tmp_path / "drums.wav").write_bytes(b"no audio at all")
    with pytest.raises(AudioError, match=r"drums\.wav: not audio"):
        read(folder)


def test_files_of_macos_are_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path, vocals=VOICE, drums=DRUMS)
    (tmp_path / "._drums.wav").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert same(read(folder)[1], DRUMS)


def test_every_layout_reads_as_its_catalogue_found_it(tmp_path: Path) -> None:
    layouts = {
        "moisesdb": {"vocals__1": VOICE, "vocals__2": BACKING, "bass__3": BASS, "drums__4": DRUMS},
        "parallel": {"vocals__a": VOICE + BACKING, "bass__a": BASS, "drums__a": DRUMS},
        "uvr": {"1_Song_(Vocals)": VOICE + BACKING, "1_Song_(Instrumental)": BASS + DRUMS},
        "within": {"stems__vocals": VOICE + BACKING, "stems__no_vocals": BASS + DRUMS, "mix": DRUMS},
        "ccmixter": {"source-01": BASS + DRUMS, "source-02": VOICE + BACKING, "mix": DRUMS},
        "cambridge": {"01_Kick": DRUMS, "02_Bass": BASS, "03_LeadVox": VOICE, "04_BackingVox": BACKING},
    }
    for name, stems in layouts.items():
        vocals, accompaniment, _ = read(written(tmp_path / name, **stems))
        assert same(vocals, VOICE, BACKING), name
        assert same(accompaniment, BASS, DRUMS), name


def test_medleydb_says_who_sings(tmp_path: Path) -> None:
    stems = {"A_B_STEMS__A_B_STEM_01": VOICE, "A_B_STEMS__A_B_STEM_02": BASS, "A_B_STEMS__A_B_STEM_03": DRUMS}
    folder = written(tmp_path, A_B_MIX=VOICE + BASS + DRUMS, **stems)
    instruments = ("female singer", "electric bass", "drum set")
    entries = [
        f"  S0{number}:\n    filename: A_B_STEM_0{number}.wav\n    instrument: {instrument}\n"
        for number, instrument in enumerate(instruments, start=1)
    ]
    metadata = tmp_path / "A_B_METADATA.yaml"
    metadata.write_text("has_bleed: 'no'\nstems:\n" + "".join(entries))
    vocals, accompaniment, _ = read(folder)
    assert same(vocals, VOICE)
    assert same(accompaniment, BASS, DRUMS)
    metadata.write_text(metadata.read_text().replace("female singer", "violin"))
    with pytest.raises(ValueError, match=r"no voice among the stems .* violin, electric bass"):
        read(folder)


def test_medleydb_metadata_in_a_folder_of_their_own(tmp_path: Path) -> None:
    written(tmp_path, Audio__A_B__A_B_STEMS__A_B_STEM_01=VOICE, Audio__A_B__A_B_STEMS__A_B_STEM_02=BASS)
    metadata = tmp_path / "Metadata" / "A_B_METADATA.yaml"
    metadata.parent.mkdir()
    lines = ("S01: {filename: A_B_STEM_01.wav, instrument: female singer}",)
    metadata.write_text(
        "\n  ".join(["stems:", *lines, "S02: {filename: A_B_STEM_02.wav, instrument: electric bass}"])
    )
    vocals, accompaniment, _ = read(str(tmp_path))
    assert same(vocals, VOICE)
    assert same(accompaniment, BASS)


@pytest.mark.parametrize("named", [False, True])
def test_five_streams_in_one_file(tmp_path: Path, named: bool) -> None:
    """MUSDB18's order, or the names that the file gives."""
    four = (DRUMS, BASS, BACKING, VOICE) if not named else (VOICE, DRUMS, BASS, BACKING)
    streams = [("alac", stem) for stem in (sum(four), *four)]
    data = encoded(*streams, container="mp4").getvalue()
    if named:
        names = [{"name": name, "color": "#000000"} for name in ("Vox", "Drums", "Bass", "Synth")]
        text = json.dumps({"version": 1, "stems": names}).encode()
        data += (8 + len(text)).to_bytes(4, "big") + b"stem" + text
    (tmp_path / "A - Title.stem.mp4").write_bytes(data)
    (song,) = read_catalogue(str(tmp_path)).songs
    assert (song.artist, song.title) == ("A", "Title")
    stems = read_stems(song.source)
    assert torch.allclose(stems.vocals, torch.from_numpy(VOICE.T).float(), atol=1e-4)
    assert torch.allclose(
        stems.accompaniment, torch.from_numpy((DRUMS + BASS + BACKING).T).float(), atol=2e-4
    )


def test_one_stream_is_no_stems(tmp_path: Path) -> None:
    (tmp_path / "A - Title.stem.mp4").write_bytes(encoded(("aac", DRUMS), container="mp4").getvalue())
    with pytest.raises(AudioError, match="found 1 audio streams"):
        read(str(tmp_path))


def test_stems_without_a_voice_are_a_word_and_no_songs(tmp_path: Path) -> None:
    written(tmp_path / "slakh", mix=DRUMS + BASS, stems__S00=DRUMS, stems__S01=BASS)
    with pytest.raises(ValueError, match="1 folders of stems without a voice are left out"):
        read_catalogue(str(tmp_path / "slakh"))
    written(tmp_path, song=VOICE)
    catalogue = read_catalogue(str(tmp_path))
    assert [song.title for song in catalogue.songs] == ["song"]
    assert any("slakh/stems" in warning for warning in catalogue.warnings)
