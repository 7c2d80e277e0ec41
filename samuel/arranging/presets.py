"""One instrument out of a SoundFont file, as a small SoundFont of its own.

A General MIDI font holds a thousand samples; in an .sf3 each is Vorbis and must be unpacked, which takes seconds for
the whole font and hundredths of one for a preset. Layout: SoundFont Technical Specification 2.04; in .sf3 (MuseScore)
a sample header's start and end are byte positions of an Ogg stream.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_PRESET = np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "<u4", 3)])
_INSTRUMENT = np.dtype([("name", "S20"), ("bag", "<u2")])
_BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATOR = np.dtype([("operator", "<u2"), ("amount", "<u2")])
_SAMPLE = np.dtype(
    [
        ("name", "S20"),
        ("start", "<u4"),
        ("end", "<u4"),
        ("loop_start", "<u4"),
        ("loop_end", "<u4"),
        ("rate", "<u4"),
        ("pitch", "u1"),
        ("correction", "i1"),
        ("link", "<u2"),
        ("type", "<u2"),
    ]
)
_TABLES = ("phdr", "pbag", "pmod", "pgen", "inst", "ibag", "imod", "igen", "shdr")
_INSTRUMENT_OF, _SAMPLE_OF = 41, 53  # generators that name an instrument, and a sample
_COMPRESSED = 0x30
_GUARD = 46  # zeros after a sample, as the specification asks for


class PresetFile:
    """A SoundFont file, open for reading. Raises ValueError for anything else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            chunks = dict(_chunks(self._data))
            self._tables = {name: chunks[name] for name in _TABLES}
            self._samples_at = chunks["smpl"].start
            self._presets = self._table("phdr", _PRESET)
            self._samples = self._table("shdr", _SAMPLE)
        except (OSError, ValueError, KeyError, struct.error) as error:
            raise ValueError(
                f"expected a SoundFont (.sf2 or .sf3), got {path}: "
                + (f"it has no part {error}" if isinstance(error, KeyError) else str(error))
            ) from error

    @property
    def names(self) -> dict[tuple[int, int], str]:
        """(bank, program) -> name, in order; bank 128 holds drum kits."""
        return {
            (int(preset["bank"]), int(preset["program"])): preset["name"].decode("latin-1").strip()
            for preset in np.sort(self._presets[:-1], order=["bank", "program"])
        }

    def extract(self, bank: int, program: int) -> bytes:
        """A SoundFont with this preset alone and its samples. Raises KeyError where the font has none such."""
        found = np.flatnonzero((self._presets["bank"] == bank) & (self._presets["program"] == program))
        found = found[found < len(self._presets) - 1]
        if not len(found):
            raise KeyError((bank, program))
        index = int(found[0])
        samples, audio = self._only(self._used_samples(index))
        tables = {name: self._data[place.start : place.stop] for name, place in self._tables.items()}
        tables["phdr"] = self._presets[index : index + 2].tobytes()
        tables["shdr"] = samples.tobytes()
        body = (
            _list("INFO", [_chunk("ifil", struct.pack("<HH", 2, 4))])
            + _list("sdta", [_chunk("smpl", audio)])
            + _list("pdta", [_chunk(name, tables[name]) for name in _TABLES])
        )
        return _chunk("RIFF", b"sfbk" + body)

    def _table(self, name: str, dtype: np.dtype) -> np.ndarray:
        place = self._tables[name]
        return np.frombuffer(self._data[place.start : place.stop], dtype)

    def _used_samples(self, index: int) -> set[int]:
        instruments = _named(
            self._presets["bag"],
            index,
            self._table("pbag", _BAG),
            self._table("pgen", _GENERATOR),
            _INSTRUMENT_OF,
        )
        bags = self._table("inst", _INSTRUMENT)["bag"]
        ibag, igen = self._table("ibag", _BAG), self._table("igen", _GENERATOR)
        return {
            sample
            for instrument in instruments
            for sample in _named(bags, instrument, ibag, igen, _SAMPLE_OF)
            if sample < len(self._samples) - 1
        }

    def _only(self, used: set[int]) -> tuple[np.ndarray, bytes]:
        """All sample headers, those that are not used without audio, and the audio of the others."""
        headers = self._samples.copy()
        for field in ("start", "end", "loop_start", "loop_end"):
            headers[field][[n for n in range(len(headers)) if n not in used]] = 0
        audio: list[bytes] = []
        length = 0
        for number in sorted(used):
            header = headers[number]
            compressed = bool(header["type"] & _COMPRESSED)
            width = 1 if compressed else 2
            first, last = (
                self._samples_at + width * int(header["start"]),
                self._samples_at + width * int(header["end"]),
            )
            data = self._data[first:last] if compressed else self._data[first:last] + bytes(2 * _GUARD)
            shift = length // width - int(header["start"])
            # loops of compressed samples count from the sample's own beginning
            for field in ("start", "end") if compressed else ("start", "end", "loop_start", "loop_end"):
                header[field] = int(header[field]) + shift
            data += bytes(len(data) % 2)
            audio.append(data)
            length += len(data)
        return headers, b"".join(audio)


def _named(
    bags: np.ndarray, index: int, zones: np.ndarray, generators: np.ndarray, operator: int
) -> set[int]:
    """What the zones of one preset or instrument name."""
    first, last = zones["generator"][bags[index]], zones["generator"][bags[index + 1]]
    inside = generators[first:last]
    return {int(amount) for amount in inside["amount"][inside["operator"] == operator]}


def _chunks(data: mmap.mmap) -> Iterator[tuple[str, slice]]:
    """Names and places of the chunks in the file's lists."""
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise ValueError("it does not begin as one")
    place = 12
    while place + 8 <= len(data):
        name, size = struct.unpack("<4sI", data[place : place + 8])
        place += 8
        if place + size > len(data):
            raise ValueError("it ends too early: the file is not whole")
        if name == b"LIST":
            place += 4  # the list's kind; its chunks follow
            continue
        yield name.decode("latin-1"), slice(place, place + size)
        place += size
        if size % 2 and data[place : place + 1] == b"\0":  # MuseScore's .sf3 files leave this byte out
            place += 1


def _chunk(name: str, data: bytes) -> bytes:
    data += bytes(len(data) % 2)
    return name.encode() + struct.pack("<I", len(data)) + data


def _list(kind: str, chunks: list[bytes]) -> bytes:
    return _chunk("LIST", kind.encode() + b"".join(chunks))
