"""What the chord network is trained and judged by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samuel.harmonizing.examples import STRAIGHT, Disturbance, Example, SongLesson, draw_example
from samuel.harmonizing.found_beats import HeardSong, example_on_found_beats, hear
from samuel.harmonizing.network import CHORDS, ChordNetwork

WIDTH, LEARNING_RATE = 256, 1.2e-3
SONGS, BEATS = 8, 192  # of a step
RENDERED = 0.5  # share of the examples that are rendered voices, where there are any
RENDERED_ON = (0.5, 0.15, 0.1, 0.25)  # shares of these on each kind of beats of `hear_voice`
FOUND = 0.5  # share of the others whose beats are found
HEARD = 3  # times that each song is sung for them
SMOOTHING, KEY_WEIGHT = 0.05, 0.2


def chord_loss(
    network: ChordNetwork,
    rng: np.random.Generator,
    lessons: Sequence[SongLesson],
    heard: Sequence[Sequence[HeardSong]] = (),
    rendered: Sequence[Sequence[HeardSong]] = (),
) -> Tensor:
    """`heard`: of each lesson, on beats as they are found; `rendered`: of each rendered voice (`hear_voice`)."""
    chosen = rng.choice(len(lessons), SONGS, replace=len(lessons) < SONGS)
    rows, labels, keys, valid = collate(
        [_draw(lessons[index], heard[index] if heard else (), rendered, rng) for index in chosen]
    )
    chords, song_keys = network(rows, valid)
    known = labels >= 0
    right = F.nll_loss(chords.flatten(0, 1), labels.flatten(), ignore_index=-1)
    smooth = -(chords.mean(-1) * known).sum() / known.sum()
    return (1 - SMOOTHING) * right + SMOOTHING * smooth + KEY_WEIGHT * F.nll_loss(song_keys, keys)


def hear_all(lessons: Sequence[SongLesson], seed: int) -> list[tuple[HeardSong, ...]]:
    """Each song heard a few times, for `chord_loss`: 30 ms each."""
    return [
        tuple(hear(song, np.random.default_rng((seed, number, time))) for time in range(HEARD))
        for number, song in enumerate(lessons)
    ]


def _draw(
    song: SongLesson,
    heard: Sequence[HeardSong],
    rendered: Sequence[Sequence[HeardSong]],
    rng: np.random.Generator,
) -> Example:
    if rendered and rng.random() < RENDERED:
        voice = rendered[int(rng.integers(len(rendered)))]
        on = voice[int(rng.choice(len(voice), p=RENDERED_ON))]
        return example_on_found_beats(on, rng, Disturbance(), BEATS)
    if heard and rng.random() < FOUND:
        return example_on_found_beats(heard[int(rng.integers(len(heard)))], rng, Disturbance(), BEATS)
    return draw_example(song, rng, Disturbance(), BEATS)


def collate(examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows, labels, keys, and which beats are real, padded to the longest."""
    longest = max(len(example.rows) for example in examples)
    rows = np.zeros((len(examples), longest, examples[0].rows.shape[1]), np.float32)
    labels = np.full((len(examples), longest), -1)
    valid = np.zeros((len(examples), longest), bool)
    for number, example in enumerate(examples):
        rows[number, : len(example.rows)] = example.rows
        labels[number, : len(example.rows)] = example.labels
        valid[number, : len(example.rows)] = True
    keys = torch.tensor([example.key for example in examples])
    return torch.from_numpy(rows), torch.from_numpy(labels), keys, torch.from_numpy(valid)


@dataclass(frozen=True)
class ChordJudgement:
    """Means over songs of the shares of beats with the right triad and the right root; share of right keys."""

    triads: float
    roots: float
    keys: float

    def __str__(self) -> str:
        return f"triads {self.triads:.3f}, roots {self.roots:.3f}, keys {self.keys:.3f}"


@torch.no_grad()
def judge_chords(network: ChordNetwork, songs: Sequence[SongLesson]) -> ChordJudgement:
    """Beat by beat, on the right beats."""
    triads, roots, keys = [], [], []
    for number, song in enumerate(songs):
        example = draw_example(song, np.random.default_rng((0, number)), STRAIGHT, song.beats)
        chords, song_key = network(torch.from_numpy(example.rows)[None])
        found = chords[0].argmax(-1).numpy()
        known = example.labels >= 0
        if not known.any():
            continue
        of_a_root = len(CHORDS) // 12
        triads.append(np.mean(found[known] == example.labels[known]))
        roots.append(np.mean(found[known] // of_a_root == example.labels[known] // of_a_root))
        keys.append(int(song_key[0].argmax()) == example.key)
    if not triads:
        return ChordJudgement(float("nan"), float("nan"), float("nan"))
    return ChordJudgement(float(np.mean(triads)), float(np.mean(roots)), float(np.mean(keys)))
