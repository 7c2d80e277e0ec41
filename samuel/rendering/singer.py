"""A singer: who sings (drawn at random), and how a melody is sung (control curves).

Curves have one value for each `HOP` audio samples (172 a second). Frequencies are in Hz, pitch in
MIDI numbers with fractions, gains linear with 1 for a full voice.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from samuel.config import SAMPLE_RATE
from samuel.rendering.phonetics import PLOSIVES, VOICED_ONSETS, VOWELS, Syllable

HOP = 256
FRAMES_PER_SECOND = SAMPLE_RATE / HOP
NOISES = ("s", "S", "f", "h", "p", "t", "k", "breath", "air")
PHRASE_GAP_SECONDS = 0.30
CONSONANT_GAINS = {"s": 4.0, "S": 3.2, "f": 1.5, "h": 0.9}


@dataclass(frozen=True)
class Singer:
    """One voice. Ranges in the comments are those of `draw_singer`."""

    tessitura: float  # comfortable pitch: 50 (bass) to 68 (soprano)
    tract: float  # formant factor against the male table: 0.94 to 1.24
    bandwidth: float  # factor on the formants' bandwidths: 0.8 to 1.4
    ring: float  # strength of the singer's formant near 3 kHz, decibels: 0 to 7
    open_quotient: float  # 0.45 (pressed) to 0.8 (breathy)
    tilt_hertz: float  # where the source starts to fall by 6 dB more an octave: 700 to 3500
    brightness: float  # lift of the highest partials, decibels an octave above 4 kHz: 6 to 14
    breathiness: float  # aspiration beside the voiced source: 0.01 to 0.12
    air: float  # hiss above 6 kHz while the voice sounds: 0.03 to 0.3
    vibrato_hertz: float  # 4.6 to 6.6
    vibrato_cents: float  # 0 to 65
    vibrato_delay: float  # seconds: 0.15 to 0.5
    portamento: float  # seconds: 0.03 to 0.12
    scoop_semitones: float  # how far below a phrase begins: 0 to 2
    lag: float  # seconds behind the beat: -0.015 to 0.045
    unsteadiness: float  # standard deviation of onsets, seconds: 0.004 to 0.022
    drift_cents: float  # slow wandering of the pitch: 3 to 16
    articulation: float  # loudness of consonants: 0.5 to 1.3

    @property
    def lowest(self) -> int:
        return int(self.tessitura) - 13

    @property
    def highest(self) -> int:
        return int(self.tessitura) + 14


@dataclass(frozen=True)
class SungNote:
    """`start` and `end` in seconds."""

    start: float
    end: float
    pitch: int
    syllable: Syllable


@dataclass(frozen=True)
class Controls:
    """What the voice does in each frame. `noises` has a column for each of `NOISES`."""

    pitch: Float[np.ndarray, " frames"]
    voicing: Float[np.ndarray, " frames"]
    effort: Float[np.ndarray, " frames"]
    aspiration: Float[np.ndarray, " frames"]
    formants: Float[np.ndarray, "frames 3"]
    noises: Float[np.ndarray, "frames noises"]


def draw_singer(rng: np.random.Generator) -> Singer:
    """From bass to soprano; a higher voice has the shorter vocal tract, with exceptions."""
    tessitura = float(rng.choice([51, 55, 60, 64, 67])) + float(rng.uniform(-1.5, 1.5))
    tract = float(np.clip(0.96 + (tessitura - 50) * 0.0125 + rng.normal(0, 0.03), 0.92, 1.26))
    return Singer(
        tessitura=tessitura,
        tract=tract,
        bandwidth=float(rng.uniform(0.8, 1.4)),
        ring=float(rng.uniform(0, 7)),
        open_quotient=float(rng.uniform(0.45, 0.8)),
        tilt_hertz=float(np.exp(rng.uniform(np.log(700), np.log(3500)))),
        brightness=float(rng.uniform(6, 14)),
        breathiness=float(np.exp(rng.uniform(np.log(0.01), np.log(0.12)))),
        air=float(np.exp(rng.uniform(np.log(0.03), np.log(0.3)))),
        vibrato_hertz=float(rng.uniform(4.6, 6.6)),
        vibrato_cents=float(rng.uniform(0, 65)),
        vibrato_delay=float(rng.uniform(0.15, 0.5)),
        portamento=float(rng.uniform(0.03, 0.12)),
        scoop_semitones=float(rng.uniform(0, 2)),
        lag=float(rng.uniform(-0.015, 0.045)),
        unsteadiness=float(rng.uniform(0.004, 0.022)),
        drift_cents=float(rng.uniform(3, 16)),
        articulation=float(rng.uniform(0.5, 1.3)),
    )


def perform(singer: Singer, notes: list[SungNote], seconds: float, rng: np.random.Generator) -> Controls:
    """Sings `notes` (sorted, one voice). Another state of `rng` gives another take.

    The vowel begins at the note's onset; its consonant comes before, out of the previous note's end.
    """
    frames = int(np.ceil(seconds * FRAMES_PER_SECOND)) + 1
    starts, ends = _loosen(singer, notes, rng)
    first_of_phrase = np.r_[True, starts[1:] - ends[:-1] > PHRASE_GAP_SECONDS] if notes else np.zeros(0, bool)
    last_of_phrase = np.r_[first_of_phrase[1:], True] if notes else first_of_phrase

    voicing = np.zeros(frames)
    noises = np.zeros((frames, len(NOISES)))
    formants = np.tile(np.array(VOWELS["V"], dtype=float), (frames, 1))
    clock = np.arange(frames) / FRAMES_PER_SECOND
    for index, note in enumerate(notes):
        syllable = note.syllable
        start, end = starts[index], ends[index]
        level = _loudness(singer, note, rng)
        attack = min(0.4 * (end - start), 0.035 if syllable.onset in PLOSIVES else 0.06)
        release = min(0.4 * (end - start), 0.16 if last_of_phrase[index] else 0.03)
        shape = np.interp(
            clock, [start - 0.01, start + attack, end - release, end], [0, level, 0.92 * level, 0]
        )
        voicing = np.maximum(voicing, shape)
        _place_formants(formants, syllable, start, end)
        _place_onset(singer, syllable, start, level, voicing, formants, noises)
        if syllable.coda and end - start > 0.25:
            _place_coda(singer, syllable.coda, end, level, voicing, formants, noises)
        gap = start - ends[index - 1] if index else start
        if first_of_phrase[index] and gap > 0.4 and rng.random() < 0.8:
            length = float(rng.uniform(0.18, 0.35))
            _add_noise(noises, "breath", start - 0.12 - length, length, float(rng.uniform(0.05, 0.22)))

    voicing = gaussian_filter1d(voicing, 2.0)
    noises[:, NOISES.index("air")] = singer.air * voicing
    shimmer = 1 + 0.05 * gaussian_filter1d(rng.normal(size=frames), 1.5) * 1.9
    return Controls(
        pitch=_pitch_curve(singer, notes, starts, ends, first_of_phrase, clock, rng),
        voicing=voicing * shimmer,
        effort=np.clip(voicing, 0, 1.2),
        aspiration=singer.breathiness * np.sqrt(np.clip(voicing, 0, None)),
        formants=np.stack([gaussian_filter1d(column, 3.5) for column in formants.T], axis=1),
        noises=np.stack([gaussian_filter1d(column, 0.8) for column in noises.T], axis=1),
    )


def _loosen(singer: Singer, notes: list[SungNote], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and ends as sung: late by the singer's lag, unsteady, and never overlapping."""
    starts = np.array([n.start for n in notes]) + singer.lag + rng.normal(0, singer.unsteadiness, len(notes))
    ends = np.array([n.end for n in notes]) + singer.lag + rng.normal(0, singer.unsteadiness, len(notes))
    if len(notes) > 1:
        starts = np.maximum.accumulate(np.maximum(starts, 0.02))
        gaps = starts[1:] - ends[:-1]
        ends[:-1] = np.where(gaps < 0.09, starts[1:], ends[:-1])
    return starts, np.maximum(ends, starts + 0.05)


