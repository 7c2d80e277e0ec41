"""What a voice suggests to a band: features -> lead sheet."""

from dataclasses import replace

import numpy as np

from samuel.harmonizing.beats import find_grid, voice_curves
from samuel.harmonizing.chords import chords_over, likeliest_chords, plain_chords, score_chords
from samuel.harmonizing.key import KEYS
from samuel.harmonizing.melody import sung_on
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.locks import Locks
from samuel.lead_sheet.signatures import Key
from samuel.vocals.features import VocalFeatures

PLAIN_BEATS = 1.0  # of pitch: with less, the chords are a plain loop
SURE_KEY, SURE_CHORDS = 0.5, 0.3
SURE_CHORD = 0.3  # of one chord, over its beats
ONE_TONE = 0.9  # share of the most sung pitch class: above, any chords are a guess, since many fit one tone
PLAIN_KEY = Key(0, "major")


def find_lead_sheet(
    features: VocalFeatures, seconds: float, locks: Locks | None = None, variation: int = 0
) -> LeadSheet:
    """A lead sheet for a recording of `seconds`: what `locks` gives holds exactly, the rest is found around it.

    `variation` 0 is the likeliest; 1, 2, ... keep the beats and choose other chords. Never fails on what a voice
    does: rap, noise and silence get a plain lead sheet. Parts found with little certainty are named in its
    `unsure`. Raises LeadSheetError only for locks that contradict each other.
    """
    locks = locks or Locks()
    grid = find_grid(voice_curves(features, seconds), seconds, locks)
    sheet = LeadSheet(beats=grid.beats, downbeats=grid.downbeats, metre=grid.metre, unsure=grid.unsure)
    return harmonized(locks.apply(sheet, seconds), features, locks, variation)


def harmonized(
    sheet: LeadSheet, features: VocalFeatures, locks: Locks | None = None, variation: int = 0
) -> LeadSheet:
    """Key and chords for a voice on the beats and bars of `sheet`, which has one beat or more; else as
    `find_lead_sheet`, whose second half this is. The chords that `sheet` has are the ones that `locks` give.
    """
    locks = locks or Locks()
    edges = beat_edges(sheet)
    place = bar_places(sheet)
    sung = sung_on(features, edges)
    for chord in sheet.chords:  # given ones say what the key is, too
        inside = (edges[:-1] >= chord.start - 1e-3) & (edges[:-1] < chord.end)
        for pitch_class in chord.pitch_classes:
            sung[inside, 0, :, pitch_class] += 0.5
    pitched = bool(sung[:, 0].sum() / 4 > PLAIN_BEATS)
    scores, keys = score_chords(sung, place, sheet.metre.beats, locks.key)
    key = locks.key or (KEYS[int(keys.argmax())] if pitched else PLAIN_KEY)
    unsure = [*sheet.unsure] + (["key"] if not locks.key and (not pitched or keys.max() < SURE_KEY) else [])
    if not locks.chart:
        if pitched:
            path = likeliest_chords(scores, place, sheet.metre.beats, variation)
            chords = chords_over(path, edges.tolist())
            certain = np.exp(scores[np.arange(len(path)), path])
            tones = sung[:, 0].sum(axis=(0, 1))
            if tones.max() > ONE_TONE * tones.sum():
                certain[:] = 0
            sure = float(certain.mean()) > SURE_CHORDS
            guesses = _guesses(chords, certain, edges)
        else:
            chords, sure = plain_chords(key, _spans(edges, place), variation), False
            guesses = ((float(edges[0]), float(edges[-1])),)
        unsure += [] if sure else ["chords"]
        sheet = replace(sheet, chords=chords, guesses=guesses)
    return replace(sheet, key=key, unsure=tuple(unsure))


def beat_edges(sheet: LeadSheet) -> np.ndarray:
    """The beats, and the end of the last."""
    beats = np.array(sheet.beats)
    return np.append(beats, beats[-1] + 60 / (sheet.bpm or 120))


def bar_places(sheet: LeadSheet) -> np.ndarray:
    """Each beat's number in its bar, from 0."""
    beats = np.array(sheet.beats)
    number = np.arange(len(beats))
    down = np.flatnonzero(np.isin(beats, sheet.downbeats))
    if not len(down):
        return number % sheet.metre.beats
    last = np.searchsorted(down, number, side="right") - 1
    return np.where(last < 0, (number - down[0]) % sheet.metre.beats, number - down[np.maximum(last, 0)])


def _guesses(
    chords: tuple[Chord, ...], certain: np.ndarray, edges: np.ndarray
) -> tuple[tuple[float, float], ...]:
    """Where chords are unlikely to be right, by what the network gives them in the mean of their beats."""
    found: list[tuple[float, float]] = []
    for chord in chords:
        beats = (edges[:-1] >= chord.start - 1e-6) & (edges[:-1] < chord.end - 1e-6)
        if certain[beats].mean() >= SURE_CHORD:
            continue
        if found and found[-1][1] == chord.start:
            found[-1] = found[-1][0], chord.end
        else:
            found.append((chord.start, chord.end))
    return tuple(found)


def _spans(edges: np.ndarray, place: np.ndarray) -> list[tuple[float, float]]:
    """The bars, with what lies before the first downbeat."""
    starts = np.flatnonzero((place == 0) | (np.arange(len(place)) == 0))
    stops = np.append(starts[1:], len(place))
    return [(float(edges[a]), float(edges[b])) for a, b in zip(starts, stops, strict=True)]
