"""Scores -> what the chord network learns from: notes as they are sung, and the chords under them.

A singer is late, glides, drops notes and misses them by a semitone; a beat tracker takes half or double the tempo,
the wrong beat for the first of the bar, or the off-beat. `Disturbance` says how often.
"""

import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samuel.catalogue.songs import Split, split_of
from samuel.harmonizing.key import KEYS, key_scores, moved_key, signature_of
from samuel.harmonizing.network import CHORDS, inputs, triad_of
from samuel.harmonizing.sung import sung_beats
from samuel.rendering.library import score_name
from samuel.rendering.score import Score

TRIADS_OF_A_ROOT = 3


@dataclass(frozen=True)
class SongLesson:
    """A song on its beats. `chords`: (start, end, index in CHORDS), beats; `key` is an index in KEYS."""

    song_id: str
    beats: int
    metre_beats: int
    key: int
    notes: tuple[tuple[float, float, int], ...]
    chords: tuple[tuple[float, float, int], ...]

    @classmethod
    def of(cls, song_id: str, score: Score) -> "SongLesson":
        return cls(
            song_id,
            score.bars * score.metre.beats,
            score.metre.beats,
            KEYS.index(score.key),
            tuple((round(n.start, 3), round(n.end, 3), n.pitch) for n in score.melody),
            tuple((round(c.start, 3), round(c.end, 3), triad_of(c)) for c in score.chords),
        )


@dataclass(frozen=True)
class Disturbance:
    """How far a sung song is from its score; shares of the notes or of the songs."""

    dropped: float = 0.08
    wrong: float = 0.06
    late: float = 0.06  # beats, standard deviation
    short: float = 0.25  # at most so much of a note's length is not sung
    glide: float = 0.12  # beats at most, on the way from the note before
    beside: float = 0.03  # beats that the whole grid is off, standard deviation
    other_tempo: float = 0.15
    other_bar: float = 0.15
    off_beat: float = 0.05
    other_key: float = 0.1  # the second best instead of the best fitting signature
    known_key: float = 0.2


STRAIGHT = Disturbance(other_tempo=0.0, other_bar=0.0, off_beat=0.0, other_key=0.0, known_key=0.0)
"""A singer's faults alone, on the right beats: what held-out songs are judged with."""


@dataclass(frozen=True)
class Example:
    """`rows` and `labels` a beat, moved to a key without signs: `rotation` semitones were taken off."""

    rows: np.ndarray
    labels: np.ndarray
    key: int
    rotation: int


def draw_example(song: SongLesson, rng: np.random.Generator, how: Disturbance, most_beats: int) -> Example:
    """One singing of a song, or of `most_beats` of it."""
    factor = float(rng.choice([0.5, 2.0])) if rng.random() < how.other_tempo else 1.0
    shift = float(rng.normal(0, how.beside)) + (0.5 if rng.random() < how.off_beat else 0.0)
    place = int(rng.integers(song.metre_beats)) if rng.random() < how.other_bar else 0
    length = int(np.ceil(song.beats * factor))
    beats = min(length, most_beats)
    first = int(rng.integers(0, length - beats + 1)) // song.metre_beats * song.metre_beats
    notes, glides = (
        [(start * factor - first + shift, end * factor - first + shift, pitch) for start, end, pitch in sung]
        for sung in sing(song.notes, rng, how)
    )
    labels = np.full(beats, -1)
    for start, end, chord in song.chords:
        low, high = (round(edge * factor + shift - first) for edge in (start, end))
        labels[max(0, low) : max(0, high)] = chord
    sung = sung_beats(notes, beats, glides)
    places = (np.arange(beats) + place) % song.metre_beats
    return example_of(song.key, sung, places, song.metre_beats, labels, rng, how)


def example_of(
    key: int,
    sung: np.ndarray,
    places: np.ndarray,
    metre_beats: int,
    labels: np.ndarray,
    rng: np.random.Generator,
    how: Disturbance,
) -> Example:
    """What is sung in each beat of a song in `key` with its place in the bar, moved to a key without signs."""
    fits = key_scores(sung[:, 0].sum(axis=(0, 1)).astype(float))
    given = key if rng.random() < how.known_key else None
    rotation = (
        signature(fits, 1 if rng.random() < how.other_key else 0) if given is None else signature_of(given)
    )
    return Example(
        inputs(
            np.roll(sung, -rotation, axis=3),
            places,
            metre_beats,
            None if given is None else moved_key(given, -rotation),
        ),
        moved_chords(labels, -rotation),
        moved_key(key, -rotation),
        rotation,
    )


def sing(
    notes: Sequence[tuple[float, float, int]], rng: np.random.Generator, how: Disturbance
) -> tuple[list[tuple[float, float, int]], list[tuple[float, float, int]]]:
    """The notes as somebody sings them, in beats, and the ways on which they are reached."""
    count = len(notes)
    kept = rng.random(count) >= how.dropped
    wrong = np.where(rng.random(count) < how.wrong, rng.choice([-1, 1], count), 0)
    late = np.abs(rng.normal(0, how.late, count))
    short = rng.uniform(0, how.short, count)
    glide = rng.uniform(0, how.glide, count)
    sung: list[tuple[float, float, int]] = []
    glides: list[tuple[float, float, int]] = []
    before = None
    for number, (start, end, pitch) in enumerate(notes):
        if not kept[number]:
            before = None
            continue
        low = start + min(late[number], 0.4 * (end - start))
        high = end - short[number] * (end - low)
        pitch += int(wrong[number])
        if before is not None and pitch != before and glide[number] < 0.5 * (high - low):
            way = before + (pitch - before) // 2 if abs(pitch - before) > 1 else before
            glides.append((low, low + glide[number], way))
            low += glide[number]
        sung.append((low, high, pitch))
        before = pitch
    return sung, glides


def signature(fits: np.ndarray, rank: int = 0) -> int:
    """The tonic of the major key whose signature fits best (of its major and its minor key), or next best."""
    both = np.maximum(fits[:12], np.roll(fits[12:], 3))
    return int(np.argsort(-both, kind="stable")[rank])


def moved_chords(chords: np.ndarray, semitones: int) -> np.ndarray:
    """Indices in CHORDS, transposed; -1 stays."""
    return np.where(chords < 0, -1, (chords + TRIADS_OF_A_ROOT * semitones) % len(CHORDS))


def side_of(song_id: str) -> Split:
    """The side of the split (`samuel.catalogue.songs.split_of`) on which a score and all that is rendered of it lie.

    By `score_name`: wherever the score lay, and however it was unpacked.
    """
    return split_of(score_name(song_id))


def split(
    songs: Sequence[SongLesson], also: Collection[str] = ()
) -> tuple[list[SongLesson], list[SongLesson]]:
    """Songs to learn from, and songs to judge with: those of training and of validation (`side_of`).

    Songs whose names (`score_name`) are in `also` teach nothing either.
    """
    train = [
        song for song in songs if side_of(song.song_id) == "train" and score_name(song.song_id) not in also
    ]
    return train, [song for song in songs if side_of(song.song_id) == "validation"]


def append_lesson(song: SongLesson, path: Path) -> None:
    """A line of JSON; one that a stopped run half wrote before is closed by the line's beginning."""
    with path.open("a") as file:
        file.write("\n" + json.dumps(song.__dict__))


def read_lessons(path: Path) -> list[SongLesson]:
    rows = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):  # half written
            rows.append(json.loads(line))
    return [
        SongLesson(
            **{**row, "notes": tuple(map(tuple, row["notes"])), "chords": tuple(map(tuple, row["chords"]))}
        )
        for row in rows
    ]
