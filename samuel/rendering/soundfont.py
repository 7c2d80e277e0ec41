"""Notes -> audio, by TinySoundFont (compiled, MIT) and any SoundFont file (.sf2, .sf3).

The default SoundFont is TimGM6mb.sf2, read from where the package `pretty_midi` installed it.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from samuel.config import SAMPLE_RATE
from samuel.rendering.band import Part

DRUM_BANK = 128
_VOLUME, _PAN = 7, 10
_RELEASE_SECONDS = 2.0


def default_soundfont() -> Path:
    import pretty_midi

    return Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"


class SoundFontSynthesiser:
    """Renders parts. One object serves any number of songs, one at a time.

    Raises ValueError where `soundfont` is not a readable SoundFont.
    """

    def __init__(self, soundfont: str | Path | None = None) -> None:
        import tinysoundfont

        path = Path(soundfont) if soundfont else default_soundfont()
        self.synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE, gain=-6.0)
        try:
            self.font = self.synth.sfload(str(path), max_voices=192)
        except Exception as error:
            raise ValueError(f"expected a SoundFont (.sf2 or .sf3), got {path}: {error}") from error

    def render(self, parts: list[Part], seconds: float) -> Float32[np.ndarray, "2 samples"]:
        """The sum of at most 16 parts, `seconds` long, in free scale (balance comes later)."""
        samples = int(seconds * SAMPLE_RATE)
        events = []
        for channel, part in enumerate(parts):
            self._prepare(channel, part)
            for note in part.notes:
                begin = int(note.start * SAMPLE_RATE)
                end = max(int(note.end * SAMPLE_RATE), begin + 64)
                events.append((begin, 1, channel, note.pitch, note.velocity))
                events.append((end, 0, channel, note.pitch, 0))
        events.sort()
        chunks, position = [], 0
        for at, starts, channel, pitch, velocity in events:
            if at >= samples:
                break
            if at > position:
                chunks.append(self._generate(at - position))
                position = at
            if starts:
                self.synth.noteon(channel, pitch, velocity)
            else:
                self.synth.noteoff(channel, pitch)
        chunks.append(self._generate(samples - position))
        self.synth.sounds_off()
        self._generate(int(_RELEASE_SECONDS * SAMPLE_RATE))
        return np.concatenate(chunks).T.copy()

    def _prepare(self, channel: int, part: Part) -> None:
        bank = DRUM_BANK if part.drums else 0
        program = part.program
        if self.synth.sfpreset_name(self.font, bank, program) is None:
            program = 0  # a small SoundFont need not have every kit or program
        self.synth.program_select(channel, self.font, bank, program, part.drums)
        self.synth.control_change(channel, _VOLUME, int(np.clip(100 * 10 ** (part.level / 40), 1, 127)))
        self.synth.control_change(channel, _PAN, int(np.clip(64 + 63 * part.pan, 0, 127)))

    def _generate(self, samples: int) -> Float32[np.ndarray, "samples 2"]:
        return np.frombuffer(self.synth.generate(samples), dtype=np.float32).reshape(-1, 2).copy()
