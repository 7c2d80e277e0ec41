"""What the beat network is trained and judged by: scores sung at made-up tempi, and rendered voices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samuel.harmonizing.beat_network import BEAT, DOWNBEAT, FRAME, BeatNetwork, beat_inputs
from samuel.harmonizing.examples import SongLesson
from samuel.harmonizing.phrasing import slowed
from samuel.harmonizing.song_singing import sing_part
from samuel.lead_sheet import LeadSheet
from samuel.vocals.features import VocalFeatures

EXAMPLES, SECONDS = 8, 30.0  # of a step
RENDERED = 0.4  # share of the examples that are rendered voices, where there are any
FREE = 0.5  # share of the made-up ones that are sung freely
SLOWED = 0.15  # of those in four that are written with half as many beats
POSITIVE = 4.0  # weight of beats beside the many frames that are none


@dataclass(frozen=True)
class VoiceLesson:
    """A voice with its true beats, in seconds; of a rendered song, with its whole lead sheet."""

    song_id: str
    features: VocalFeatures
    seconds: float
    beats: tuple[float, ...]
    downbeats: tuple[float, ...]
    sheet: LeadSheet | None = None

    def between(self, start: float, stop: float) -> "VoiceLesson":
        inside = (self.features.times >= start) & (self.features.times < stop)
        features = VocalFeatures(
            self.features.times[inside] - start, self.features.pitch[inside], self.features.level[inside]
        )
        beats, downbeats = (
            tuple(t - start for t in times if start <= t < stop) for times in (self.beats, self.downbeats)
        )
        return VoiceLesson(self.song_id, features, stop - start, beats, downbeats)


def beat_loss(
    network: BeatNetwork,
    rng: np.random.Generator,
    lessons: Sequence[SongLesson],
    rendered: Sequence[VoiceLesson],
) -> Tensor:
    rows, targets = [], []
    for _ in range(EXAMPLES):
        if rendered and rng.random() < RENDERED:
            song = rendered[int(rng.integers(len(rendered)))]
            start = float(rng.uniform(0, max(0.01, song.seconds - SECONDS)))
            voice = song.between(start, start + SECONDS)
        else:
            voice = made_up(lessons[int(rng.integers(len(lessons)))], rng, SECONDS)
        rows.append(beat_inputs(voice.features, SECONDS))
        targets.append(beat_targets(voice, len(rows[-1])))
    found = network(torch.from_numpy(np.stack(rows)))
    weight = torch.tensor([POSITIVE, 2 * POSITIVE])
    return F.binary_cross_entropy_with_logits(found, torch.from_numpy(np.stack(targets)), pos_weight=weight)


def made_up(
    song: SongLesson, rng: np.random.Generator, seconds: float, as_written: bool = False
) -> VoiceLesson:
    """A part of a song, sung at a tempo that it can be sung at; freely, or with half as many beats, now and then."""
    if not as_written and song.metre_beats == 4 and rng.random() < SLOWED:
        song = slowed(song)
    part = sing_part(song, rng, seconds, free=0.0 if as_written else FREE)
    times = part.tempo.beat_seconds
    inside = (times >= 0) & (times < seconds)
    down = inside & (np.arange(len(times)) % song.metre_beats == 0)
    return VoiceLesson(song.song_id, part.features, seconds, tuple(times[inside]), tuple(times[down]))


def beat_targets(voice: VoiceLesson, frames: int) -> np.ndarray:
    """Beats and downbeats as triangles of a frame's width on each side: (frames, 2), 0 to 1."""
    targets = np.zeros((frames, 2), np.float32)
    for channel, times in ((BEAT, voice.beats), (DOWNBEAT, voice.downbeats)):
        for time in times:
            place = time / FRAME - 0.5
            for frame in range(int(np.floor(place)), int(np.floor(place)) + 2):
                if 0 <= frame < frames:
                    targets[frame, channel] = max(targets[frame, channel], 1 - abs(place - frame))
    return targets


@dataclass(frozen=True)
class BeatJudgement:
    """Shares of songs with a tempo within 4% of the true one, or of it, its half or its double; F1 of beats where the
    latter holds; F1 of downbeats over all (mir_eval, 70 ms)."""

    tempo: float
    tempo_level: float
    beats: float
    downbeats: float

    def __str__(self) -> str:
        return (
            f"tempo {self.tempo:.2f}, or half or double {self.tempo_level:.2f}, beats F1 {self.beats:.2f}, "
            f"downbeats F1 {self.downbeats:.2f}"
        )


def judge_beats(network: BeatNetwork, voices: Sequence[VoiceLesson]) -> BeatJudgement:
    """Of whole voices."""
    import mir_eval

    if not voices:
        return BeatJudgement(float("nan"), float("nan"), float("nan"), float("nan"))
    from samuel.harmonizing.beats import find_grid, voice_curves
    from samuel.lead_sheet.locks import Locks

    tempi, levels, beats, downbeats = [], [], [], []
    for voice in voices:
        grid = find_grid(voice_curves(voice.features, voice.seconds, network), voice.seconds, Locks())
        found = float(np.median(np.diff(grid.beats)))
        true = float(np.median(np.diff(voice.beats)))
        tempi.append(abs(found / true - 1) < 0.04)
        levels.append(any(abs(found / true / factor - 1) < 0.04 for factor in (0.5, 1, 2)))
        if levels[-1]:
            beats.append(mir_eval.beat.f_measure(np.array(voice.beats), np.array(grid.beats)))
        downbeats.append(mir_eval.beat.f_measure(np.array(voice.downbeats), np.array(grid.downbeats)))
    return BeatJudgement(*(float(np.mean(values)) for values in (tempi, levels, beats or [0.0], downbeats)))
