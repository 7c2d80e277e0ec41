"""An arrangement becomes sound: stems in a fixed balance, in one room, under one limiter.

Audio is float32 (2, samples) at 44.1 kHz. The band's level follows its energy: one fader for all stems, which goes by
what the whole band plays. So a part's level changes that part alone, and a part that plays alone sounds as in the band
(but for the limiter, which turns down loud peaks of the sum).
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from samuel.arranging.arrangement import Arrangement, arrange
from samuel.arranging.mastering import Room, Stereo, faded_blocks, limited_blocks
from samuel.arranging.part import STEMS
from samuel.arranging.soundfont import SoundFontSynthesiser
from samuel.config import SAMPLE_RATE
from samuel.lead_sheet import LeadSheet
from samuel.vocals import VocalFeatures

BLOCK = 10 * SAMPLE_RATE
LEVELS = {"drums": -0.5, "bass": 1.5, "other": -2.0}  # decibels above an instrument's nominal loudness
FLAC_EFFORT = 0.25  # of 1: files 2% larger than at the usual 0.6, in four fifths of the time
ROOM_SECONDS = 0.5
WET = {"drums": 0.1, "bass": 0.0, "other": 0.16}  # of the room, as amplitudes; the bass has none


def render_blocks(
    arrangement: Arrangement,
    synthesiser: SoundFontSynthesiser,
    samples: int | None = None,
    *,
    by_part: bool = False,
) -> Iterator[dict[str, Stereo]]:
    """The stems, up to ten seconds at a time; `by_part`: one of each player. Their sum is the band.

    `samples`: the whole length, by default the recording's.
    """
    count = round(arrangement.seconds * SAMPLE_RATE) if samples is None else samples
    parts = arrangement.parts
    if by_part and not parts:
        return iter(())
    everybody = [*parts, *(arrangement.silent if arrangement.energy else ())]
    gains = {p.name: np.float32(10 ** (LEVELS[p.stem] / 20)) for p in everybody}
    louder = {p.name: np.float32(10 ** (p.louder / 20)) for p in parts}
    stem_of = {part.name: part.name if by_part else part.stem for part in parts}
    rooms = {stem_of[part.name]: Room(seconds=ROOM_SECONDS, wet=WET[part.stem]) for part in parts}

    def wet() -> Iterator[tuple[dict[str, Stereo], Stereo]]:
        stream = synthesiser.stream(everybody, BLOCK)
        for start in range(0, count, BLOCK):
            length = min(BLOCK, count - start)
            silent = np.zeros((BLOCK, 2), np.float32).T  # side by side, as players' audio is
            stems: dict[str, np.ndarray] = dict.fromkeys(rooms if by_part else STEMS, silent)
            whole = np.zeros_like(silent)
            for name, audio in next(stream).items():
                audio *= gains[name]
                if arrangement.energy:
                    whole += audio
                if name in louder:
                    audio *= louder[name]
                    stem = stem_of[name]
                    stems[stem] = audio if stems[stem] is silent else np.add(stems[stem], audio, out=audio)
            yield (
                {
                    name: rooms[name](a)[:, :length] if name in rooms else a[:, :length]
                    for name, a in stems.items()
                },
                whole[:, :length],
            )

    return limited_blocks(faded_blocks(wet(), arrangement.energy))


def render(
    arrangement: Arrangement,
    synthesiser: SoundFontSynthesiser,
    samples: int | None = None,
    *,
    by_part: bool = False,
) -> dict[str, Stereo]:
    """`render_blocks`, joined: the stems in memory, silent where nobody plays."""
    count = round(arrangement.seconds * SAMPLE_RATE) if samples is None else samples
    stems: dict[str, Stereo] = {} if by_part else {name: np.zeros((2, count), np.float32) for name in STEMS}
    place = 0
    for block in render_blocks(arrangement, synthesiser, count, by_part=by_part):
        for name, audio in block.items():
            stems.setdefault(name, np.zeros((2, count), np.float32))[:, place : place + audio.shape[1]] = (
                audio
            )
        place += next(iter(block.values())).shape[1] if block else 0
    return stems


def render_band(
    arrangement: Arrangement,
    synthesiser: SoundFontSynthesiser,
    samples: int | None = None,
) -> Stereo:
    """The sum of the stems, in a third of their memory."""
    band = np.zeros((2, round(arrangement.seconds * SAMPLE_RATE) if samples is None else samples), np.float32)
    place = 0
    for block in band_blocks(arrangement, synthesiser, band.shape[1]):
        band[:, place : place + block.shape[1]] = block
        place += block.shape[1]
    return band


def band_blocks(
    arrangement: Arrangement,
    synthesiser: SoundFontSynthesiser,
    samples: int | None = None,
) -> Iterator[Stereo]:
    """`render_band`, up to ten seconds at a time. Until all are read the synthesiser plays nothing else."""
    for block in render_blocks(arrangement, synthesiser, samples):
        yield np.sum(list(block.values()), axis=0)


def play(
    sheet: LeadSheet,
    *,
    seconds: float,
    samples: int | None = None,
    style: str = "",
    seed: int = 0,
    voice: VocalFeatures | None = None,
    parts: str | Iterable[str] = (),
    levels: str | Mapping[str, float] = "",
    soundfont: str | Path | SoundFontSynthesiser | None = None,
) -> Float32[np.ndarray, "2 samples"]:
    """The band for a lead sheet, as one sound. Raises as `arrange` and SoundFontSynthesiser do."""
    synthesiser = (
        soundfont if isinstance(soundfont, SoundFontSynthesiser) else SoundFontSynthesiser(soundfont)
    )
    arrangement = arrange(
        sheet, seconds=seconds, style=style, seed=seed, voice=voice, parts=parts, levels=levels
    )
    return render_band(arrangement, synthesiser, samples)


def write_stems(
    arrangement: Arrangement,
    synthesiser: SoundFontSynthesiser,
    folder: Path,
    *,
    by_part: bool = False,
) -> list[Path]:
    """Files of 24 bits a stem, "drums.flac" and so on, or one a player.

    They appear under their names when they are whole. Returns the paths.
    """
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    files: dict[Path, soundfile.SoundFile] = {}

    def write(path: Path, audio: Stereo) -> None:
        if path not in files:
            files[path] = soundfile.SoundFile(
                _temporary(path), "w", SAMPLE_RATE, 2, "PCM_24", format="FLAC", compression_level=FLAC_EFFORT
            )
        files[path].write(audio.T)

    try:
        for block in render_blocks(arrangement, synthesiser, by_part=by_part):
            for name, audio in block.items():
                write(folder / f"{name}.flac", audio)
    except BaseException:
        for path, file in files.items():
            file.close()
            _temporary(path).unlink(missing_ok=True)
        raise
    for path, file in files.items():
        file.close()
        _temporary(path).rename(path)
    return list(files)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
