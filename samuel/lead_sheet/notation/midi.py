"""MIDI file -> tracks, time signatures and tempi, with time in quarters.

Read with mido, event by event: what a track plays stays one track through changes of program and channel, and
tempi and time signatures count wherever they stand.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from samuel.lead_sheet.notation.written import Note, ScoreError, Signature

DRUMS = 9  # the channel of General MIDI, counted from 0
_HANGING = 4.0  # quarters that a note lasts which is never ended
_MOST_TICKS = 2**40
_DEFAULT_TEMPO = 500_000  # microseconds a quarter
_TEXTS = ("marker", "text", "lyrics", "cue_marker")


@dataclass
class MidiTrack:
    """Notes in quarters. `syllables` counts the track's lyrics."""

    name: str
    notes: list[Note] = field(default_factory=list)
    syllables: int = 0


@dataclass(frozen=True)
class MidiScore:
    """`tracks` have pitched notes, in the file's order. `signatures` are (quarter, time signature) in order.

    `texts` are markers, texts and lyrics, in order; `key` is the first, such as "Ebm", or "". `end` is where the last event is.
    """

    tracks: list[MidiTrack]
    texts: list[tuple[float, str]]
    key: str
    end: float
    signatures: list[tuple[float, Signature]]
    tempi: list[tuple[float, int]]
    """(quarter, microseconds a quarter) in order, the first at 0."""

    def seconds(self, quarters: np.ndarray | float) -> np.ndarray:
        starts, times, pace = self._clock
        index = np.maximum(np.searchsorted(starts, quarters, side="right") - 1, 0)
        return np.asarray(times[index] + (quarters - starts[index]) * pace[index])

    def quarters(self, seconds: np.ndarray | float) -> np.ndarray:
        starts, times, pace = self._clock
        index = np.maximum(np.searchsorted(times, seconds, side="right") - 1, 0)
        return np.asarray(starts[index] + (seconds - times[index]) / pace[index])

    @cached_property
    def _clock(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each tempo: the quarter and the second at which it begins, and seconds a quarter."""
        starts = np.array([quarter for quarter, _ in self.tempi])
        pace = np.array([microseconds for _, microseconds in self.tempi]) / 1e6
        return starts, np.concatenate([[0.0], np.cumsum(np.diff(starts) * pace[:-1])]), pace


def read_midi_file(path: Path) -> MidiScore:
    """Raises ScoreError for what is not MIDI, and for MIDI without beats."""
    import mido

    try:
        file = mido.MidiFile(path, clip=True)
    except EOFError as error:
        raise ScoreError("not readable as MIDI: it ends in the middle") from error
    except Exception as error:  # mido raises what its parsers meet: IndexError, KeySignatureError, ...
        detail = " ".join(str(error).split())[:200]
        raise ScoreError(f"not readable as MIDI ({type(error).__name__}: {detail})") from error
    if file.ticks_per_beat <= 0:
        raise ScoreError("it counts time in frames (SMPTE), not in beats: save it with beats")
    if file.type not in (0, 1):
        raise ScoreError(f"it is MIDI of type {file.type}: save it as type 1, tracks that play together")

    if any(sum(event.time for event in track) > _MOST_TICKS for track in file.tracks):
        raise ScoreError("it has times beyond all music: it is damaged")

    quarter = 1 / file.ticks_per_beat
    events = sorted((one for track in file.tracks for one in _timed(track)), key=lambda one: one[0])
    lyrics = {now for now, event in events if event.type == "lyrics"}
    played = [part for track in file.tracks if (part := _read_track(track, quarter, lyrics))]
    if len(played) == 1 and len(played[0]) > 1:  # type 0: the name is the song's, each channel a track
        [channels] = played
        tracks = [replace(track, name=f"channel {number + 1}") for number, track in channels.items()]
    else:
        tracks = [_joined(list(channels.values())) for channels in played]
    # of tempi and time signatures at one tick the last stays
    signatures = {0: (4, 4)} | {
        now: (event.numerator, event.denominator) for now, event in events if event.type == "time_signature"
    }
    tempi = {0: _DEFAULT_TEMPO} | {
        now: event.tempo for now, event in events if event.type == "set_tempo" and event.tempo > 0
    }
    return MidiScore(
        tracks,
        texts=[(now * quarter, _decoded(event.text)) for now, event in events if event.type in _TEXTS],
        key=next((event.key for _, event in events if event.type == "key_signature"), ""),
        end=max((now for now, _ in events), default=0) * quarter,
        signatures=[(now * quarter, signature) for now, signature in sorted(signatures.items())],
        tempi=[(now * quarter, tempo) for now, tempo in sorted(tempi.items())],
    )


def _read_track(track: Any, tick_length: float, lyrics: set[int]) -> dict[int, MidiTrack]:
    """The track's notes by channel; nothing for a track without notes. `tick_length` is in quarters."""
    names: dict[str, list[str]] = {"track_name": [], "instrument_name": []}
    channels: dict[int, MidiTrack] = {}
    begun: dict[tuple[int, int], list[int]] = defaultdict(list)
    now = 0

    def end(key: tuple[int, int], ticks: list[int], last: float) -> None:
        channel, pitch = key
        notes = channels.setdefault(channel, MidiTrack("")).notes
        notes += [Note(tick * tick_length, last, pitch) for tick in ticks]

    for event in track:
        now += event.time
        if event.type in names:
            names[event.type].append(_decoded(event.name))
        if event.type not in ("note_on", "note_off") or event.channel == DRUMS:
            continue
        key = (event.channel, event.note)
        if event.type == "note_on" and event.velocity > 0:
            begun[key].append(now)
            continue
        end(key, [tick for tick in begun[key] if tick < now], now * tick_length)
        begun[key] = [tick for tick in begun[key] if tick == now]  # this one begins where the last ended
    for key, ticks in begun.items():
        for tick in ticks:
            end(key, [tick], tick * tick_length + min((now - tick) * tick_length, _HANGING))
    name = next((name for kind in names.values() for name in kind if name), "")
    for channel in channels.values():
        channel.notes = sorted(
            (n for n in channel.notes if n.end > n.start), key=lambda n: (n.start, n.pitch)
        )
        channel.name = name
        channel.syllables = len(lyrics & {round(note.start / tick_length) for note in channel.notes})
    return {number: channel for number, channel in sorted(channels.items()) if channel.notes}


def _joined(channels: list[MidiTrack]) -> MidiTrack:
    """One track that plays on several channels."""
    notes = sorted((n for channel in channels for n in channel.notes), key=lambda n: (n.start, n.pitch))
    return MidiTrack(channels[0].name, notes, sum(channel.syllables for channel in channels))


def _decoded(name: str) -> str:
    """mido reads Latin-1; what is UTF-8 is read as that."""
    with suppress(UnicodeError):
        name = name.encode("latin-1").decode()
    return name.strip("\0 \t\r\n")


def _timed(track: Any) -> Iterator[tuple[int, Any]]:
    now = 0
    for event in track:
        now += event.time
        yield now, event
