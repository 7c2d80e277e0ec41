"""Rendered songs -> their voices' features with their true lead sheets, measured once."""

import json
import os
from pathlib import Path

import numpy as np

from samuel.harmonizing.beat_training import VoiceLesson
from samuel.lead_sheet import LeadSheet
from samuel.rendering.song import ANNOTATIONS
from samuel.vocals import VocalFeatures, extract_features, normal_form

MOST_SECONDS = 120.0


def find_voices(folder: Path) -> list[Path]:
    """The songs' folders below a stems folder. Raises ValueError where there is none."""
    found = sorted(path.parent for path in folder.glob(f"*/{ANNOTATIONS}"))
    if not found:
        raise ValueError(f"expected songs of jobs/render_songs.py in {folder}, found none")
    return found


def held_out(folder: Path) -> set[str]:
    """Names of the songs of a stems folder that build_popdb.py puts into validation or test."""
    from samuel.catalogue.songs import read_catalogue

    return {Path(song.source).name for song in read_catalogue(str(folder)).songs if song.split != "train"}


def measure_voice(song: Path, kept: Path) -> VoiceLesson:
    """Features of the first two minutes; kept as KEPT/SONG.npz."""
    from samuel.audio import decode
    from samuel.config import SAMPLE_RATE

    annotations = json.loads((song / ANNOTATIONS).read_text())
    path = kept / f"{song.name}.npz"
    if not path.is_file():
        audio = decode(song / "vocals.flac")[:, : int(MOST_SECONDS * SAMPLE_RATE)]
        features = extract_features(normal_form(audio))
        kept.mkdir(parents=True, exist_ok=True)
        temporary = kept / f".{song.name}.{os.getpid()}.npz"
        np.savez(
            temporary,
            times=features.times,
            pitch=features.pitch,
            level=features.level,
            seconds=audio.shape[1] / SAMPLE_RATE,
        )
        temporary.rename(path)
    with np.load(path) as arrays:
        features = VocalFeatures(arrays["times"], arrays["pitch"], arrays["level"])
        seconds = float(arrays["seconds"])
    sheet = LeadSheet.from_dict(annotations).between(0.0, seconds)
    return VoiceLesson(song.name, features, seconds, sheet.beats, sheet.downbeats, sheet)
