"""Notes become stems: what adds up, what is heard, which fonts can be read."""

import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import soundfile
import torch

from samuel.arranging import STEMS, SoundFontSynthesiser, arrange, play, render, write_stems
from samuel.arranging import sound as sound_module
from samuel.arranging.mastering import (
    PEAK,
    Room,
    asked_level,
    faded_blocks,
    limited_blocks,
)
from samuel.arranging.presets import PresetFile
from samuel.arranging.soundfont import SHIPPED, best_soundfont
from samuel.audio.loudness import loudness
from samuel.compiled import librosa
from samuel.config import SAMPLE_RATE
from samuel.generation.direction import Direction, Director
from samuel.popdb import guides
from samuel.rendering.renderer import Options, Renderer
from tests.arranging.sheets import lead_sheet

TIMGM = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"


@pytest.fixture(scope="module")
def synthesiser() -> SoundFontSynthesiser:
    return SoundFontSynthesiser(SHIPPED)


@pytest.fixture(scope="module")
def arrangement():
    return arrange(lead_sheet(energy=0.9), seconds=12.5, style="rock", seed=1)


def decibels(audio: np.ndarray, against: np.ndarray) -> float:
    return float(
        10
        * np.log10((audio.astype(np.float64) ** 2).mean() / (against.astype(np.float64) ** 2).mean() + 1e-20)
    )