def _loudness(singer: Singer, note: SungNote, rng: np.random.Generator) -> float:
    """High and long notes are sung louder."""
    height = (note.pitch - singer.tessitura) / 12
    length = min(1.0, note.end - note.start)
    return float(np.clip(0.62 + 0.22 * height + 0.12 * length + rng.normal(0, 0.05), 0.3, 1.0))


def _frame(seconds: float) -> int:
    return max(0, round(seconds * FRAMES_PER_SECOND))


def _place_formants(formants: np.ndarray, syllable: Syllable, start: float, end: float) -> None:
    """Holds the vowel from a little before its onset; a diphthong glides in its last third."""
    first, last = _frame(start - 0.02), _frame(end)
    turn = _frame(start + 0.65 * (end - start))
    formants[first:] = VOWELS[syllable.vowel]
    formants[turn:last] = VOWELS[syllable.glide]


def _place_onset(
    singer: Singer,
    syllable: Syllable,
    start: float,
    level: float,
    voicing: np.ndarray,
    formants: np.ndarray,
    noises: np.ndarray,
) -> None:
    """The consonant before the vowel: a murmur, a hiss, or a closure and a burst."""
    onset = syllable.onset
    loud = level * singer.articulation
    if onset in VOICED_ONSETS:
        length = 0.05 if onset in "bdg" else 0.085
        first, last = _frame(start - length), _frame(start)
        formants[first:last] = VOICED_ONSETS[onset]
        murmur = 0.12 if onset in "bdg" else 0.4
        voicing[first:last] = np.minimum(np.maximum(voicing[first:last], 0.3 * level), murmur * level)
    elif onset in PLOSIVES:
        voicing[_frame(start - 0.085) : _frame(start - 0.005)] *= 0.02
        _add_noise(noises, onset, start - 0.03, 0.025, 0.8 * loud)
        _add_noise(noises, "h", start - 0.012, 0.04, 0.25 * loud)
    elif onset:
        length = 0.11 if onset in "sS" else 0.075
        voicing[_frame(start - length) : _frame(start - 0.01)] *= 0.05
        _add_noise(noises, onset, start - length, length, CONSONANT_GAINS[onset] * loud)


