"""The plan of a song: everything that is drawn at random before a note is played.

`draw_plan` takes a score and a generator and settles key, tempo, style and form; nothing later
changes them, so that the annotations come from the plan alone.
"""

from dataclasses import dataclass, replace

import numpy as np

from samuel.arranging.form import SECTION_BARS
from samuel.arranging.styles import Style, metre_kind, styles_for
from samuel.arranging.tempo import Tempo
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.notation.written import Note
from samuel.rendering.score import Score
from samuel.rendering.singer import Singer, draw_singer
from samuel.rendering.timing import draw_tempo

MOST_INTRO_BARS = 4


@dataclass(frozen=True)
class Plan:
    """A song laid out: `score` is transposed and holds intro, passes and final bar, from beat 0.

    `intensity[bar]` says how much of the band plays: 0 chords alone, 1 light, 2 full, 3 everything.
    `solo[bar]` is true where an instrument plays the melody and the singer rests.
    """

    score: Score
    style: Style
    tempo: Tempo
    singer: Singer
    intensity: tuple[int, ...]
    solo: tuple[bool, ...]
    transposition: int

    @property
    def bars(self) -> int:
        return len(self.intensity)

    @property
    def end_seconds(self) -> float:
        """The end of the final bar."""
        return self.tempo.seconds(float(self.bars * self.score.metre.beats))

    def is_solo(self, beat: float) -> bool:
        return self.solo[min(int(beat // self.score.metre.beats), self.bars - 1)]


def draw_plan(score: Score, rng: np.random.Generator, *, min_seconds: float, max_seconds: float) -> Plan:
    """Repeats the form until `min_seconds`, then cuts at a bar so that `max_seconds` is not passed.

    Four bars are the least, however short `max_seconds` is.
    """
    singer = draw_singer(rng)
    median = float(np.median([note.pitch for note in score.melody]))
    transposition = int(np.round(singer.tessitura + rng.normal(0, 1.2) - median))
    score = _fold_melody(score.transposed(transposition), singer)

    style = _draw_style(score, rng)
    bpm = _draw_bpm(score, style, rng)
    beats = score.metre.beats
    bar_seconds = beats * 60.0 / bpm
    most = max(4, int(max_seconds / bar_seconds))
    score = _trim_lead_in(score, min(MOST_INTRO_BARS, most // 4))
    intro = 0 if score.melody[0].start >= 2 * beats else int(rng.choice([1, 2, 4], p=[0.25, 0.45, 0.3]))
    intro = min(intro, most // 4)
    form_bars = score.bars
    passes = max(1, int(np.ceil((min_seconds / bar_seconds - intro - 1) / form_bars)))
    bars = min(intro + passes * form_bars + 1, most)

    laid_out = _lay_out(score, intro=intro, passes=passes, bars=bars)
    solo = [False] * bars
    if passes >= 3 and rng.random() < 0.5:
        start = intro + form_bars
        solo[start : start + form_bars] = [True] * len(solo[start : start + form_bars])
    drift = 0.0 if style.name in ("disco", "synth pop") else float(rng.uniform(0.002, 0.012))
    tempo = draw_tempo(
        rng,
        beats=bars * beats,
        beats_per_minute=bpm,
        drift=drift,
        start=float(rng.uniform(0.15, 0.6)),
        swing=style.swing * float(rng.uniform(0.75, 1.05)),
    )
    return Plan(
        score=laid_out,
        style=style,
        tempo=tempo,
        singer=singer,
        intensity=_draw_intensity(bars, intro, rng),
        solo=tuple(solo),
        transposition=transposition,
    )


def _fold_melody(score: Score, singer: Singer) -> Score:
    """Moves notes that the singer cannot reach by octaves."""

    def reach(pitch: int) -> int:
        while pitch < singer.lowest:
            pitch += 12
        while pitch > singer.highest:
            pitch -= 12
        return pitch

    return replace(score, melody=tuple(replace(note, pitch=reach(note.pitch)) for note in score.melody))


def _draw_style(score: Score, rng: np.random.Generator) -> Style:
    styles = styles_for(metre_kind(score.metre.beats, score.metre.division))
    if score.beats_per_minute is not None:
        fitting = [s for s in styles if s.bpm[0] * 0.85 <= score.beats_per_minute <= s.bpm[1] * 1.15]
        styles = tuple(fitting) or styles
    weights = np.array([style.weight for style in styles])
    return styles[int(rng.choice(len(styles), p=weights / weights.sum()))]


def _draw_bpm(score: Score, style: Style, rng: np.random.Generator) -> float:
    """The written tempo, varied a little, or one from the style at which the melody can be sung."""
    if score.beats_per_minute is not None:
        return float(score.beats_per_minute * rng.uniform(0.9, 1.1))
    lengths = np.array([note.end - note.start for note in score.melody])
    singable = 60.0 * float(np.quantile(lengths, 0.2)) / 0.16  # at most a fifth of the notes under 0.16 s
    low, high = style.bpm
    return float(max(min(rng.uniform(low, high), max(singable, 0.6 * low)), 40.0))


def _trim_lead_in(score: Score, most: int) -> Score:
    """Drops whole bars so that at most `most` come before the melody."""
    extra = int(score.melody[0].start // score.metre.beats) - most
    return score if extra <= 0 else _shifted(score, -extra)


def _shifted(score: Score, bars: int) -> Score:
    """Moves everything by so many bars; what would begin before 0 is cut there."""
    by = float(bars * score.metre.beats)

    def notes(given: tuple[Note, ...]) -> tuple[Note, ...]:
        return tuple(replace(n, start=n.start + by, end=n.end + by) for n in given if n.start + by >= 0)

    chords = tuple(
        replace(c, start=max(0.0, c.start + by), end=c.end + by) for c in score.chords if c.end + by > 0
    )
    accompaniment = tuple((name, notes(given)) for name, given in score.accompaniment)
    return replace(score, melody=notes(score.melody), chords=chords, accompaniment=accompaniment)


def _lay_out(score: Score, *, intro: int, passes: int, bars: int) -> Score:
    """Intro (the chords of the form's last bars), the passes, and a final bar on the tonic."""
    beats = score.metre.beats
    form = score.bars * beats
    final = (bars - 1) * beats
    melody: list[Note] = []
    chords: list[Chord] = []
    tracks: dict[str, list[Note]] = {name: [] for name, _ in score.accompaniment}
    if intro:
        vamp = _shifted(score, min(intro, score.bars) - score.bars)
        chords += [
            replace(c, end=min(c.end, float(intro * beats))) for c in vamp.chords if c.start < intro * beats
        ]
    for index in range(passes):
        offset = intro * beats + index * form
        part = _shifted(score, intro + index * score.bars)
        melody += part.melody
        chords += [
            replace(c, end=min(c.end, float(offset + form))) for c in part.chords if c.start < offset + form
        ]
        for name, notes in part.accompaniment:
            tracks[name] += notes
    tonic = Chord(
        float(final), float(final + beats), score.key.tonic, "maj" if score.key.mode == "major" else "min"
    )

    def before_final(notes: list[Note]) -> tuple[Note, ...]:
        return tuple(replace(n, end=min(n.end, final + beats / 2)) for n in notes if n.start < final - 1e-6)

    return replace(
        score,
        melody=before_final(melody),
        chords=_without_gaps(
            [replace(c, end=min(c.end, float(final))) for c in chords if c.start < final] + [tonic]
        ),
        accompaniment=tuple((name, before_final(notes)) for name, notes in tracks.items()),
    )


def _without_gaps(chords: list[Chord]) -> tuple[Chord, ...]:
    """Sorted, from beat 0, each ending where the next begins or followed by "no chord"."""
    filled: list[Chord] = []
    position = 0.0
    for chord in sorted(chords, key=lambda c: c.start):
        if chord.end - max(chord.start, position) < 1e-6:
            continue
        if chord.start > position + 1e-6:
            filled.append(Chord(position, chord.start))
        filled.append(replace(chord, start=max(chord.start, position)))
        position = chord.end
    return tuple(filled)


def _draw_intensity(bars: int, intro: int, rng: np.random.Generator) -> tuple[int, ...]:
    """One level for each section of eight bars, rising on the whole, with a quiet one now and then."""
    sections = -(-(bars - intro) // SECTION_BARS)
    rise = np.linspace(float(rng.choice([1, 2])), 3.0, sections) + rng.normal(0, 0.6, sections)
    levels = np.clip(np.round(rise), 1, 3).astype(int)
    if sections >= 3 and rng.random() < 0.35:
        levels[rng.integers(1, sections)] = int(rng.choice([0, 1]))
    body = np.repeat(levels, SECTION_BARS)[: bars - intro]
    return (*([int(rng.choice([0, 1, 2]))] * intro), *(int(level) for level in body))
