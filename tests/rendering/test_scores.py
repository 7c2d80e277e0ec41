"""Reading scores: what is written in two small files must come out, and bad files must say why."""

from pathlib import Path

import pytest

from samuel.lead_sheet.notation.written import Note, ScoreError
from samuel.lead_sheet.signatures import Metre
from samuel.rendering.library import read_score
from samuel.rendering.score import single_voice
from tests.rendering.scores import BPM, CHORD_LABELS, MELODY, write_lead_sheet, write_midi


def test_midi_melody_beats_key_and_chords(tmp_path: Path) -> None:
    score = read_score(write_midi(tmp_path / "song.mid"))
    assert [note.pitch for note in score.melody] == list(MELODY)
    assert [note.start for note in score.melody] == pytest.approx(range(16), abs=0.01)
    assert score.metre == Metre(4)
    assert score.beats_per_minute == pytest.approx(BPM, rel=1e-3)
    assert score.key.label == "C major"
    heard = [next(c.label for c in score.chords if c.start <= beat < c.end) for beat in range(16)]
    assert heard == [label for label in CHORD_LABELS for _ in range(4)]
    assert [name for name, _ in score.accompaniment] == ["PIANO"]


def test_side_files_of_pop909_are_used(tmp_path: Path) -> None:
    """With beats written a beat later and in threes, bars begin where the file says."""
    path = write_midi(tmp_path / "song.mid")
    beats = "".join(f"{0.5 * beat} 0.0 {float(beat % 3 == 1)}\n" for beat in range(16))
    (tmp_path / "beat_midi.txt").write_text(beats)
    (tmp_path / "chord_midi.txt").write_text("0.0 0.5 N\n0.5 2.0 D:min7/b3\n2.0 8.0 G:7\n")
    score = read_score(path)
    assert score.metre == Metre(3)
    assert score.melody[0].start == pytest.approx(2.0, abs=0.01)  # beat 0 is a downbeat, two beats before
    assert [chord.label for chord in score.chords] == ["N", "D:min7/b3", "G:7"]
    assert [chord.start for chord in score.chords] == [2.0, 3.0, 6.0]


def test_lead_sheet_upbeat_repeat_tie_and_lyrics(tmp_path: Path) -> None:
    score = read_score(write_lead_sheet(tmp_path / "waltz.musicxml"))
    assert (score.title, score.artist) == ("Small Waltz", "Nobody")
    assert (score.metre, score.key.label, score.beats_per_minute) == (Metre(3), "G major", None)
    assert score.melody[0] == Note(2.0, 3.0, 62, "La")  # the upbeat ends a whole bar
    first, second = score.melody[1:8], score.melody[8:]
    assert [(n.pitch, n.lyric) for n in first] == [(n.pitch, n.lyric) for n in second]
    assert {n.start - m.start for m, n in zip(first, second, strict=True)} == {12.0}
    assert Note(9.0, 13.0, 64, "long") in score.melody  # the tie is one note
    assert [c.label for c in score.chords] == ["G:maj", "D:7", "E:min", "G:maj"] * 2
    assert all(a.end == b.start for a, b in zip(score.chords, score.chords[1:], strict=False))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: write_midi(folder / "a.mid", melody_name="Flute"), "track named MELODY.*'Flute'"),
        (lambda folder: write_lead_sheet(folder / "a.musicxml", chords=False), "no chord symbols"),
        (lambda folder: _write(folder / "a.mid", b"not MIDI"), "not readable as MIDI"),
        (lambda folder: _write(folder / "a.musicxml", b"<score"), "not readable as MusicXML"),
        (lambda folder: _write(folder / "a.txt", b""), "expected MIDI or MusicXML"),
    ],
)
def test_bad_scores_say_why(tmp_path: Path, make, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        read_score(make(tmp_path))


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_one_voice_of_overlapping_notes() -> None:
    voice = single_voice([Note(1.0, 3.0, 60), Note(0.0, 1.5, 62), Note(1.0, 2.0, 67), Note(2.0, 4.0, 64)])
    assert voice == (Note(0.0, 1.0, 62), Note(1.0, 2.0, 67), Note(2.0, 4.0, 64))
