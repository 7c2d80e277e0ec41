"""The melody on its beats -> key and chords: the network's scores a beat, and the likeliest path through them.

Chords change at the bar line, less often in its middle, seldom elsewhere. Where nothing is sung, a plain loop.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from samuel.harmonizing.key import KEYS, key_scores, moved_key, signature_of
from samuel.harmonizing.network import CHORDS, TRIADS, ChordNetwork, inputs
from samuel.harmonizing.training import load_weights
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.signatures import Key

WEIGHTS = Path(__file__).parent / "weights"
NETWORKS = tuple(f"chords-{number}.safetensors" for number in (1, 2, 3))
"""Two learnt from rendered voices and free singing, the second on true beats: together they err less."""
SIGNATURES, CERTAINTY = 3, 12.0  # key signatures that are tried, and the sharpness of their weights
CHANGE = (-0.3, -1.5, -2.5)  # log weights of a new chord on the first beat of a bar, in its middle, elsewhere
AGAIN = (
    -1.5
)  # log weight, a beat, of a chord that an earlier variation has there; again until another path wins,
TRIES = 30  # times
LOOPS = {
    "major": ("C:maj G:maj A:min F:maj", "C:maj A:min F:maj G:maj"),
    "minor": ("A:min F:maj C:maj G:maj", "A:min C:maj G:maj F:maj"),
}
"""Plain chords for a voice without pitches, a bar each, in C major and A minor."""


@cache
def chord_networks() -> tuple[ChordNetwork, ...]:
    return tuple(load_weights(ChordNetwork, WEIGHTS / name) for name in NETWORKS)


def score_chords(
    sung: Float32[np.ndarray, "beats 2 4 12"],
    place: Int[np.ndarray, " beats"],
    metre_beats: int,
    key: Key | None,
    networks: Sequence[ChordNetwork] | None = None,
) -> tuple[Float[np.ndarray, "beats 36"], Float[np.ndarray, "24"]]:
    """Log probabilities of CHORDS a beat, and probabilities of KEYS; `key` where given.

    In the mean of the networks (default: those in the package).
    """
    fits = key_scores(sung[:, 0].sum(axis=(0, 1)).astype(float))
    given = None if key is None else KEYS.index(key)
    if given is None:
        both = np.maximum(fits[:12], np.roll(fits[12:], 3))
        rotations = np.argsort(-both, kind="stable")[:SIGNATURES]
        shares = np.exp(CERTAINTY * (both[rotations] - both.max()))
    else:
        rotations, shares = np.array([signature_of(given)]), np.ones(1)
    shares = shares / shares.sum()
    rows = [
        inputs(
            np.roll(sung, -by, axis=3), place, metre_beats, None if given is None else moved_key(given, -by)
        )
        for by in rotations.tolist()
    ]
    batch = torch.from_numpy(np.stack(rows))
    with torch.inference_mode():
        each = [network(batch) for network in networks or chord_networks()]
    chords, keys = (torch.stack([one[part].exp() for one in each]).mean(dim=0).numpy() for part in (0, 1))
    chord_shares, key_shares = np.zeros((len(sung), len(CHORDS))), np.zeros(24)
    for by, share, chord, song_key in zip(rotations, shares, chords, keys, strict=True):
        chord_shares += share * np.roll(chord, len(TRIADS) * by, axis=1)
        key_shares += share * np.concatenate([np.roll(song_key[:12], by), np.roll(song_key[12:], by)])
    return np.log(np.maximum(chord_shares, 1e-9)), key_shares


def likeliest_chords(
    scores: Float[np.ndarray, "beats 36"],
    place: Int[np.ndarray, " beats"],
    metre_beats: int,
    variation: int = 0,
) -> Int[np.ndarray, " beats"]:
    """A chord a beat, as indices in CHORDS. Each further variation avoids what those before have, and is another."""
    scores = scores.copy()
    change = np.where(place == 0, CHANGE[0], CHANGE[2])
    change[(place * 2 == metre_beats) & (place > 0)] = CHANGE[1]
    path = viterbi(scores, change)
    before: list[np.ndarray] = []
    for _ in range(variation):
        before.append(path)
        for _ in range(TRIES):  # so few beats may have no other chords
            if not any(np.array_equal(path, one) for one in before):
                break
            scores[np.arange(len(path)), path] += AGAIN
            path = viterbi(scores, change)
    return path


def viterbi(scores: Float[np.ndarray, "steps states"], change: Float[np.ndarray, " steps"]) -> np.ndarray:
    """The path with the largest sum of scores, where each step to another state costs `change[step]`."""
    total, back = scores[0].copy(), []
    for row, cost in zip(scores[1:], change[1:], strict=True):
        best = int(total.argmax())
        stay = total >= total[best] + cost
        back.append(np.where(stay, np.arange(len(total)), best))
        total = np.where(stay, total, total[best] + cost) + row
    path = [int(total.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return np.array(path[::-1])


def plain_chords(key: Key, spans: Sequence[tuple[float, float]], variation: int = 0) -> tuple[Chord, ...]:
    """A loop of four bars over `spans`."""
    from samuel.lead_sheet.chord import parse_chord

    loop = LOOPS[key.mode][variation % len(LOOPS[key.mode])].split()
    by = key.tonic if key.mode == "major" else key.tonic + 3
    return joined(
        [parse_chord(loop[n % len(loop)], start, end).transposed(by) for n, (start, end) in enumerate(spans)]
    )


def chords_over(path: Int[np.ndarray, " beats"], edges: Sequence[float]) -> tuple[Chord, ...]:
    """The chords of a path in seconds; beat n lasts from edges[n] to edges[n + 1]."""
    return joined([Chord(edges[n], edges[n + 1], *CHORDS[at]) for n, at in enumerate(path.tolist())])


def joined(chords: Sequence[Chord]) -> tuple[Chord, ...]:
    """Equal neighbours are one chord."""
    found: list[Chord] = []
    for chord in chords:
        last = found[-1] if found else None
        if last and (last.root, last.quality, last.bass) == (chord.root, chord.quality, chord.bass):
            found[-1] = Chord(last.start, chord.end, last.root, last.quality, last.bass)
        else:
            found.append(chord)
    return tuple(found)