def _place_coda(
    singer: Singer,
    coda: str,
    end: float,
    level: float,
    voicing: np.ndarray,
    formants: np.ndarray,
    noises: np.ndarray,
) -> None:
    """The consonant that closes the syllable, within the end of its note."""
    loud = level * singer.articulation
    if coda in VOICED_ONSETS:
        first, last = _frame(end - 0.09), _frame(end)
        formants[first:last] = VOICED_ONSETS[coda]
        voicing[first:last] = np.minimum(voicing[first:last], 0.45 * level)
    elif coda in PLOSIVES:
        voicing[_frame(end - 0.06) : _frame(end)] *= 0.02
        _add_noise(noises, coda, end - 0.02, 0.03, 0.5 * loud)
    else:
        voicing[_frame(end - 0.1) : _frame(end)] *= 0.1
        _add_noise(noises, coda, end - 0.11, 0.11, CONSONANT_GAINS[coda] * loud)


def _add_noise(noises: np.ndarray, name: str, start: float, length: float, gain: float) -> None:
    first, last = _frame(start), min(_frame(start + length), len(noises))
    if last > first:
        hump = np.sin(np.pi * (np.arange(last - first) + 0.5) / (last - first)) ** 0.7
        column = noises[first:last, NOISES.index(name)]
        np.maximum(column, gain * hump, out=column)


def _pitch_curve(
    singer: Singer,
    notes: list[SungNote],
    starts: np.ndarray,
    ends: np.ndarray,
    first_of_phrase: np.ndarray,
    clock: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Glides between notes, a scoop into phrases, vibrato on long notes, drift, and jitter."""
    frames = len(clock)
    if not notes:
        return np.full(frames, singer.tessitura)
    changes = starts - 0.4 * singer.portamento  # a glide is nearly over when the vowel begins
    pitch = np.array([n.pitch for n in notes], dtype=float)[
        np.clip(np.searchsorted(changes, clock, side="right") - 1, 0, None)
    ]
    pitch = gaussian_filter1d(pitch, singer.portamento / 3 * FRAMES_PER_SECOND)
    vibrato = np.zeros(frames)
    for index, note in enumerate(notes):
        first, last = _frame(starts[index]), min(_frame(ends[index]), frames)
        since = clock[first:last] - starts[index]
        if first_of_phrase[index]:
            depth = singer.scoop_semitones * float(rng.uniform(0.3, 1.0))
            pitch[first:last] -= depth * np.exp(-since / 0.05)
            early = _frame(starts[index] - 0.1)
            pitch[early:first] = note.pitch - depth
        if note.end - note.start > 0.3:
            swell = np.clip((since - singer.vibrato_delay) / 0.35, 0, 1)
            speed = singer.vibrato_hertz * (1 + rng.normal(0, 0.03))
            vibrato[first:last] = swell * np.sin(2 * np.pi * speed * since + rng.uniform(-0.5, 0.5))
    slow = gaussian_filter1d(rng.normal(size=frames), 30) * np.sqrt(2 * np.sqrt(np.pi) * 30)
    fast = gaussian_filter1d(rng.normal(size=frames), 1.0) * np.sqrt(2 * np.sqrt(np.pi))
    cents = singer.vibrato_cents * vibrato + singer.drift_cents * slow + 5.0 * fast
    return pitch + cents / 100