def test_stems_parts_and_files_add_up_to_the_band(synthesiser, arrangement, tmp_path: Path) -> None:
    stems = render(arrangement, synthesiser)
    assert tuple(stems) == STEMS
    assert all(a.shape == (2, round(12.5 * SAMPLE_RATE)) and a.dtype == np.float32 for a in stems.values())
    band = play(lead_sheet(energy=0.9), seconds=12.5, style="rock", seed=1, soundfont=synthesiser)
    np.testing.assert_allclose(sum(stems.values()), band, atol=1e-6)
    assert 0.3 < np.abs(band).max() <= PEAK + 1e-4
    assert -20 < loudness(torch.from_numpy(band)) < -13

    paths = write_stems(arrangement, synthesiser, tmp_path / "stems")
    assert [path.name for path in paths] == ["drums.flac", "bass.flac", "other.flac"]
    assert decibels(sum(soundfile.read(p)[0].T for p in paths) - band, band) < -60
    players = write_stems(arrangement, synthesiser, tmp_path / "players", by_part=True)
    assert [path.stem for path in players] == [part.name for part in arrangement.parts]
    assert decibels(sum(soundfile.read(p)[0].T for p in players) - band, band) < -60
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_chords_are_heard(synthesiser, arrangement) -> None:
    """Bar by bar, the triad nearest to the chroma among 24 is the one that was asked for."""
    stems = render(arrangement, synthesiser)
    chroma = librosa.feature.chroma_cqt(
        y=stems["other"].mean(axis=0) + stems["bass"].mean(axis=0), sr=SAMPLE_RATE
    )
    times = librosa.times_like(chroma, sr=SAMPLE_RATE)
    triads = np.array(
        [np.roll(shape, root) for shape in np.eye(12)[[[0, 4, 7], [0, 3, 7]]].sum(1) for root in range(12)]
    )
    for chord in arrangement.sheet.chords[:5]:
        mean = chroma[:, (times > chord.start) & (times < chord.end)].mean(axis=1)
        best = int((triads @ mean).argmax())
        assert (best % 12, best // 12) == (chord.root, int(chord.quality == "min"))


def test_blocks_join_without_a_seam(synthesiser, arrangement, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render(arrangement, synthesiser)
    monkeypatch.setattr(sound_module, "BLOCK", 44_000)
    for name, audio in render(arrangement, synthesiser).items():
        np.testing.assert_allclose(audio, whole[name], atol=1e-4)


def test_memory_does_not_grow_with_the_length(
    synthesiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound_module, "BLOCK", 44_000)
    peaks = []
    for seconds in (6.0, 24.0):
        arrangement = arrange(lead_sheet(seconds=seconds, energy=0.3), seconds=seconds, style="rock", seed=1)
        tracemalloc.start()
        write_stems(arrangement, synthesiser, tmp_path / f"{seconds:g}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 2**20


def test_levels_change_their_part_alone(synthesiser) -> None:
    def played(**levels: float) -> dict[str, np.ndarray]:
        arrangement = arrange(lead_sheet(energy=0.2), seconds=6.0, style="rock", seed=1, levels=levels)
        assert {"drums", "bass", "chords"} <= {part.name for part in arrangement.parts}
        return render(arrangement, synthesiser, by_part=True)

    usual, softer = played(drums=-20.0), played(drums=-20.0, bass=-6.0)
    np.testing.assert_allclose(softer["bass"], usual["bass"] * 10 ** (-6 / 20), atol=1e-5)
    np.testing.assert_allclose(softer["chords"], usual["chords"], atol=1e-6)


def test_quiet_energy_sounds_quieter(synthesiser) -> None:
    levels = [
        loudness(
            torch.from_numpy(
                play(lead_sheet(energy=energy), seconds=8.0, style="rock", soundfont=synthesiser)
            )
        )
        for energy in (0.0, 1.0)
    ]
    assert levels[0] < levels[1] - 3


def test_the_bands_level_follows_its_energy(synthesiser) -> None:
    """Within a decibel and a half, swells as quick as a bar; without energy nobody rides the fader."""
    curve = tuple((t / 2, 0.86 + 0.1 * float(np.sin(t))) for t in range(40))
    sheet = replace(lead_sheet(), energy=curve)
    for style in ("rock", "pop ballad", "bossa nova"):
        band = play(sheet, seconds=16.0, style=style, seed=1, soundfont=synthesiser)
        seconds = np.arange(2, 14)
        heard = [
            10 * np.log10((band[:, s * SAMPLE_RATE :][:, : SAMPLE_RATE // 2] ** 2).mean()) for s in seconds
        ]
        asked = asked_level(sheet.energy_at(seconds + 0.25))
        assert np.abs(np.array(heard) - asked).mean() < 1.5, style
        assert np.corrcoef(heard, asked)[0, 1] > 0.7, style
    blocks = [({"a": np.ones((2, 44_000), np.float32)}, np.ones((2, 44_000), np.float32))] * 2
    assert all(np.array_equal(one["a"], blocks[0][0]["a"]) for one in faded_blocks(blocks, ()))


def test_a_soft_band_follows_its_energy_too() -> None:
    """Nine decibels below what is asked for, as a few players are at full energy."""
    sound = 0.06 * np.random.default_rng(0).standard_normal((2, 10 * 44_000)).astype(np.float32)
    blocks = [({"a": one}, one) for one in np.split(sound, 10, axis=1)]
    faded = np.concatenate([one["a"] for one in faded_blocks(blocks, ((0.0, 1.0), (10.0, 0.9)))], axis=1)
    levels = 20 * np.log10([np.sqrt((one**2).mean()) for one in np.split(faded, 10, axis=1)])
    asked = asked_level(np.interp(np.arange(10) + 0.5, (0, 10), (1.0, 0.9)))
    np.testing.assert_allclose(levels, asked, atol=0.3)


def test_the_fader_leaves_rests_and_what_rings_on(synthesiser) -> None:
    sound = np.random.default_rng(0).standard_normal((2, 8 * 44_000)).astype(np.float32)
    sound[:, : 4 * 44_000] *= 0.1
    sound[:, 4 * 44_000 :] *= 0.0005  # 40 dB below what is asked for
    blocks = [({"a": one}, one) for one in np.split(sound, 8, axis=1)]
    faded = np.concatenate([one["a"] for one in faded_blocks(blocks, ((0.0, 0.75),))], axis=1)
    gain = 20 * np.log10(faded[0] / sound[0])
    np.testing.assert_allclose(gain[44_000 : 3 * 44_000], -1.0, atol=0.3)  # from -20 to -21 dBFS
    np.testing.assert_allclose(gain[5 * 44_000 :], 0.0, atol=1e-3)


def test_a_part_alone_sounds_as_in_the_band(synthesiser) -> None:
    sheet = replace(lead_sheet(), energy=((0.0, 0.3), (4.0, 0.9)))
    band, bass = (
        render(arrange(sheet, seconds=6.0, style="rock", parts=parts, levels="drums=-20"), synthesiser)
        for parts in ("", "bass")
    )
    assert not bass["drums"].any()
    np.testing.assert_allclose(bass["bass"], band["bass"], atol=1e-5)


def test_silence_where_nobody_plays(synthesiser) -> None:
    arrangement = arrange(lead_sheet(energy=0.9), seconds=4.0, style="rock", parts="drums")
    stems = render(arrangement, synthesiser, 4 * SAMPLE_RATE + 17)
    assert all(audio.shape[1] == 4 * SAMPLE_RATE + 17 for audio in stems.values())
    assert not stems["bass"].any()
    assert not stems["other"].any()
    nobody = render(replace(arrangement, parts=()), synthesiser, by_part=True)
    assert nobody == {}


def test_one_instrument_serves_several_players_and_not_a_thousand(synthesiser) -> None:
    part = arrange(lead_sheet(energy=0.9), seconds=2.0, style="rock", parts="bass").parts[0]
    one, two, many = ([replace(part, name=f"player {n}") for n in range(count)] for count in (1, 2, 1000))
    np.testing.assert_allclose(synthesiser.render(two, 2.0), 2 * synthesiser.render(one, 2.0), atol=1e-5)
    blocks = [next(synthesiser.stream(players, 44_000)) for players in (one, two)]
    np.testing.assert_array_equal(blocks[1]["player 1"], blocks[0]["player 0"])
    with pytest.raises(ValueError, match="expected at most 64 players at once, got 1000"):
        next(synthesiser.stream(many, 44_000))


def test_a_song_is_not_played_on_after_another_began(synthesiser) -> None:
    parts = arrange(lead_sheet(energy=0.9), seconds=2.0, style="rock", parts="bass").parts
    first, second = (synthesiser.stream(list(parts), 22_050) for _ in range(2))
    next(first)
    next(second)
    with pytest.raises(ValueError, match="read one stream to its end first"):
        next(first)
    next(second)


@pytest.mark.parametrize("font", [SHIPPED, TIMGM])
def test_one_instrument_out_of_a_font_sounds_as_in_the_whole_font(font: Path) -> None:
    import tinysoundfont

    presets = PresetFile(font)
    whole = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
    numbers = {whole: whole.sfload(str(font)) if font == TIMGM else None}
    for bank, program in ((0, 0), (0, 33), (0, 48), (128, 0)):
        data = presets.extract(bank, program)
        assert len(data) < 0.2 * font.stat().st_size
        synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
        number = synth.sfload(data)
        heard = []
        for player, sfid in (
            (synth, number),
            *([(whole, numbers[whole])] if numbers[whole] is not None else []),
        ):
            player.soundfonts[sfid].reset()
            player.generate(SAMPLE_RATE // 5)
            player.program_select(0, sfid, bank, program, bank == 128)
            for pitch in (38, 45, 57):
                player.noteon(0, pitch, 90)
            heard.append(np.frombuffer(player.generate(SAMPLE_RATE // 2), np.float32).copy())
        assert np.abs(heard[0]).max() > 0.01
        if len(heard) == 2:
            np.testing.assert_allclose(heard[0], heard[1], atol=2e-4)


def test_what_is_no_soundfont_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.sf2").touch()
    (tmp_path / "text.sf3").write_text("no font" * 100)
    (tmp_path / "cut.sf2").write_bytes(TIMGM.read_bytes()[:100_000])
    for name in ("absent.sf2", "empty.sf2", "text.sf3", "cut.sf2"):
        with pytest.raises(ValueError, match=rf"expected a SoundFont \(\.sf2 or \.sf3\), got .*{name}"):
            SoundFontSynthesiser(tmp_path / name)
    with pytest.raises(ValueError, match="expected a SoundFont"):
        SoundFontSynthesiser(tmp_path)


def test_a_small_font_plays_with_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "piano.sf2").write_bytes(PresetFile(SHIPPED).extract(0, 0))
    band = play(lead_sheet(energy=0.9), seconds=3.0, style="rock", soundfont=tmp_path / "piano.sf2")
    assert np.abs(band).max() > 0.05


def test_a_font_of_ones_own_is_used_and_the_best_one_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SoundFontSynthesiser(TIMGM).path == TIMGM
    monkeypatch.setattr("samuel.arranging.soundfont.FOLDERS", (tmp_path,))
    assert best_soundfont() == SHIPPED
    for name in ("FluidR3_GM.sf2", "MuseScore_General.sf3"):  # the better one is found beside the other, too
        shutil.copy(TIMGM, tmp_path / name)
        assert SoundFontSynthesiser().path == tmp_path / name
        assert Director(Direction()).synthesiser.path == tmp_path / name
    assert Director(Direction(soundfont=str(TIMGM))).synthesiser.path == TIMGM


def test_songs_to_train_on_are_played_with_the_font_that_everybody_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samuel.arranging.soundfont.FOLDERS", (tmp_path,))
    shutil.copy(TIMGM, tmp_path / "MuseScore_General.sf3")
    assert [font.path for font in Renderer(Options(out=tmp_path)).synthesisers.values()] == [SHIPPED]
    assert guides._synthesiser.__wrapped__().path == SHIPPED


def test_the_limiter_holds_every_peak_and_leaves_the_rest_alone() -> None:
    block, samples = 44_000, 4 * 44_000
    time = np.arange(samples) / SAMPLE_RATE
    tone = np.tile((0.5 * np.sin(2 * np.pi * 200 * time)).astype(np.float32), (2, 1))
    burst = np.zeros_like(tone)
    loud = slice(2 * block - 500, 2 * block + 500)  # over a border of two blocks
    burst[:, loud] = 1.4
    blocks = [
        {"tone": tone[:, at : at + block], "burst": burst[:, at : at + block]}
        for at in range(0, samples, block)
    ]
    limited = list(limited_blocks(blocks))
    joined = {name: np.concatenate([block[name] for block in limited], axis=1) for name in ("tone", "burst")}
    assert np.abs(joined["tone"] + joined["burst"]).max() <= PEAK + 1e-6
    quiet = np.r_[0 : 2 * block - 4000, 2 * block + 4000 : samples]
    np.testing.assert_array_equal(joined["tone"][:, quiet], tone[:, quiet])
    assert np.abs(np.diff(joined["burst"][0, loud] / 1.4)).max() < 0.002


def test_a_room_adds_a_tail_that_dies_away() -> None:
    click = np.zeros((2, 2 * SAMPLE_RATE), np.float32)
    click[:, 1000] = 1.0
    wet = Room(seconds=0.5, wet=0.5)(click)
    dry = Room(seconds=0.5, wet=0.0)(click)
    assert dry[0, 1000] > 0.98
    assert wet[0, 1000] == pytest.approx(dry[0, 1000], abs=0.05)
    tail = wet - dry
    assert 0.1 < np.sqrt((tail**2).sum(axis=1)).mean() < 0.5
    assert np.abs(tail[:, int(0.6 * SAMPLE_RATE) :]).max() < 1e-4
    assert not np.allclose(tail[0], tail[1])
