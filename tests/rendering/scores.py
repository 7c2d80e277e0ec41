"""Two small scores, written here: a MIDI file with a melody track, and a lead sheet in MusicXML."""

from pathlib import Path

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


def _note(step: str, length: int, lyric: str = "", *, tie: str = "", octave: int = 4) -> str:
    words = f"<lyric><text>{lyric}</text></lyric>" if lyric else ""
    tied = f'<tie type="{tie}"/>' if tie else ""
    return (
        f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        f"<duration>{length}</duration>{tied}{words}</note>"
    )


def _chord(step: str, kind: str) -> str:
    return f"<harmony><root><root-step>{step}</root-step></root><kind>{kind}</kind></harmony>"


def write_lead_sheet(path: Path, *, chords: bool = True) -> Path:
    """A waltz in G: an upbeat of one quarter, then four bars of 3/4 that are repeated, with a tie."""
    symbols = ("G", "major"), ("D", "dominant"), ("E", "minor"), ("G", "major")
    bars = (
        _note("G", 2, "Oh") + _note("B", 1, "sing"),
        _note("A", 1, "to") + _note("F", 1) + _note("D", 1, "me"),
        _note("E", 3, "long", tie="start"),
        _note("E", 1, tie="stop") + _note("G", 2, "song"),
    )
    body = ""
    for index, (symbol, notes) in enumerate(zip(symbols, bars, strict=True)):
        forward = '<barline location="left"><repeat direction="forward"/></barline>' if index == 0 else ""
        back = '<barline location="right"><repeat direction="backward"/></barline>' if index == 3 else ""
        harmony = _chord(*symbol) if chords else ""
        body += f'<measure number="{index + 1}">{forward}{harmony}{notes}{back}</measure>'
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="3.1">'
        "<work><work-title>Small_Waltz</work-title></work>"
        '<identification><creator type="composer">Nobody</creator></identification>'
        '<part-list><score-part id="P1"><part-name>Voice</part-name></score-part></part-list><part id="P1">'
        '<measure number="0" implicit="yes"><attributes><divisions>1</divisions>'
        "<key><fifths>1</fifths><mode>major</mode></key>"
        "<time><beats>3</beats><beat-type>4</beat-type></time></attributes>"
        f"{_note('D', 1, 'La')}</measure>{body}</part></score-partwise>"
    )
    return path
