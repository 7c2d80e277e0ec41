"""Recordings in files: vocals, or songs whose voice is taken out first, into bands and mixes in files.

All files lie in local folders or on S3, appear under their names whole or not at all, and have the format of
their extension.
"""

import io
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from samuel import audio
from samuel.audio import AudioError
from samuel.config import SAMPLE_RATE
from samuel.generation.generator import Audio, Generator, require_sound
from samuel.generation.recipe import Recipe
from samuel.mixing import loudness, mix
from samuel.separation import Separator
from samuel.songs import AUDIO_EXTENSIONS
from samuel.storage import Location, absolute, as_path, join, kind_of, list_files, read_bytes, write_atomic

NO_VOICE_LU = 30.0  # a separator leaves traces of the band in its vocals, but no more than that far below


@dataclass(frozen=True)
class Recording:
    """One recording and the files to make of it: a band for each variation, and as many mixes or none."""

    vocals: str
    bands: tuple[str, ...]
    mixes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return self.bands + self.mixes


@dataclass(frozen=True)
class Mixdown:
    balance_db: float = 0.0
    lufs: float = -14.0


@dataclass
class Report:
    """What became of one recording."""

    vocals: str
    seconds: float = 0.0
    """Its length."""
    error: str = ""
    stop: bool = False
    """The files cannot be written: no fault of the recording, and no use in going on."""


def recording_of(vocals: str, band: str, mixed: str | None, variations: int) -> Recording:
    """One file: variations after the first are numbered, band.wav, band-2.wav, ... Raises ValueError for formats."""
    for name in filter(None, (band, mixed)):
        extension = PurePosixPath(name).suffix.lstrip(".").lower()
        if extension not in audio.FILE_FORMATS:
            raise ValueError(f"{name}: expected a file name that ends in .{', .'.join(audio.FILE_FORMATS)}")

    def numbered(name: str) -> tuple[str, ...]:
        stem, _, extension = absolute(name).rpartition(".")
        more = (f"{stem}-{number}.{extension}" for number in range(2, variations + 1))
        return (f"{stem}.{extension}", *more)

    return Recording(absolute(vocals), numbered(band), numbered(mixed) if mixed else ())


def recordings_in(
    folder: str, out: str, mixes: str | None, file_format: str, variations: int
) -> tuple[list[Recording], list[Report]]:
    """The audio files below a folder, and failures for those that would be written over one another.

    OUT has the same subfolders and names, with the extension of `file_format`.
    """
    names = [file.name for file in list_files(folder).files]
    recordings: dict[str, Recording] = {}
    failures = []
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lstrip(".").lower() not in AUDIO_EXTENSIONS or path.name.startswith("."):
            continue
        target = str(path.with_suffix(f".{file_format}"))
        vocals = str(join(folder, name))
        if target in recordings:
            error = f"{recordings[target].vocals} would be written to the same file, {target}; rename one"
            failures.append(Report(vocals, error=error))
            continue
        mixed = str(join(mixes, target)) if mixes else None
        recordings[target] = recording_of(vocals, str(join(out, target)), mixed, variations)
    if not recordings:
        raise ValueError(f"no audio files in {folder}; expected recordings of vocals at any depth")
    return list(recordings.values()), failures


def read_audio(path: Location, max_seconds: float | None = None) -> Audio:
    """A recording from a file. Raises FileNotFoundError, or AudioError where it is none."""
    if kind_of(path) == "missing":
        raise FileNotFoundError(f"{path}: no such file")
    return audio.decode(io.BytesIO(read_bytes(path)), max_seconds=max_seconds)


def write_audio(path: Location, samples: Audio) -> None:
    encoded = io.BytesIO()
    audio.write(encoded, samples, as_path(path).suffix.lstrip("."))
    write_atomic(path, encoded.getvalue())


class Producer:
    """Recordings into files. `separator` takes the voice out of mixes; None: recordings are vocals alone."""

    def __init__(
        self,
        generator: Generator,
        recipe: Recipe,
        mixdown: Mixdown,
        separator: Separator | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self.generator, self.recipe, self.mixdown = generator, recipe, mixdown
        self.separator, self.max_seconds = separator, max_seconds

    def __call__(self, recordings: list[Recording]) -> list[Report]:
        """Make the files of all, their windows denoised together; a bad recording becomes a report of its error."""
        reports = [Report(recording.vocals) for recording in recordings]
        loaded: list[tuple[Recording, Report, Audio]] = []
        for recording, report in zip(recordings, reports, strict=True):
            try:
                vocals = self.vocals_of(recording)
            except Exception as error:  # one bad recording never stops a run
                report.error = explained(error)
                continue
            report.seconds = vocals.shape[-1] / SAMPLE_RATE
            loaded.append((recording, report, vocals))
        for variation in range(max((len(one.bands) for one, *_ in loaded), default=0)):
            bands = self.generator.accompany_all([vocals for *_, vocals in loaded], self.varied(variation))
            for (recording, _, vocals), band in zip(loaded, bands, strict=True):
                self.write(recording, variation, vocals, band)
        return reports

    def varied(self, variation: int) -> Recipe:
        """Each variation has the next seed."""
        return replace(self.recipe, seed=self.recipe.seed + variation)

    def vocals_of(self, recording: Recording) -> Audio:
        """Raises AudioError where there is nothing to accompany."""
        song = read_audio(recording.vocals, self.max_seconds)
        require_sound(song)
        if self.separator is None:
            return song
        vocals = self.separator(song)
        if loudness(vocals) < loudness(song) - NO_VOICE_LU:
            raise AudioError("no voice was found in this mix; is it a recording of music with a singer?")
        return vocals

    def write(self, recording: Recording, variation: int, vocals: Audio, band: Audio) -> None:
        """The mix first: where the band is, all is."""
        if recording.mixes:
            mixed = mix(vocals, band, self.mixdown.balance_db, self.mixdown.lufs)
            write_audio(recording.mixes[variation], mixed)
        write_audio(recording.bands[variation], band)


def explained(error: Exception) -> str:
    """A user's mistake in its own words, anything else with its kind."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"
