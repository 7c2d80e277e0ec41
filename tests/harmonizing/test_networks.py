"""The networks' inputs, their training, and the search through their scores."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from samuel.harmonizing.beat_network import FRAME, BeatNetwork, beat_inputs
from samuel.harmonizing.beat_training import VoiceLesson, beat_loss, beat_targets, made_up
from samuel.harmonizing.chord_training import chord_loss, collate, hear_all, judge_chords
from samuel.harmonizing.chords import likeliest_chords, score_chords, viterbi
from samuel.harmonizing.examples import (
    STRAIGHT,
    Disturbance,
    SongLesson,
    append_lesson,
    draw_example,
    read_lessons,
)
from samuel.harmonizing.found_beats import SPREADS, example_on_found_beats, hear, hear_voice
from samuel.harmonizing.key import KEYS
from samuel.harmonizing.melody import sung_on
from samuel.harmonizing.network import CHORDS, ChordNetwork, sameness, triad_of
from samuel.harmonizing.singing import sing_features
from samuel.harmonizing.sung import SUNG, sung_beats
from samuel.harmonizing.training import HarmonizerTrainingConfig, load_weights, save_weights, train
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import parse_chord
from samuel.lead_sheet.signatures import Key
from tests.harmonizing.sung import TUNE, tune

EXACT = Disturbance(*[0.0] * 11)
C, F, G = (triad_of(parse_chord(label, 0.0, 1.0)) for label in ("C:maj", "F:maj", "G:maj"))


def song(semitones: int = 0) -> SongLesson:
    """The tune in quarters over C, F, G, C, four times."""
    notes = tuple((float(n), n + 0.9, TUNE[n % 16] + semitones) for n in range(64))
    chords = tuple((4.0 * n, 4.0 * n + 4, (3 * semitones + (C, F, G, C)[n % 4]) % 36) for n in range(16))
    return SongLesson(f"song{semitones}", 64, 4, KEYS.index(Key(semitones % 12, "major")), notes, chords)


def small(loops: bool) -> ChordNetwork:
    torch.manual_seed(0)
    return ChordNetwork(16, (1, 2, 4, 1, 2, 4, 1, 2), dropout=0.0, loops=loops)


@pytest.mark.parametrize(
    ("label", "root", "triad"),
    [
        ("C:maj7", 0, "maj"),
        ("A:min7/b3", 9, "min"),
        ("B:hdim7", 11, "dim"),
        ("G:sus4", 7, "maj"),
        ("Eb:aug", 3, "maj"),
    ],
)
def test_chords_have_a_triad(label: str, root: int, triad: str) -> None:
    assert CHORDS[triad_of(parse_chord(label, 0.0, 1.0))] == (root, triad)
    assert triad_of(parse_chord("N", 0.0, 1.0)) == -1


def test_an_undisturbed_song_is_its_score() -> None:
    example = draw_example(song(2), np.random.default_rng(0), EXACT, 64)
    assert example.rotation == 2
    assert example.labels.tolist() == [(C, F, G, C)[beat // 4 % 4] for beat in range(64)]
    onsets = example.rows[:, 48:96].reshape(64, 4, 12)
    assert onsets[:, 0].argmax(axis=1).tolist() == [TUNE[n % 16] % 12 for n in range(64)]
    assert onsets.sum() == 64
    assert example.rows[:, 96].tolist() == [float(beat % 4 == 0) for beat in range(64)]
    assert KEYS[example.key] == Key(0, "major")


def test_all_keys_are_one_to_the_network() -> None:
    one, other = (draw_example(song(by), np.random.default_rng(1), STRAIGHT, 64) for by in (0, 5))
    assert np.allclose(one.rows, other.rows, atol=1e-6)
    assert np.array_equal(one.labels, other.labels)


def test_features_and_notes_give_one_picture() -> None:
    features, _ = tune(bpm=120, first=0.5)
    edges = 0.5 + 0.5 * np.arange(65)
    heard = sung_on(features, edges)
    notes = [(float(n), n + (1.9 if n % 16 == 14 else 0.9), TUNE[n % 16]) for n in range(64) if n % 16 != 15]
    written = sung_beats(notes, 64)
    assert np.abs(heard[:, 0] - written[:, 0]).mean() < 0.01
    assert np.abs(heard[:, 1] - written[:, 1]).sum() < 0.1 * written[:, 1].sum()


def test_verses_are_the_same_and_bars_are_not() -> None:
    rows, _, _, _ = collate([draw_example(song(), np.random.default_rng(0), EXACT, 64)])
    same = sameness(rows[..., :SUNG], rows[..., SUNG : SUNG + 4], loops=True)[0]
    assert same[1, 8, 24] > 0.99  # sixteen beats on
    assert same[1, 8, 12] < 0.7
    assert same[2, 8, 12] == 1
    assert same[2, 8, 13] == 0
    assert same[4:, 8, 16].tolist() == [1, 0, 0]  # two bars on
    assert same[4:, 24, 8].tolist() == [1, 1, 0]
    assert same[4:, 8, 40].tolist() == [1, 1, 1]
    assert same[4:, 8, 17].tolist() == [0, 0, 0]


def test_a_song_is_heard_with_the_chords_that_it_is_sung_over() -> None:
    heard = [hear(song(2), np.random.default_rng(seed)) for seed in range(6)]
    on_root = []
    for one in heard:
        assert len(one.sung) == len(one.places) == len(one.labels)
        assert set(one.places.tolist()) == set(range(one.metre_beats))
        known = one.labels >= 0
        assert known.sum() > 20
        moved = (one.labels[known] - 6) % 36
        assert set(moved.tolist()) <= {C, F, G}
        tones = np.array([[0, 4, 7], [5, 9, 0], [7, 11, 2]])[[(C, F, G).index(label) for label in moved]]
        sung = np.roll(one.sung[known, 0].astype(float).sum(axis=1), -2, axis=1)
        on_root.append(np.take_along_axis(sung, tones, axis=1).sum() / sung.sum())
    written = song()
    tones = {C: (0, 4, 7), F: (5, 9, 0), G: (7, 11, 2)}
    expected = np.mean(
        [pitch % 12 in tones[written.chords[int(start) // 4][2]] for start, _, pitch in written.notes]
    )
    assert np.mean(on_root) == pytest.approx(expected, abs=0.12)
    again = hear(song(2), np.random.default_rng(0))
    assert np.array_equal(again.labels, heard[0].labels)


def test_a_rendered_voice_is_heard_on_found_beats_and_on_true_ones() -> None:
    features, seconds = tune(bpm=120, first=0.5)
    beats = tuple((0.5 + 0.5 * np.arange(64)).tolist())
    chords = tuple(
        parse_chord(label, 0.5 + 2 * bar, 2.5 + 2 * bar)
        for bar, label in enumerate(("C:maj", "F:maj", "G:maj", "C:maj") * 4)
    )
    true = LeadSheet(beats=beats, downbeats=beats[::4], chords=chords, key=Key(0, "major"))
    *found, on_true_beats = hear_voice(features, seconds, true)
    assert len(found) == len(SPREADS)
    assert on_true_beats.labels.tolist() == [(C, F, G, C)[beat // 4 % 4] for beat in range(64)]
    assert on_true_beats.places.tolist() == [beat % 4 for beat in range(64)]
    assert KEYS[on_true_beats.key] == Key(0, "major")
    for one in found:
        assert len(one.sung) == len(one.places) == len(one.labels)
        assert set(one.labels[one.labels >= 0].tolist()) == {C, F, G}
    lessons = [song()]
    network, rng = small(loops=True), np.random.default_rng
    losses = [
        float(chord_loss(network, rng(0), lessons, rendered=rendered).detach())
        for rendered in ((), [[*found, on_true_beats]])
    ]
    assert np.isfinite(losses).all()
    assert losses[0] != losses[1]


def test_examples_on_found_beats_are_moved_to_a_key_without_signs() -> None:
    heard = hear(song(2), np.random.default_rng(0))
    example = example_on_found_beats(heard, np.random.default_rng(1), EXACT, 24)
    assert example.rotation == 2
    assert len(example.rows) == len(example.labels) <= 24
    assert set(example.labels.tolist()) <= {-1, C, F, G}


@pytest.mark.parametrize("loops", [False, True])
def test_a_small_network_learns_two_songs_and_its_weights_come_back(tmp_path: Path, loops: bool) -> None:
    lessons = [song(), song(7)]
    heard = hear_all(lessons, 0)
    config = HarmonizerTrainingConfig(steps=60, learning_rate=1e-2, warmup=5, ema=0.8, checkpoint_every=60)
    reports: list[str] = []
    trained = train(
        small(loops),
        lambda n, rng: chord_loss(n, rng, lessons, heard),
        lambda n: str(judge_chords(n, lessons)),
        tmp_path / "c.pt",
        config,
        reports.append,
    )
    judged = judge_chords(trained, lessons)
    assert judged.triads > 0.8
    assert judged.keys == 1
    assert "triads" in reports[-1]
    save_weights(trained, tmp_path / "chords.safetensors")
    again = load_weights(ChordNetwork, tmp_path / "chords.safetensors")
    rows, _, _, _ = collate([draw_example(lessons[0], np.random.default_rng(0), EXACT, 64)])
    with torch.no_grad():
        assert (again(rows)[0].exp() - trained(rows)[0].exp()).abs().max() < 0.01
    scores, keys = score_chords(sung_beats(lessons[1].notes, 64), np.arange(64) % 4, 4, None, [trained])
    assert KEYS[int(keys.argmax())] == Key(7, "major")
    path = likeliest_chords(scores, np.arange(64) % 4, 4)
    assert np.mean(path == [chord for _, _, chord in lessons[1].chords for _ in range(4)]) > 0.8


def test_a_stopped_training_goes_on_as_if_it_never_stopped(tmp_path: Path) -> None:
    lessons = [song()]

    def run(out: Path, steps: int) -> ChordNetwork:
        config = HarmonizerTrainingConfig(steps=6, warmup=2, checkpoint_every=3)
        torch.manual_seed(0)

        def loss(network: ChordNetwork, rng: np.random.Generator) -> torch.Tensor:
            nonlocal steps
            steps -= 1
            if steps < 0:
                raise KeyboardInterrupt
            return chord_loss(network, rng, lessons)

        return train(
            ChordNetwork(8, (1,) * 8, loops=True), loss, lambda n: "", out, config, lambda text: None
        )

    whole = run(tmp_path / "whole.pt", 6)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "part.pt", 4)
    resumed = run(tmp_path / "part.pt", 3)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match="of another training"):
        train(
            ChordNetwork(8, (1,) * 8, loops=True),
            lambda n, r: None,
            lambda n: "",
            tmp_path / "part.pt",
            HarmonizerTrainingConfig(),
        )  # type: ignore[arg-type, return-value]
    same = HarmonizerTrainingConfig(steps=6, warmup=2, checkpoint_every=3)
    with pytest.raises(ValueError, match="of another network"):
        train(ChordNetwork(8, (1,) * 8), lambda n, r: None, lambda n: "", tmp_path / "part.pt", same)  # type: ignore[arg-type, return-value]


def test_viterbi_finds_the_best_path() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, change = rng.normal(size=(5, 3)), -rng.random(5)
        value = {
            path: sum(
                scores[n, at] + (change[n] if n and path[n - 1] != at else 0) for n, at in enumerate(path)
            )
            for path in itertools.product(range(3), repeat=5)
        }
        assert tuple(viterbi(scores, change)) == max(value, key=lambda path: value[path])


def test_lessons_outlive_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "songs.jsonl"
    append_lesson(song(), path)
    with path.open("a") as file:
        file.write('\n{"song_id": "brok')
    append_lesson(song(3), path)
    assert read_lessons(path) == [song(), song(3)]


def test_a_made_up_voice_sings_its_notes() -> None:
    notes = [(0.5 + 0.5 * n, 0.9 + 0.5 * n, float(TUNE[n % 16])) for n in range(40)]
    errors, found = [], 0
    for seed in range(5):
        features = sing_features(notes, 21.0, np.random.default_rng(seed))
        for start, end, pitch in notes:
            inside = (features.times > start + 0.2) & (features.times < end - 0.12)
            sung = features.pitch[inside]
            errors.append(abs(np.nanmedian(sung) - pitch) if np.isfinite(sung).any() else np.nan)
            found += bool(np.abs(features.onsets - start).min() < 0.15)
    assert np.nanmedian(errors) < 0.3
    assert found > 0.7 * 200


def test_beats_are_where_they_are_said_to_be() -> None:
    voice = made_up(song(), np.random.default_rng(3), 20.0, as_written=True)
    gaps = np.diff(voice.beats)
    assert voice.beats[0] >= 0
    assert voice.beats[-1] < 20
    assert gaps.max() / gaps.min() < 1.1
    assert set(voice.downbeats) <= set(voice.beats)
    targets = beat_targets(voice, len(beat_inputs(voice.features, 20.0)))
    assert targets[:, 0].sum() == pytest.approx(len(voice.beats), abs=1)
    frame = int(targets[:, 0].argmax())
    assert np.abs(np.array(voice.beats) - (frame + 0.5) * FRAME).min() < FRAME
    onsets = voice.features.onsets
    near = np.abs(onsets[:, None] - np.array(voice.beats)).min(axis=1)
    assert np.median(near) < 0.08  # quarters begin on beats


def test_a_part_of_a_voice_keeps_its_clock() -> None:
    voice = made_up(song(), np.random.default_rng(3), 20.0)
    part = voice.between(5.0, 12.0)
    assert part.beats == pytest.approx([b - 5 for b in voice.beats if 5 <= b < 12])
    assert part.features.times[0] < 0.016
    assert isinstance(part, VoiceLesson)


def test_the_beat_network_learns() -> None:
    torch.manual_seed(0)
    network = BeatNetwork(8, (1, 2, 4), dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for step in range(12):
        loss = beat_loss(network, np.random.default_rng(step % 2), [song()], [])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
