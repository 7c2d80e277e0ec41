"""One score -> one song with true stems and annotations, in memory and on disk.

The stems are "vocals", "drums", "bass" and "other": float32 (2, samples) in [-1, 1] at 44.1 kHz,
all of one length; their sum is the mix and stays below -1 dBFS. Everything is a function of
(score, song id, seed, SoundFont, lengths): the same input gives the same samples.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samuel.arranging.mastering import Stereo, apply
from samuel.arranging.soundfont import SoundFontSynthesiser
from samuel.config import SAMPLE_RATE
from samuel.lead_sheet.notation.written import ScoreError
from samuel.rendering.balance import (
    balance_stems,
    band_effects,
    compress_voice,
    draw_balance,
    voice_effects,
)
from samuel.rendering.band import play_plan
from samuel.rendering.phonetics import syllable_of
from samuel.rendering.plan import Plan, draw_plan
from samuel.rendering.score import Score
from samuel.rendering.singer import SungNote, perform
from samuel.rendering.voice import synthesise

STEMS = ("vocals", "drums", "bass", "other")
ANNOTATIONS = "annotations.json"
TAIL_SECONDS = 1.5


@dataclass(frozen=True)
class RenderedSong:
    """`annotations` is ready for JSON; see `annotate` for its fields."""

    stems: dict[str, Stereo]
    annotations: dict[str, Any]

    @property
    def mix(self) -> Stereo:
        return np.stack(list(self.stems.values())).sum(axis=0)


def render_song(
    score: Score,
    song_id: str,
    synthesiser: SoundFontSynthesiser,
    *,
    seed: int = 0,
    min_seconds: float = 60.0,
    max_seconds: float = 240.0,
) -> RenderedSong:
    """Draws a plan, sings and plays it, and mixes. `max_seconds` cuts at a bar, before the final ring."""
    digest = hashlib.sha256(f"{seed}/{song_id}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
    plan = draw_plan(score, rng, min_seconds=min_seconds, max_seconds=max_seconds)
    balance = draw_balance(rng)
    seconds = plan.end_seconds + TAIL_SECONDS
    samples = int(seconds * SAMPLE_RATE)

    notes = _sung_notes(plan, rng)
    if not notes:
        raise ScoreError(f"{song_id}: no melody within {max_seconds:.0f} s")
    voice = np.zeros((2, samples), np.float32)
    for gain, pan in balance.takes:
        controls = perform(plan.singer, notes, samples / SAMPLE_RATE, rng)
        take = compress_voice(synthesise(plan.singer, controls, rng)[:samples])
        voice += gain * np.array([[1 - max(0.0, pan)], [1 + min(0.0, pan)]], np.float32) * take
    stems = {"vocals": apply(voice_effects(balance, rng), voice)}
    parts = play_plan(plan, int(rng.integers(2**63)))
    for name in STEMS[1:]:
        players = [part for part in parts if part.stem == name]
        audio = synthesiser.render(players, samples / SAMPLE_RATE)
        stems[name] = apply(band_effects(balance, name, rng), audio) if players else audio
    fade = np.minimum(1, np.arange(samples, 0, -1) / (0.5 * TAIL_SECONDS * SAMPLE_RATE)).astype(np.float32)
    stems = balance_stems({name: _fit(audio, samples) * fade for name, audio in stems.items()}, balance)
    annotations = annotate(plan, notes, song_id, seed, seconds=samples / SAMPLE_RATE)
    annotations["band"] = {
        "style": plan.style.name,
        "players": [[p.name, p.program] for p in parts],
        "soundfont": synthesiser.path.name,
    }
    annotations["balance"] = asdict(balance)
    return RenderedSong(stems, annotations)


def _fit(audio: np.ndarray, samples: int) -> Stereo:
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1])))).astype(np.float32)


def _sung_notes(plan: Plan, rng: np.random.Generator) -> list[SungNote]:
    time = plan.tempo.seconds
    return [
        SungNote(time(note.start), time(note.end), note.pitch, syllable_of(note.lyric, rng))
        for note in plan.score.melody
        if not plan.is_solo(note.start)
    ]


def annotate(plan: Plan, notes: list[SungNote], song_id: str, seed: int, *, seconds: float) -> dict[str, Any]:
    """What is true of the song. Times in seconds.

    `beats`, `downbeats`: times. `chords`: [start, end, Harte label]. `key`: as mir_eval.key has it.
    `melody`: [start, end, MIDI pitch] as written (the singer is a little off it).
    """
    score, beats = plan.score, plan.score.metre.beats
    time = plan.tempo.seconds
    count = plan.bars * beats
    return {
        "song_id": song_id,
        "title": score.title,
        "artist": score.artist,
        "seed": seed,
        "sample_rate": SAMPLE_RATE,
        "seconds": round(seconds, 6),
        "metre": {"beats": beats, "division": score.metre.division},
        "beats_per_minute": round(60 * (count - 1) / (time(count - 1.0) - time(0.0)), 3),
        "key": score.key.label,
        "transposition": plan.transposition,
        "beats": [round(time(float(beat)), 4) for beat in range(count)],
        "downbeats": [round(time(float(beat)), 4) for beat in range(0, count, beats)],
        "chords": [[round(time(c.start), 4), round(time(c.end), 4), c.label] for c in score.chords],
        "melody": [[round(n.start, 4), round(n.end, 4), n.pitch] for n in notes],
        "singer": asdict(plan.singer),
    }


def write_song(song: RenderedSong, folder: Path) -> None:
    """Writes the stems (16-bit FLAC) and annotations under a temporary name, then renames the folder."""
    import soundfile

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, audio in song.stems.items():
        soundfile.write(temporary / f"{name}.flac", audio.T, SAMPLE_RATE, subtype="PCM_16")
    (temporary / ANNOTATIONS).write_text(json.dumps(song.annotations, ensure_ascii=False, indent=1))
    try:
        temporary.rename(folder)
    except OSError:  # another process finished the same song first: the result is the same
        shutil.rmtree(temporary)
