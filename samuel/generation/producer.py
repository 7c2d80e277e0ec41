"""Recordings into bands, mixes and what else is asked for, one or many together."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from samuel.arranging import Arrangement, write_midi, write_stems
from samuel.audio import AudioError
from samuel.audio.loudness import loudness, loudness_remark, mix
from samuel.config import SAMPLE_RATE
from samuel.errors import in_words
from samuel.generation.config import GenerationConfig, Mixdown
from samuel.generation.direction import Directed, Direction, Director
from samuel.generation.files import read_audio, read_sheet, write_audio, write_sheet
from samuel.generation.generator import PRETRAINED, Audio, Generator, Progress, require_sound
from samuel.generation.recordings import STEM_NAMES, Recording, RecordingReport
from samuel.separation import Separator, load_separator
from samuel.storage import StorageError, delete, join, kind_of, write_atomic
from samuel.vocals import Voice

NO_VOICE_LU = 30.0  # a separator leaves traces of the band in its vocals, but no more than that far below


def voice_of(song: Audio, separator: Separator | None) -> Audio:
    """The voice in a recording, which is all of it without a separator. Raises AudioError where there is none."""
    require_sound(song)
    if separator is None:
        return song
    vocals = separator(song)
    if loudness(vocals) < loudness(song) - NO_VOICE_LU:
        raise AudioError("no voice was found in this mix; is it a recording of music with a singer?")
    return vocals


@dataclass(frozen=True)
class DirectedRecording:
    """A recording that was read, with lead sheet and arrangement of its first variation."""

    recording: Recording
    report: RecordingReport
    voice: Voice
    first: Directed


@dataclass(frozen=True)
class ProducerSettings:
    """What a producer is made of. Raises ValueError as its parts do."""

    config: GenerationConfig
    mixdown: Mixdown
    direction: Direction
    checkpoint: str | None = None
    """None: the one in the package."""
    codec: str = "mini"
    separator: str | None = None
    """That takes the voice out of mixes; None: recordings are vocals alone."""
    max_seconds: float | None = None

    @property
    def plays_network(self) -> bool:
        """Whether a checkpoint is needed, and not the arrangement alone."""
        return bool(self.config.strength) or self.direction.follow_voice_alone


class Producer:
    """Recordings into files. `separator` takes the voice out of mixes; None: recordings are vocals alone."""

    def __init__(
        self,
        generator: Generator | None,
        config: GenerationConfig,
        mixdown: Mixdown,
        separator: Separator | None = None,
        max_seconds: float | None = None,
        direction: Direction | None = None,
    ) -> None:
        """`generator` may be None where the config's strength is 0."""
        self.generator, self.config, self.mixdown = generator, config, mixdown
        self.separator, self.max_seconds = separator, max_seconds
        self.director = Director(direction or Direction())

    @classmethod
    def load(cls, settings: ProducerSettings, device: str) -> "Producer":
        """With the models that `settings` name."""
        generator = None
        if settings.plays_network:
            generator = Generator.load(settings.checkpoint or PRETRAINED, settings.codec, device)
        return cls(
            generator,
            settings.config,
            settings.mixdown,
            load_separator(settings.separator, device) if settings.separator else None,
            settings.max_seconds,
            settings.direction,
        )

    def __call__(self, recordings: list[Recording]) -> list[RecordingReport]:
        """Make the files of all, their windows denoised together; a bad recording becomes a report of its error.

        What lies there of an earlier recording under the same name does not stay. Raises StorageError where files
        cannot be written, which is no fault of a recording.
        """
        reports = [RecordingReport(recording.vocals) for recording in recordings]
        prepared: list[DirectedRecording] = []
        for recording, report in zip(recordings, reports, strict=True):
            try:
                voice = Voice(self.vocals_of(recording))
                directed = self.direct(recording, voice.recording, voice=voice)
            except Exception as error:  # one bad recording never stops a run
                report.error = in_words(error)
                continue
            report.seconds = voice.recording.shape[-1] / SAMPLE_RATE
            report.remarks = list(directed.remarks)
            prepared.append(DirectedRecording(recording, report, voice, directed))
        for variation in range(max((len(one.recording.bands) for one in prepared), default=0)):
            sound = [one for one in prepared if not one.report.error]
            for song, made in zip(sound, self._attempts(sound, variation), strict=True):
                try:
                    if isinstance(made, Exception):
                        raise made
                    directed, band = made
                    song.report.remarks += self.write(
                        song.recording, variation, song.voice.recording, band, directed
                    )
                except StorageError:
                    raise
                except Exception as error:
                    song.report.error = in_words(error)
        for recording, report in zip(recordings, reports, strict=True):
            if report.error:
                for file in (*recording.files, *recording.stem_files):
                    delete(file)
            elif recording.marker:
                write_atomic(recording.marker, b"")
        return reports

    def _attempts(
        self, songs: list[DirectedRecording], variation: int
    ) -> list[tuple[Directed, Float[Tensor, "2 _"]] | Exception]:
        """Arrangement and band of each, all made together; where that fails, each alone: one costs no other its band."""
        try:
            directions = [
                self.direct(song.recording, song.voice.recording, variation, song.voice)
                if variation
                else song.first
                for song in songs
            ]
            bands = self._play_all([song.voice.recording for song in songs], directions, variation)
        except Exception as error:
            if len(songs) < 2:
                return [error]
            return [one for song in songs for one in self._attempts([song], variation)]
        return list(zip(directions, bands, strict=True))

    def direct(
        self, recording: Recording, vocals: Audio, variation: int = 0, voice: Voice | None = None
    ) -> Directed:
        """Lead sheet and arrangement of a variation; `voice`: the vocals, known before. Raises LeadSheetError."""
        sheet = read_sheet(recording.lead_sheet) if recording.lead_sheet else None
        return self.director.direct(vocals, self.varied(variation).seed, variation, sheet, voice)

    def play(
        self,
        vocals: Audio,
        directed: Directed,
        variation: int = 0,
        *,
        keep: Audio | None = None,
        region: tuple[float, float] | None = None,
        progress: Progress | None = None,
    ) -> Audio:
        """The band of one recording: the network's, from the arrangement; the arrangement itself at strength 0.

        Raises ValueError where there is nothing to go by at strength 0.
        """
        arranged = self._arranged(vocals, directed)
        if self.generator is None:
            if arranged is None:
                raise ValueError(
                    "strength 0 plays the arrangement alone, and there is none for this recording: "
                    + "; ".join(directed.remarks)
                )
            return arranged
        return self.generator.accompany(
            vocals,
            self.varied(variation),
            lead_sheet=directed.sheet,
            arrangement=arranged,
            voice=directed.voice,
            keep=keep,
            region=region,
            progress=progress,
        )

    def _arranged(self, vocals: Audio, directed: Directed) -> Audio | None:
        if directed.arrangement is None:
            return None
        return self.director.play(directed.arrangement, vocals.shape[-1])

    def _play_all(
        self, songs: list[Float[Tensor, "2 _"]], directions: list[Directed], variation: int
    ) -> list[Float[Tensor, "2 _"]]:
        if self.generator is None:
            return [
                self.play(vocals, directed, variation)
                for vocals, directed in zip(songs, directions, strict=True)
            ]
        arranged = [self._arranged(*song) for song in zip(songs, directions, strict=True)]
        sheets = [directed.sheet for directed in directions]
        voices = [directed.voice for directed in directions]
        return self.generator.accompany_all(songs, self.varied(variation), sheets, arranged, voices)

    def varied(self, variation: int) -> GenerationConfig:
        """Each variation has the next seed."""
        return replace(self.config, seed=self.config.seed + variation)

    def vocals_of(self, recording: Recording) -> Audio:
        """Raises AudioError where there is nothing to accompany."""
        return voice_of(read_audio(recording.vocals, self.max_seconds), self.separator)

    def write(
        self, recording: Recording, variation: int, vocals: Audio, band: Audio, directed: Directed
    ) -> list[str]:
        """The band last: where it is, all is. What its owner should know of it.

        Raises ValueError where there is no arrangement to write.
        """
        remarks: list[str] = []
        if (recording.midis or recording.stems) and directed.arrangement is None:
            raise ValueError(
                "there is no arrangement to write as MIDI or stems: "
                + "; ".join(directed.remarks or ("none asked for",))
            )
        if directed.arrangement and (recording.midis or recording.stems):
            remarks += self._write_arrangement(recording, variation, directed.arrangement)
        if recording.lead_sheets and directed.sheet:
            write_sheet(directed.sheet, recording.lead_sheets[variation])
        if recording.mixes:
            mixed = mix(vocals, band, self.mixdown.balance_db, self.mixdown.lufs)
            write_audio(recording.mixes[variation], mixed)
            remarks += filter(None, [loudness_remark(mixed, self.mixdown.lufs)])
        write_audio(recording.bands[variation], band)
        return remarks

    def _write_arrangement(self, recording: Recording, variation: int, arrangement: Arrangement) -> list[str]:
        """Its notes and stems; a remark for each stem of an earlier arrangement that is removed."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if recording.midis:
                write_midi(arrangement, folder / "arrangement.mid")
                write_atomic(recording.midis[variation], (folder / "arrangement.mid").read_bytes())
            if not recording.stems:
                return []
            files = write_stems(
                arrangement, self.director.synthesiser, folder, by_part=recording.stems_by_part
            )
            for file in files:
                write_atomic(join(recording.stems[variation], file.name), file.read_bytes())
        others = [one for one in STEM_NAMES if one not in {file.stem for file in files}]
        places = [join(recording.stems[variation], f"{stem}.flac") for stem in others]
        earlier = [place for place in places if kind_of(place) == "file"]
        for place in earlier:  # the stems would no longer add up to the band
            delete(place)
        return [f"removed {place}, a stem of an earlier arrangement" for place in earlier]
