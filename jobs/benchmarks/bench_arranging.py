"""How fast a lead sheet becomes an arrangement, a MIDI file and stems on one core, and how well the band obeys it.

Writes one Markdown table. Each round begins with instruments that are not loaded yet, as the first song of a process.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, TypeVar

import numpy as np
import psutil
import typer
from threadpoolctl import threadpool_limits

from jobs.benchmarks.page import Out, Record, app_of, publish
from samuel.arranging import (
    STEMS,
    STYLES,
    Arrangement,
    SoundFontSynthesiser,
    arrange,
    play,
    write_midi,
    write_stems,
)
from samuel.arranging.styles import metre_kind
from samuel.config import SAMPLE_RATE
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.sheet import steady_beats
from samuel.lead_sheet.text import parse_chart, parse_metre
from samuel.vocals import VocalFeatures

CHART = "| C#m | G#m | E | B | A | E/G# | F#m7 | B7 |"
OBEYED_SECONDS = 30.0
T = TypeVar("T")


def lead_sheet(metre: str, bpm: float, seconds: float, chart: str = CHART) -> LeadSheet:
    parsed = parse_metre(metre)
    beats, downbeats = steady_beats(bpm, 1.4, parsed, seconds)
    bars = LeadSheet(beats=beats, downbeats=downbeats, metre=parsed).bars
    return LeadSheet(beats, downbeats, parse_chart(chart).over(bars), metre=parsed, energy=((0.0, 0.75),))


def singer(sheet: LeadSheet, seconds: float) -> VocalFeatures:
    """Phrases of three bars and a rest of one, on chord tones."""
    times = np.arange(0, seconds, 0.016)
    pitch, level = np.full(len(times), np.nan), np.full(len(times), -80.0)
    for number, (start, end) in enumerate(sheet.bars):
        chord = sheet.chord_at(start)
        if number % 4 < 3 and chord is not None:
            inside = (times >= start) & (times < end)
            pitch[inside] = 60 + chord.pitch_classes[0] % 7 + 0.2 * np.sin(35 * times[inside])
            level[inside] = -20.0
    return VocalFeatures(times, pitch, level)


def one_round(
    sheet: LeadSheet, voice: VocalFeatures, seconds: float, style: str, soundfont: Path | None
) -> dict[str, float]:
    """CPU seconds by stage: one thread works, and a shared machine's other work does not count."""
    spent: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        start = time.process_time()
        result = work()
        spent[stage] = time.process_time() - start
        return result

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesiser = timed("soundfont opened", lambda: SoundFontSynthesiser(soundfont))
        song = timed("notes", lambda: arrange(sheet, seconds=seconds, style=style, seed=1, voice=voice))
        timed("MIDI file", lambda: write_midi(song, folder / "band.mid"))
        timed("sound, stems written as FLAC", lambda: write_stems(song, synthesiser, folder / "stems"))
    return spent


