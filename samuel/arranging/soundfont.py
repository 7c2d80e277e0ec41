"""Notes -> audio, by TinySoundFont (compiled, MIT) and any SoundFont file (.sf2, .sf3).

Each player has an instrument of its own, which is unpacked when it is first played. Instruments of one font differ by
20 dB in loudness, so each plays a short phrase when it is loaded and is set to `NOMINAL_LOUDNESS` from then on.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samuel.arranging.mastering import Stereo
from samuel.arranging.part import Part, PlayedNote
from samuel.arranging.presets import PresetFile
from samuel.audio.loudness import loudness
from samuel.config import SAMPLE_RATE

SHIPPED = Path(__file__).parent / "fonts" / "FluidR3Mono_GM.sf3"
BETTER = (
    "MuseScore_General.sf3",
    "MuseScore_General.sf2",
    "FluidR3_GM.sf2",  # the shipped one before it was made mono and compressed
    "MuseScore_General_Lite.sf3",
)
FOLDERS = tuple(Path("/usr/share") / name for name in ("sounds/sf3", "sounds/sf2", "soundfonts"))

DRUM_BANK = 128
NOMINAL_LOUDNESS = -23.0  # LUFS of an instrument's phrase below
VOICES = 64  # that sound at once on one instrument
_PAN = 10
_SILENT_SAMPLES, _SILENT_STEPS = 1024, 100
MOST_PLAYERS = 64  # at once: each holds its instrument's samples in memory
_PHRASES = {
    "drums": [(0.0, 36, 100), (0.25, 42, 80), (0.5, 38, 100), (0.5, 42, 80), (0.75, 42, 80)],
    "bass": [(0.0, 33, 90), (0.5, 38, 90), (1.0, 40, 90), (1.5, 45, 90)],
    "other": [(0.0, 60, 90), (0.5, 64, 90), (1.0, 67, 90), (1.5, 72, 90)],
}


def best_soundfont() -> Path:
    """One of `BETTER` where the system has it, otherwise the font that comes with this package.

    For what is listened to. Songs to train on are always played with `SHIPPED`, the same on every machine.
    """
    return next((path for name in BETTER for folder in FOLDERS if (path := folder / name).is_file()), SHIPPED)


@dataclass
class _Instrument:
    synth: Any
    font: int
    bank: int
    program: int
    gain: float = 1.0

    def prepare(self, pan: float) -> None:
        self.synth.soundfonts[self.font].reset()
        for _ in range(_SILENT_STEPS):  # stopped voices fade out
            if not np.frombuffer(self.synth.generate(_SILENT_SAMPLES), np.float32).any():
                break
        self.synth.program_select(0, self.font, self.bank, self.program, self.bank == DRUM_BANK)
        self.synth.control_change(0, _PAN, int(np.clip(round(64 + 63 * pan), 0, 127)))


class SoundFontSynthesiser:
    """Renders players. One object serves any number of songs, one at a time.

    `soundfont`: a path; None takes `best_soundfont()`. Raises ValueError where it is not a readable SoundFont.
    """

    def __init__(self, soundfont: str | Path | None = None) -> None:
        self.path = Path(soundfont) if soundfont else best_soundfont()
        self._file = PresetFile(self.path)
        self._names = self._file.names
        if not self._names:
            raise ValueError(
                f"expected a SoundFont (.sf2 or .sf3) with instruments, got {self.path}: it has none"
            )
        self._instruments: dict[tuple[str, int, int, int], _Instrument] = {}
        self._turn: object = None
        """Of the stream that plays: instruments are one song's at a time."""

    def render(self, parts: list[Part], seconds: float) -> Stereo:
        """The sum of the parts at their levels."""
        samples = int(seconds * SAMPLE_RATE)
        mixed = np.zeros((2, samples), np.float32)
        for part in parts:
            mixed += next(self.stream([part], samples))[part.name]
        return mixed

    def stream(self, parts: list[Part], block: int) -> Iterator[dict[str, Stereo]]:
        """Without end, `block` samples of each part at a time, by its name. Names must differ.

        Raises ValueError for more than `MOST_PLAYERS`, and where it is gone on with after another stream began.
        """
        if len(parts) > MOST_PLAYERS:
            raise ValueError(f"expected at most {MOST_PLAYERS} players at once, got {len(parts)}")
        copies: Counter[tuple[str, bool, int]] = Counter()
        players = {}
        for part in parts:
            kind = (part.stem, part.drums, part.program)
            players[part.name] = _Player(self._instrument(part, copies[kind]), part)
            copies[kind] += 1
        turn = self._turn = object()
        while True:
            if self._turn is not turn:
                raise ValueError(
                    f"{self.path} began to play something else; read one stream to its end first"
                )
            yield {name: player.read(block) for name, player in players.items()}

    def _instrument(self, part: Part, copy: int) -> _Instrument:
        bank = DRUM_BANK if part.drums else 0
        program = part.program
        if (bank, program) not in self._names:  # a small SoundFont need not have every kit or program
            program = 0
        if (bank, program) not in self._names:
            bank, program = next(iter(self._names))
        key = (part.stem, bank, program, copy)
        if key not in self._instruments:
            self._instruments[key] = self._load(part.stem, bank, program)
        return self._instruments[key]

    def _load(self, stem: str, bank: int, program: int) -> _Instrument:
        import tinysoundfont

        synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE, gain=-6.0)
        try:
            font = synth.sfload(self._file.extract(bank, program), max_voices=VOICES)
        except Exception as error:
            raise ValueError(
                f"cannot play {self._names[bank, program]!r} (bank {bank}, program {program}) of {self.path}: {error}"
            ) from error
        instrument = _Instrument(synth, font, bank, program)
        notes = [PlayedNote(start, start + 0.45, pitch, loud) for start, pitch, loud in _PHRASES[stem]]
        phrase = Part("phrase", stem, program, drums=bank == DRUM_BANK, notes=notes)
        level = loudness(torch.from_numpy(_Player(instrument, phrase).read(2 * SAMPLE_RATE)))
        if level > -69:
            instrument.gain = 10 ** ((NOMINAL_LOUDNESS - level) / 20)
        return instrument


class _Player:
    """One part on its instrument, read from front to back."""

    def __init__(self, instrument: _Instrument, part: Part) -> None:
        self.synth = instrument.synth
        self.gain = np.float32(instrument.gain * 10 ** (part.level / 20))
        instrument.prepare(part.pan)
        events = []
        for note in part.notes:
            begin = int(note.start * SAMPLE_RATE)
            events.append((begin, 1, note.pitch, note.velocity))
            events.append((max(int(note.end * SAMPLE_RATE), begin + 64), 0, note.pitch, 0))
        self.events = sorted(events)
        self.next_event = 0
        self.position = 0

    def read(self, samples: int) -> Stereo:
        audio = np.empty((samples, 2), np.float32)
        memory = audio.data.cast("B")
        first, done, stop = self.position, 0, self.position + samples
        while self.next_event < len(self.events) and self.events[self.next_event][0] < stop:
            at, starts, pitch, velocity = self.events[self.next_event]
            self.next_event += 1
            if at - first > done:
                self.synth.generate_simple(at - first - done, memory[8 * done : 8 * (at - first)])
                done = at - first
            if starts:
                self.synth.noteon(0, pitch, velocity)
            else:
                self.synth.noteoff(0, pitch)
        if done < samples:
            self.synth.generate_simple(samples - done, memory[8 * done :])
        self.position = stop
        audio *= self.gain
        return audio.T
