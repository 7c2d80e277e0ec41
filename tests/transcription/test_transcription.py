"""A band whose lead sheet is known, played by rules, is written down again."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from samuel.arranging import SoundFontSynthesiser, play
from samuel.arranging.soundfont import SHIPPED
from samuel.config import SAMPLE_RATE
from samuel.evaluation.chosen import chords_right
from samuel.harmonizing.accents import HOP
from samuel.harmonizing.beats import find_grid
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks
from samuel.transcription import heard_chords, transcribe
from samuel.transcription.beats import beat_curve, downbeat_curve

SECONDS = 20.0


@cache
def band() -> tuple[LeadSheet, torch.Tensor]:
    sheet = Locks.parse(bpm=100.0, first_beat=0.5, chords="| Am | F | C | G |").apply(LeadSheet(), SECONDS)
    return sheet, torch.from_numpy(play(sheet, seconds=SECONDS, soundfont=SoundFontSynthesiser(SHIPPED)))


def test_a_band_is_written_down() -> None:
    sheet, audio = band()
    found = transcribe(audio)
    assert found.bpm is not None
    assert min(abs(found.bpm / 100 / octave - 1) for octave in (0.5, 1, 2)) < 0.02
    beats = np.array(found.beats)
    if found.bpm < 150:
        assert all(np.abs(np.array(sheet.beats) - beat).min() < 0.05 for beat in beats[2:-2])
    times = np.arange(1, SECONDS - 1, 0.1)
    right = [
        (one := sheet.chord_at(time)) is not None
        and (other := found.chord_at(time)) is not None
        and (one.root, one.quality[:3]) == (other.root, other.quality[:3])
        for time in times
    ]
    assert np.mean(right) > 0.8
    assert found.key is not None
    assert found.key.label in ("A:min", "C:maj", "C major", "A minor")
    assert found.energy


def test_chords_are_named_on_their_own_borders() -> None:
    sheet, audio = band()
    heard = heard_chords(audio)
    assert heard[0].start == 0
    assert heard[-1].end == pytest.approx(SECONDS, abs=0.05)
    assert all(one.end == following.start for one, following in pairwise(heard))
    triads, roots = chords_right(sheet.chords, heard, SECONDS)
    assert min(triads, roots) > 0.8
    assert chords_right(sheet.transposed(2).chords, heard, SECONDS)[0] < 0.2


@pytest.mark.parametrize(
    "audio", [torch.zeros(2, 3 * SAMPLE_RATE), torch.full((2, 1000), 0.1), torch.zeros(2, 0)]
)
def test_of_silence_and_of_very_little_nothing_is_known(audio: torch.Tensor) -> None:
    assert transcribe(audio) == LeadSheet()
    assert heard_chords(audio) == ()


def test_noise_is_no_error() -> None:
    noise = 0.1 * torch.randn(2, 3 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    assert len(transcribe(noise).beats) > 1


def test_chords_that_change_tell_beats_from_strokes_off_the_beat() -> None:
    points = np.arange(round(SECONDS / HOP)) * HOP
    true = np.arange(0.5, SECONDS, 0.6)

    def strokes(times: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * (np.abs(points[:, None] - times).min(axis=1) / 0.02) ** 2)

    onsets = np.tile(0.8 * strokes(true) + strokes(true + 0.3), (2, 1))
    onsets /= onsets.mean(axis=1, keepdims=True)

    def off_by(changes: list[float]) -> float:
        curves = np.stack([beat_curve(onsets, changes), downbeat_curve(onsets, changes)])
        grid = find_grid(curves, SECONDS, Locks())
        return float(np.median([np.abs(true - beat).min() for beat in grid.beats]))

    assert off_by([]) > 0.25
    assert off_by(true[::2].tolist()) < 0.05