def obeyed(sheet: LeadSheet, band: np.ndarray) -> tuple[float, float, float, float]:
    """Share of chords whose triad is the nearest of 24 to the chroma; of basses that are the strongest pitch class
    below 150 Hz; onset strength at the beats over its mean; median milliseconds from a beat to an onset."""
    from samuel.compiled import librosa

    mono, rate = band.mean(axis=0), SAMPLE_RATE
    chroma = librosa.feature.chroma_cqt(y=mono, sr=rate)
    spectrum = np.abs(librosa.stft(mono, n_fft=16384, hop_length=2048))
    hertz = librosa.fft_frequencies(sr=rate, n_fft=16384)
    low = (hertz > 35) & (hertz < 150)
    pitches = np.round(librosa.hz_to_midi(hertz[low])).astype(int) % 12
    triads = np.array(
        [
            np.roll(np.isin(np.arange(12), tones), root)
            for tones in ((0, 4, 7), (0, 3, 7))
            for root in range(12)
        ],
        float,
    )
    chords, basses = [], []
    times, slow = librosa.times_like(chroma, sr=rate), librosa.times_like(spectrum, sr=rate, hop_length=2048)
    for chord in (c for c in sheet.chords if c.root is not None and c.end < len(mono) / rate - 1):
        best = int((triads @ chroma[:, (times > chord.start) & (times < chord.end)].mean(axis=1)).argmax())
        minor = 3 in {(pitch - (chord.root or 0)) % 12 for pitch in chord.pitch_classes}
        chords.append((best % 12, best // 12) == (chord.root, int(minor)))
        strongest = spectrum[low][:, (slow > chord.start) & (slow < chord.end)].mean(axis=1).argmax()
        basses.append(pitches[strongest] == chord.bass_pitch_class)
    strength = librosa.onset.onset_strength(y=mono, sr=rate, hop_length=256)
    fine = librosa.times_like(strength, sr=rate, hop_length=256)
    onsets = librosa.onset.onset_detect(y=mono, sr=rate, hop_length=256, units="time")
    beats = [beat for beat in sheet.beats if beat < len(mono) / rate - 2]
    accent = np.mean([strength[np.abs(fine - beat) < 0.05].max() for beat in beats]) / strength.mean()
    lag = np.median([np.abs(onsets - beat).min() for beat in beats]) * 1000
    return float(np.mean(chords)), float(np.mean(basses)), float(accent), float(lag)


def obeyed_by_style(soundfont: Path | None) -> list[str]:
    """Rows of the table: each style in a metre it is written for."""
    synthesiser = SoundFontSynthesiser(soundfont)
    metres = {"four": "4/4", "three": "3/4", "compound": "6/8"}
    rows = []
    for style in STYLES:
        metre = metres[style.metres[0]]
        assert metre_kind(parse_metre(metre).beats, parse_metre(metre).division) in style.metres
        sheet = lead_sheet(metre, sum(style.bpm) / 2, OBEYED_SECONDS)
        found = [
            obeyed(
                sheet, play(sheet, seconds=OBEYED_SECONDS, style=style.name, seed=seed, soundfont=synthesiser)
            )
            for seed in range(2)
        ]
        chords, basses, accent, lag = np.mean(found, axis=0)
        rows.append(f"| {style.name} | {metre} | {chords:.2f} | {basses:.2f} | {accent:.1f} | {lag:.0f} |")
    return rows


def main(
    seconds: Annotated[float, typer.Option(help="Length of the recording that is timed.")] = 240.0,
    rounds: Annotated[int, typer.Option(help="The table has the median of these.")] = 3,
    style: Annotated[str, typer.Option(help="What is timed.")] = "rock",
    soundfont: Annotated[
        Path | None, typer.Option(help="Any .sf2 or .sf3. Default: the best one installed.")
    ] = None,
    styles: Annotated[bool, typer.Option(help="Also measure how each style obeys: takes minutes.")] = True,
    out: Out = None,
    record: Record = False,
) -> None:
    """Measure the arranger on one core of this machine and write a table."""
    sheet = lead_sheet("4/4", 118.0, seconds)
    voice = singer(sheet, seconds)
    with threadpool_limits(1):
        before = psutil.Process().memory_info().rss
        found = [one_round(sheet, voice, seconds, style, soundfont) for _ in range(rounds)]
        grown = (psutil.Process().memory_info().rss - before) / 2**20
    song: Arrangement = arrange(sheet, seconds=seconds, style=style, seed=1, voice=voice)
    notes = sum(len(part.notes) for part in song.parts)
    total = median(sum(spent.values()) for spent in found)
    lines = [
        f"One core, {SoundFontSynthesiser(soundfont).path.name}: {len(song.parts)} players, {notes} notes, "
        f"stems {', '.join(STEMS)}.",
        "",
        f"| stage | CPU seconds, median of {rounds} |",
        "|---|---|",
        *(f"| {stage} | {median(spent[stage] for spent in found):.2f} |" for stage in found[0]),
        f"| **all of it** | **{total:.2f}** ({seconds / total:.0f} x real time) |",
        f"| memory that the process has grown by | {grown:.0f} MiB |",
        "",
    ]
    if styles:
        lines += [
            "| style | metre | chords | roots in the bass | accent | lag, ms |",
            "|---|---|---|---|---|---|",
            *obeyed_by_style(soundfont),
            "",
        ]
    publish("\n".join(lines), out, record)


if __name__ == "__main__":
    app_of(main)()
