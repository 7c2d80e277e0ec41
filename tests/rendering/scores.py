"""Small scores, written here: MIDI files with a melody track, and lead sheets in MusicXML."""

from collections.abc import Sequence
from pathlib import Path

import mido
import pretty_midi

MELODY = (60, 64, 67, 72, 71, 67, 65, 64, 62, 65, 69, 65, 67, 64, 62, 60)
CHORDS = ((48, 52, 55), (45, 48, 52), (41, 45, 48), (43, 47, 50))
CHORD_LABELS = ("C:maj", "A:min", "F:maj", "G:maj")
BPM = 120.0


def write_midi(path: Path, *, melody_name: str = "MELODY") -> Path:
    """Four bars of 4/4 at 120 beats a minute, a chord a bar, a quarter note a beat."""
    beat = 60 / BPM
    midi = pretty_midi.PrettyMIDI(initial_tempo=BPM)
    melody, piano = pretty_midi.Instrument(0, name=melody_name), pretty_midi.Instrument(0, name="PIANO")
    for index, pitch in enumerate(MELODY):
        melody.notes.append(pretty_midi.Note(100, pitch, index * beat, (index + 0.9) * beat))
    for bar, chord in enumerate(CHORDS):
        for pitch in chord:
            piano.notes.append(pretty_midi.Note(80, pitch, 4 * bar * beat, 4 * (bar + 1) * beat))
    midi.instruments += [melody, piano]
    midi.write(str(path))
    return path


def note(step: str, length: int, lyric: str = "", *, tie: str = "", octave: int = 4) -> str:
    words = f"<lyric><text>{lyric}</text></lyric>" if lyric else ""
    tied = f'<tie type="{tie}"/>' if tie else ""
    return (
        f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        f"<duration>{length}</duration>{tied}{words}</note>"
    )


def harmony(step: str, kind: str, *extra: str) -> str:
    return f"<harmony><root><root-step>{step}</root-step></root><kind>{kind}</kind>{''.join(extra)}</harmony>"


def write_lead_sheet(path: Path, *, chords: bool = True) -> Path:
    """A waltz in G: an upbeat of one quarter, then four bars of 3/4 that are repeated, with a tie."""
    symbols = ("G", "major"), ("D", "dominant"), ("E", "minor"), ("G", "major")
    bars = (
        note("G", 2, "Oh") + note("B", 1, "sing"),
        note("A", 1, "to") + note("F", 1) + note("D", 1, "me"),
        note("E", 3, "long", tie="start"),
        note("E", 1, tie="stop") + note("G", 2, "song"),
    )
    body = ""
    for index, (symbol, notes) in enumerate(zip(symbols, bars, strict=True)):
        forward = '<barline location="left"><repeat direction="forward"/></barline>' if index == 0 else ""
        back = '<barline location="right"><repeat direction="backward"/></barline>' if index == 3 else ""
        sign = harmony(*symbol) if chords else ""
        body += f'<measure number="{index + 1}">{forward}{sign}{notes}{back}</measure>'
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="3.1">'
        "<work><work-title>Small_Waltz</work-title></work>"
        '<identification><creator type="composer">Nobody</creator></identification>'
        '<part-list><score-part id="P1"><part-name>Voice</part-name></score-part></part-list><part id="P1">'
        '<measure number="0" implicit="yes"><attributes><divisions>1</divisions>'
        "<key><fifths>1</fifths><mode>major</mode></key>"
        "<time><beats>3</beats><beat-type>4</beat-type></time></attributes>"
        f"{note('D', 1, 'La')}</measure>{body}</part></score-partwise>"
    )
    return path


def rest(length: int) -> str:
    return f"<note><rest/><duration>{length}</duration></note>"


def time(beats: object, unit: object) -> str:
    return f"<attributes><time><beats>{beats}</beats><beat-type>{unit}</beat-type></time></attributes>"


def key(fifths: int, mode: str = "") -> str:
    written = f"<mode>{mode}</mode>" if mode else ""
    return f"<attributes><key><fifths>{fifths}</fifths>{written}</key></attributes>"


def repeat(direction: str, *, ending: str = "", stop: str = "") -> str:
    """A bar line: "forward" or "backward" or "" without a repeat, where an ending begins or stops."""
    bracket = (
        f'<ending number="{ending or stop}" type="{"start" if ending else "stop"}"/>'
        if ending or stop
        else ""
    )
    sign = f'<repeat direction="{direction}"/>' if direction else ""
    return f"<barline>{bracket}{sign}</barline>"


def write_musicxml(path: Path, *parts: tuple[str, Sequence[str]]) -> Path:
    """Parts of (name, what stands in each measure); two divisions make a quarter. A measure that begins with "~"
    is an implicit one."""
    names, bodies = "", ""
    for number, (name, measures) in enumerate(parts):
        names += f'<score-part id="P{number}"><part-name>{name}</part-name></score-part>'
        bodies += f'<part id="P{number}">'
        for index, measure in enumerate(measures, 1):
            implicit = ' implicit="yes"' if measure.startswith("~") else ""
            divisions = "<attributes><divisions>2</divisions></attributes>" if index == 1 else ""
            bodies += f'<measure number="{index}"{implicit}>{divisions}{measure.lstrip("~")}</measure>'
        bodies += "</part>"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="4.0">'
        f"<part-list>{names}</part-list>{bodies}</score-partwise>"
    )
    return path


TICKS = 480


def write_tracks(
    path: Path,
    *tracks: tuple[str, Sequence[tuple[float, float, int]]],
    time_events: Sequence[tuple[float, mido.MetaMessage]] = (),
) -> Path:
    """MIDI of type 1: tracks of (name, notes), a note (start, end, pitch) in quarters; each on a channel of its own."""
    file = mido.MidiFile(ticks_per_beat=TICKS)
    file.tracks.append(timed_track([(quarter, event) for quarter, event in time_events]))
    for channel, (name, notes) in enumerate(tracks):
        events: list[tuple[float, mido.Message]] = [(0.0, mido.MetaMessage("track_name", name=name))]
        for start, end, pitch in notes:
            events.append((start, mido.Message("note_on", channel=channel, note=pitch, velocity=80)))
            events.append((end, mido.Message("note_off", channel=channel, note=pitch)))
        file.tracks.append(timed_track(events))
    file.save(path)
    return path


def timed_track(events: Sequence[tuple[float, mido.Message]]) -> mido.MidiTrack:
    """Events with the quarter at which they are."""
    track, now = mido.MidiTrack(), 0
    for quarter, event in sorted(events, key=lambda timed: timed[0]):
        tick = round(quarter * TICKS)
        track.append(event.copy(time=tick - now))
        now = tick
    return track


def signature(beats: int, unit: int) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=beats, denominator=unit)
