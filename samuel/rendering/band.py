"""The band: a plan becomes the notes of drums, bass, chords, pad and lead.

Times are in seconds, pitches in MIDI numbers, velocities in 1 to 127.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from samuel.rendering.harmony import Chord
from samuel.rendering.plan import SECTION_BARS, Plan
from samuel.rendering.score import Note
from samuel.rendering.styles import CRASH, HIGH_TOM, KICK, LEADS, LOW_TOM, MID_TOM, SNARE

VELOCITIES = {"X": 112, "x": 88, "o": 58}
CHORD_CENTRE, PAD_CENTRE = 60, 64
LOWEST_BASS = 28


@dataclass(frozen=True)
class PlayedNote:
    """`start` and `end` in seconds."""

    start: float
    end: float
    pitch: int
    velocity: int


@dataclass
class Part:
    """One player. `stem` is "drums", "bass" or "other"; `pan` from -1 (left) to 1; `level` in decibels."""

    name: str
    stem: str
    program: int
    drums: bool = False
    pan: float = 0.0
    level: float = 0.0
    notes: list[PlayedNote] = field(default_factory=list)


class Arranger:
    """Walks through the bars of a plan and lets each player play its pattern."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.plan = plan
        self.rng = rng
        self.beats = plan.score.metre.beats
        self.steps = 4 if plan.score.metre.division == 2 else 6
        self.looseness = float(rng.uniform(0.001, 0.008))

    def parts(self) -> list[Part]:
        """All players that play at least one note."""
        players = [
            self._drums(),
            self._bass(),
            *self._comping(),
            self._pad(),
            self._solo(),
            self._answers(),
            *self._written_tracks(),
        ]
        return [part for part in players if part.notes]

    # -- helpers -----------------------------------------------------------------------------------

    def _pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def _bar(self, pattern: str) -> str:
        """The pattern's steps for one bar of this song's metre."""
        groups = pattern.split()
        return "".join(groups[beat % len(groups)] for beat in range(self.beats))

    def _chord_at(self, beat: float) -> Chord:
        for chord in self.plan.score.chords:
            if chord.start - 1e-6 <= beat < chord.end - 1e-6:
                return chord
        return Chord(beat, beat + 1)

    def _play(self, part: Part, beat: float, end_beat: float, pitch: int, velocity: int) -> None:
        tempo = self.plan.tempo
        start = tempo.seconds(beat) + float(self.rng.normal(0, self.looseness))
        end = max(tempo.seconds(end_beat), start + 0.03)
        loud = int(np.clip(velocity + self.rng.normal(0, 5), 1, 127))
        part.notes.append(PlayedNote(max(0.0, start), end, pitch, loud))

    # -- players -----------------------------------------------------------------------------------

    def _drums(self) -> Part:
        plan, part = self.plan, Part("drums", "drums", self._pick(self.plan.style.kits), drums=True)
        groove, calm = self._pick(plan.style.drums), self._pick(plan.style.drums)
        light = {KICK, *(drum for drum in calm if drum not in (SNARE, CRASH))}
        for bar in range(plan.bars - 1):
            level = plan.intensity[bar]
            first = float(bar * self.beats)
            if level == 0:
                continue
            pattern = groove if level >= 2 else {drum: steps for drum, steps in calm.items() if drum in light}
            last_of_section = (bar + 1) % SECTION_BARS == 0 or (
                bar + 1 < plan.bars - 1 and plan.intensity[bar + 1] > level
            )
            fill = bool(pattern) and level >= 1 and last_of_section and self.rng.random() < 0.8
            for drum, steps in pattern.items():
                for index, letter in enumerate(self._bar(steps)):
                    if letter == "." or (fill and index >= (self.beats - 1) * self.steps):
                        continue
                    beat = first + index / self.steps
                    self._play(part, beat, beat + 0.25, drum, VELOCITIES[letter] + 6 * (level - 2))
            if fill:
                self._fill(part, first + self.beats - 1)
            if pattern and level >= 2 and bar % SECTION_BARS == 0:
                self._play(part, first, first + 2, CRASH, 100)
        if part.notes:
            final = float((plan.bars - 1) * self.beats)
            self._play(part, final, final + 2, CRASH, 105)
            self._play(part, final, final + 1, KICK, 110)
        return part

    def _fill(self, part: Part, beat: float) -> None:
        """One beat around the toms."""
        for index in range(self.steps):
            if self.rng.random() < 0.8:
                drum = (SNARE, HIGH_TOM, MID_TOM, LOW_TOM)[min(3, index * 4 // self.steps)]
                self._play(
                    part, beat + index / self.steps, beat + (index + 1) / self.steps, drum, 84 + 6 * index
                )

    def _bass(self) -> Part:
        plan = self.plan
        part = Part("bass", "bass", self._pick(plan.style.basses))
        main, other = self._bar(self._pick(plan.style.bass)), self._bar(self._pick(plan.style.bass))
        floor = LOWEST_BASS + int(self.rng.integers(0, 5))
        for bar in range(plan.bars - 1):
            if plan.intensity[bar] == 0:
                continue
            steps = other if bar % 4 == 3 else main
            first = float(bar * self.beats)
            for start, length, letter in _strokes(steps, self.steps):
                beat = first + start
                chord = self._chord_at(beat)
                if chord.root is None:
                    continue
                pitch = self._bass_pitch(chord, letter, beat + length, floor, on_bar=start == 0)
                self._play(part, beat, beat + 0.94 * length, pitch, 96 if start == 0 else 86)
            for chord in plan.score.chords:  # a change between strokes is heard in the bass
                inside = first < chord.start < first + self.beats and chord.root is not None
                if inside and not any(
                    abs(first + s - chord.start) < 0.26 for s, _, _ in _strokes(steps, self.steps)
                ):
                    pitch = self._bass_pitch(chord, "r", chord.start, floor, on_bar=True)
                    self._play(part, chord.start, chord.start + 0.5, pitch, 92)
        final = float((plan.bars - 1) * self.beats)
        pitch = self._bass_pitch(self._chord_at(final), "r", final, floor, on_bar=True)
        self._play(part, final, final + 0.9 * self.beats, pitch, 98)
        return part

    def _bass_pitch(self, chord: Chord, letter: str, next_beat: float, floor: int, *, on_bar: bool) -> int:
        tones = chord.pitch_classes
        root = chord.bass_pitch_class if on_bar else chord.root
        assert root is not None
        low = floor + (root - floor) % 12
        if letter == "f":
            return floor + (tones[2] - floor) % 12
        if letter == "t":
            return floor + (tones[1] - floor) % 12
        if letter == "o":
            return low + 12
        if letter == "a":
            coming = self._chord_at(next_beat)
            if coming.root is not None and coming.root != chord.root:
                target = floor + ((coming.bass_pitch_class or coming.root) - floor) % 12
                return target + (-1 if self.rng.random() < 0.6 else 2)
        return low

    def _comping(self) -> list[Part]:
        style = self.plan.style
        pattern, programs = self._pick(style.comping)
        side = float(self.rng.uniform(0.1, 0.6)) * (1 if self.rng.random() < 0.5 else -1)
        players = [Part("chords", "other", self._pick(programs), pan=side)]
        self._strike(players[0], pattern, levels=(0, 1, 2, 3))
        if style.second and self.rng.random() < 0.75:
            pattern, programs = self._pick(style.second)
            players.append(Part("second chords", "other", self._pick(programs), pan=-side, level=-3.0))
            self._strike(players[1], pattern, levels=(2, 3) if self.rng.random() < 0.5 else (3,))
        return players

    def _strike(self, part: Part, pattern: str, *, levels: tuple[int, ...]) -> None:
        """Plays a chord pattern in the bars of the given intensities, with short moves between chords."""
        steps = self._bar(pattern)
        centre = CHORD_CENTRE + int(self.rng.integers(-5, 8))
        voicing: list[int] = []
        plan = self.plan
        for bar in range(plan.bars):
            if plan.intensity[bar] not in levels:
                continue
            final = bar == plan.bars - 1
            strokes = [(0.0, float(self.beats), "X")] if final else _strokes(steps, self.steps)
            for start, length, letter in strokes:
                beat = bar * self.beats + start
                chord = self._chord_at(beat)
                if chord.root is None:
                    continue
                voicing = _voice(chord, voicing, centre)
                if letter.isdigit():
                    index = int(letter)
                    pitch = voicing[index % len(voicing)] + 12 * (index // len(voicing))
                    end = min(chord.end, beat + max(length, 1.0))
                    self._play(part, beat, end, pitch, 84 if start else 94)
                    continue
                end = min(beat + length, chord.end) if length > 1 / self.steps else beat + 0.6 * length
                roll = 0.012 if part.program in (24, 25, 46, 105) else 0.002
                for offset, pitch in enumerate(voicing):
                    late = roll * offset
                    self._play(part, beat + late, end, pitch, VELOCITIES[letter] - 8)
                self._rest_of_stroke(part, chord, voicing, beat, beat + length, letter, centre)

    def _rest_of_stroke(
        self, part: Part, chord: Chord, voicing: list[int], beat: float, end: float, letter: str, centre: int
    ) -> None:
        """Where the harmony changes under a held chord, the new chord is struck."""
        for coming in self.plan.score.chords:
            if beat + 0.2 < coming.start < end - 0.2 and coming.root is not None:
                for pitch in _voice(coming, voicing, centre):
                    self._play(part, coming.start, min(end, coming.end), pitch, VELOCITIES[letter] - 12)

    def _pad(self) -> Part:
        plan = self.plan
        part = Part("pad", "other", self._pick(plan.style.pads), level=-6.0 + float(self.rng.normal(0, 1.5)))
        levels = self._pick(((3,), (2, 3), (0, 3), ()))
        voicing: list[int] = []
        for chord in plan.score.chords:
            bar = min(int(chord.start // self.beats), plan.bars - 1)
            if chord.root is None or plan.intensity[bar] not in levels:
                continue
            voicing = _voice(chord, voicing, PAD_CENTRE)
            for pitch in voicing:
                self._play(part, chord.start, chord.end, pitch, 70)
        return part

    def _solo(self) -> Part:
        """The melody on an instrument where the plan gives the singer a rest."""
        part = Part("solo", "other", self._pick(LEADS), pan=float(self.rng.uniform(-0.3, 0.3)), level=1.0)
        for note in self.plan.score.melody:
            if self.plan.solo[min(int(note.start // self.beats), self.plan.bars - 1)]:
                pitch = note.pitch + 12 if note.pitch < 60 else note.pitch
                self._play(part, note.start, note.end, pitch, 98)
        return part

    def _answers(self) -> Part:
        """Short phrases of chord tones where the singer pauses, in about half of the songs."""
        part = Part("answers", "other", self._pick(LEADS), pan=float(self.rng.uniform(-0.5, 0.5)), level=-1.0)
        if self.rng.random() < 0.5:
            return part
        melody, plan = self.plan.score.melody, self.plan
        step = 0.5 if plan.score.metre.division == 2 else 1 / 3
        for note, coming in pairwise(melody):
            beat = float(np.ceil(note.end + 0.25))
            bar = min(int(beat // self.beats), plan.bars - 1)
            quiet = plan.intensity[bar] == 0 or plan.solo[bar]
            if coming.start - beat < 1 or quiet or self.rng.random() < 0.3:
                continue
            last = min(coming.start - step, beat + 4) - 1e-6
            pitch = 67 + int(self.rng.integers(0, 10))
            while beat < last:
                tones = self._chord_at(beat).pitch_classes
                length = step * int(self.rng.choice([1, 1, 2, 3]))
                if tones and self.rng.random() < 0.85:
                    target = pitch + int(self.rng.integers(-5, 6))
                    near = [p for p in range(60, 88) if p % 12 in tones and p != pitch]
                    pitch = min(near, key=lambda p, aim=target: abs(p - aim))  # type: ignore[misc]
                    self._play(part, beat, min(beat + 0.95 * length, coming.start), pitch, 84)
                beat += length
        return part

    def _written_tracks(self) -> list[Part]:
        """Tracks of the score itself (POP909's piano), in about half of the songs that have them."""
        tracks = self.plan.score.accompaniment
        if not tracks or self.rng.random() < 0.4:
            return []
        players = []
        for index, (name, notes) in enumerate(tracks[:3]):
            program = 0 if "piano" in name.lower() else int(self._pick((0, 4, 11, 24, 25, 46, 48, 73)))
            part = Part(
                f"written {name.lower()}", "other", program, pan=(0.25, -0.35, 0.4)[index], level=-1.0
            )
            for note in notes:
                self._play(part, note.start, note.end, _into_range(note), 84)
            players.append(part)
        return players


def _into_range(note: Note) -> int:
    pitch = note.pitch
    while pitch < 28:
        pitch += 12
    while pitch > 96:
        pitch -= 12
    return pitch


def _strokes(steps: str, per_beat: int) -> list[tuple[float, float, str]]:
    """(start, length, letter) of each stroke of a bar, in beats; "-" prolongs the stroke before it."""
    found: list[tuple[float, float, str]] = []
    for index, letter in enumerate(steps):
        if letter == "-" and found:
            start, _, struck = found[-1]
            found[-1] = (start, (index + 1) / per_beat - start, struck)
        elif letter not in ".-":
            found.append((index / per_beat, 1 / per_beat, letter))
    return found


def _voice(chord: Chord, previous: list[int], centre: int) -> list[int]:
    """The close position of the chord (at most four tones) nearest to the previous one, or to `centre`."""
    tones = chord.pitch_classes
    if len(tones) > 4:
        tones = tones[:2] + tones[-2:]
    target = 0.7 * sum(previous) / len(previous) + 0.3 * centre if previous else float(centre)
    candidates = []
    for turn in range(len(tones)):
        for lowest in range(centre - 14, centre + 8):
            if lowest % 12 != tones[turn]:
                continue
            pitches = [lowest]
            for step in range(1, len(tones)):
                above = tones[(turn + step) % len(tones)]
                pitches.append(pitches[-1] + ((above - pitches[-1]) % 12 or 12))
            candidates.append(pitches)
    return min(candidates, key=lambda pitches: abs(sum(pitches) / len(pitches) - target))
