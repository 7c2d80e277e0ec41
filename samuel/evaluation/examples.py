"""Tracks to listen to in a report: each system's version, alone and with the vocals."""

from collections.abc import Mapping, Sequence

from samuel.audio.loudness import mix
from samuel.config import SAMPLE_RATE
from samuel.evaluation.figures import EXCERPT_SECONDS, excerpt, sound, spectrogram
from samuel.evaluation.record import load
from samuel.evaluation.report import Example, Sound
from samuel.evaluation.samples import Folder


def make_examples(
    tracks: Sequence[tuple[str, str]], systems: Mapping[str, Folder], vocals: Folder, max_seconds: float
) -> list[Example]:
    """Ten seconds from the middle of each (track, why); a version that cannot be read is left out."""
    return [Example(track, why, tuple(_sounds(track, systems, vocals, max_seconds))) for track, why in tracks]


def _sounds(track: str, systems: Mapping[str, Folder], vocals: Folder, max_seconds: float) -> list[Sound]:
    found = {}
    for name, folder in {"the vocals": vocals, **systems}.items():
        if track in folder.samples:
            try:
                found[name] = load(folder.samples[track].source, max_seconds)
            except (ValueError, OSError):
                continue
    if not found:
        return []
    shortest = min(version.shape[1] for version in found.values()) / SAMPLE_RATE
    start = max(0.0, (shortest - EXCERPT_SECONDS) / 2)
    parts = {name: excerpt(version, start) for name, version in found.items()}
    voice = parts.get("the vocals")
    sounds = []
    for name, part in parts.items():
        mixed = ""
        if voice is not None and name != "the vocals":
            shared = min(voice.shape[1], part.shape[1])
            mixed = sound(mix(voice[:, :shared], part[:, :shared]))
        sounds.append(Sound(name, sound(part), spectrogram(part), mixed))
    return sounds
