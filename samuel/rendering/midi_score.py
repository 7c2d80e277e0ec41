"""MIDI with a melody track -> Score.

The melody is the track named MELODY (or VOCAL, LEAD, VOICE). Files in the layout of POP909 lie
beside `beat_midi.txt` and `chord_midi.txt`, which are used where present; else beats come from the
tempo map, and the chord of each beat is the triad that fits the other tracks best.
"""

from pathlib import Path

import numpy as np

from samuel.rendering.harmony import Chord, parse_chord
from samuel.rendering.score import Key, Metre, Note, Score, ScoreError, single_voice

MELODY_NAMES = ("melody", "vocal", "voice", "lead", "singer")
# Krumhansl and Kessler (1982), "Tracing the dynamic changes in perceived tonal organization", table 1.
_MAJOR_PROFILE = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR_PROFILE = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


def read_midi(path: Path) -> Score:
    """Raises ScoreError for a file that is not MIDI, or has no track named as a melody."""
    import pretty_midi

    try:
        midi = pretty_midi.PrettyMIDI(str(path))
    except Exception as error:
        raise ScoreError(f"{path.name} is not readable as MIDI ({type(error).__name__}: {error})") from error
    pitched = [track for track in midi.instruments if track.notes and not track.is_drum]
    named = [t for t in pitched if any(name in t.name.lower() for name in MELODY_NAMES)]
    if not named:
        names = ", ".join(repr(track.name) for track in pitched) or "no pitched track"
        raise ScoreError(f"expected a track named MELODY in {path.name}, got {names}; rename the sung track")

    beats, metre = _beats(path.parent / "beat_midi.txt", midi)
    to_beat = _seconds_to_beats(beats)

    def notes_of(track) -> list[Note]:
        return [Note(float(to_beat(n.start)), float(to_beat(n.end)), n.pitch) for n in track.notes]

    melody = single_voice(notes_of(named[0]))
    others = tuple((t.name or "track", tuple(notes_of(t))) for t in pitched if t is not named[0])
    chord_file = path.parent / "chord_midi.txt"
    if chord_file.is_file():
        chords = _read_chords(chord_file, to_beat)
    else:
        chords = _estimate_chords([note for _, notes in others for note in notes], metre)
    if not any(chord.root is not None for chord in chords):
        raise ScoreError(
            f"no chords in {path.name}: it needs an accompanying track, or chord_midi.txt beside it"
        )
    return Score(
        title=path.stem,
        artist="",
        melody=melody,
        chords=chords,
        metre=metre,
        key=estimate_key(melody, chords),
        beats_per_minute=60.0 / float(np.median(np.diff(beats))),
        accompaniment=others,
    )


def _beats(beat_file: Path, midi) -> tuple[np.ndarray, Metre]:
    """Beat times in seconds, the first of them a downbeat, and the metre."""
    if beat_file.is_file():
        rows = np.array(
            [[float(x) for x in line.split()[:3]] for line in beat_file.read_text().splitlines() if line]
        )
        times, downbeats = rows[:, 0], np.flatnonzero(rows[:, 2] > 0)
    else:
        times = midi.get_beats()
        downbeats = np.searchsorted(times, midi.get_downbeats() - 1e-3)
    if len(times) < 8 or len(downbeats) < 2:
        raise ScoreError("fewer than two bars of beats")
    per_bar = int(np.bincount(np.diff(downbeats)).argmax())
    first = int(downbeats[0]) % per_bar
    interval = float(np.median(np.diff(times)))
    lead_in = times[0] - interval * np.arange((per_bar - first) % per_bar, 0, -1)
    metre = Metre(3 if per_bar == 6 else per_bar)
    return np.concatenate([lead_in, times]), metre


def _seconds_to_beats(beats: np.ndarray):
    """Piecewise linear through the beats, and on at the median tempo beyond both ends."""
    interval = np.median(np.diff(beats))
    times = np.concatenate([[beats[0] - 100 * interval], beats, [beats[-1] + 100 * interval]])
    numbers = np.concatenate([[-100.0], np.arange(len(beats)), [len(beats) + 99.0]])
    return lambda seconds: max(0.0, float(np.interp(seconds, times, numbers)))


def _read_chords(chord_file: Path, to_beat) -> tuple[Chord, ...]:
    chords = []
    for line in chord_file.read_text().splitlines():
        start, end, label = line.split()[:3]
        first, last = round(to_beat(float(start))), round(to_beat(float(end)))
        if last > first:
            chords.append(parse_chord(label, float(first), float(last)))
    return tuple(chords)


def _estimate_chords(notes: list[Note], metre: Metre) -> tuple[Chord, ...]:
    """One major or minor triad for each half bar (a whole bar in three): the best fit to its notes."""
    if not notes:
        return ()
    span = metre.beats / 2 if metre.beats % 2 == 0 else float(metre.beats)
    chords = []
    for index in range(int(max(note.end for note in notes) // span) + 1):
        start, end = index * span, (index + 1) * span
        weights = np.zeros(12)
        for note in notes:
            weights[note.pitch % 12] += max(0.0, min(end, note.end) - max(start, note.start))
        if weights.sum() < 0.25:
            chords.append(Chord(start, end))
            continue
        triads = [(root, quality) for root in range(12) for quality in ("maj", "min")]
        fits = [
            weights[list(Chord(0.0, 1.0, root, quality).pitch_classes)].sum() + 0.2 * weights[root]
            for root, quality in triads
        ]
        chords.append(Chord(start, end, *triads[int(np.argmax(fits))]))
    return tuple(chords)


def estimate_key(melody: tuple[Note, ...], chords: tuple[Chord, ...]) -> Key:
    """Correlates the weights of pitch classes with the profiles of Krumhansl and Kessler."""
    weights = np.zeros(12)
    for note in melody:
        weights[note.pitch % 12] += note.end - note.start
    for chord in chords:
        for pitch in chord.pitch_classes:
            weights[pitch] += 0.5 * (chord.end - chord.start)
    scores = {
        Key(tonic, mode): np.corrcoef(np.roll(profile, tonic), weights)[0, 1]
        for mode, profile in (("major", _MAJOR_PROFILE), ("minor", _MINOR_PROFILE))
        for tonic in range(12)
    }
    return max(scores, key=lambda key: scores[key])
