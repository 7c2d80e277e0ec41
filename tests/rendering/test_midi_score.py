"""MIDI -> Score, from small files written here: what is sung, how long, in which metre, and where bars begin."""

from pathlib import Path

import mido
import pytest

from samuel.lead_sheet.notation.written import ScoreError
from samuel.lead_sheet.signatures import Metre
from samuel.rendering.midi_score import read_midi
from samuel.rendering.score import Score
from tests.rendering.scores import TICKS, signature, timed_track, write_midi, write_tracks

Notes = list[tuple[float, float, int]]


def quarters(pitch: int, count: int, *, start: float = 0.0) -> Notes:
    return [(start + index, start + index + 0.9, pitch) for index in range(count)]


def triads(bars: int, length: float, *, start: float = 0.0) -> Notes:
    return [
        (start + bar * length, start + (bar + 1) * length, pitch)
        for bar in range(bars)
        for pitch in (48, 52, 55)
    ]


def read(path: Path, *tracks: tuple[str, Notes], **options) -> Score:
    return read_midi(write_tracks(path / "song.mid", *tracks, **options))


def test_the_sung_track_is_the_one_whose_name_says_so(tmp_path: Path) -> None:
    score = read(
        tmp_path, ("Lead Guitar", quarters(45, 16)), ("MELODY", quarters(72, 16)), ("Bass", quarters(36, 16))
    )
    assert {note.pitch for note in score.melody} == {72}
    assert [name for name, _ in score.accompaniment] == ["Lead Guitar", "Bass"]


def test_changes_of_program_and_channel_keep_a_track_whole(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "song.mid", ("PIANO", triads(4, 4.0)), ("MELODY", quarters(72, 16)))
    file = mido.MidiFile(path)
    events = file.tracks[2]
    half = [index for index, event in enumerate(events) if event.type == "note_on"][8]
    for event in events[half:-1]:
        event.channel = 5
    events.insert(half, mido.Message("program_change", channel=1, program=54, time=0))
    file.save(path)
    score = read_midi(path)
    assert [note.start for note in score.melody] == list(range(16))
    assert [name for name, _ in score.accompaniment] == ["PIANO"]


@pytest.mark.parametrize(
    ("beats", "unit", "metre", "bar"),
    [
        (4, 4, Metre(4), 4.0),
        (3, 4, Metre(3), 3.0),
        (2, 2, Metre(2), 4.0),
        (6, 8, Metre(2, 3), 3.0),
        (9, 8, Metre(3, 3), 4.5),
        (12, 8, Metre(4, 3), 6.0),
        (7, 8, Metre(7), 3.5),
        (1, 4, Metre(4), 4.0),
    ],
)
def test_metres(tmp_path: Path, beats: int, unit: int, metre: Metre, bar: float) -> None:
    melody = [(index * bar, (index + 1) * bar, 72) for index in range(8)]
    score = read(
        tmp_path, ("Voice", melody), ("PIANO", triads(8, bar)), time_events=[(0.0, signature(beats, unit))]
    )
    assert score.metre == metre
    assert [note.start for note in score.melody] == pytest.approx([index * metre.beats for index in range(8)])
    assert score.beats_per_minute == pytest.approx(120 * metre.beats / bar)


def test_upbeats_and_changes_of_metre_begin_bars(tmp_path: Path) -> None:
    """An upbeat as notation programs write it: a bar of 1/4. And 2/4 in the middle."""
    events = [(0.0, signature(1, 4)), (1.0, signature(4, 4)), (9.0, signature(2, 4)), (11.0, signature(4, 4))]
    score = read(
        tmp_path, ("Voice", quarters(72, 19)), ("PIANO", triads(4, 4.0, start=1.0)), time_events=events
    )
    assert score.metre == Metre(4)
    assert [note.start for note in score.melody] == pytest.approx([*range(3, 14), *range(16, 24)])


def test_a_signature_counts_wherever_it_stands(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "song.mid", ("Voice", quarters(72, 24)), ("PIANO", triads(8, 3.0)))
    file = mido.MidiFile(path)
    file.tracks[2].insert(1, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(90), time=0))
    file.tracks[2].insert(1, signature(3, 4))
    file.save(path)
    score = read_midi(path)
    assert (score.metre, score.beats_per_minute) == (Metre(3), pytest.approx(90.0, rel=1e-3))


def test_a_metre_that_keeps_changing_is_refused(tmp_path: Path) -> None:
    events = [(0.0, signature(4, 4)), (32.0, signature(3, 4))]
    with pytest.raises(
        ScoreError, match=r"song.mid: the metre changes too often \(8 in 4/4, 8 in 3/4 bars\)"
    ):
        read(tmp_path, ("Voice", quarters(72, 56)), ("PIANO", triads(14, 4.0)), time_events=events)


def test_side_files_of_pop909_say_where_odd_bars_are(tmp_path: Path) -> None:
    """Beats at 120 a minute: an upbeat, a bar of 4, one of 6, then of 4."""
    path = write_midi(tmp_path / "song.mid")
    downbeats = {1, 5, 11, 15}
    lines = [f"{0.5 * beat} 0.0 {float(beat in downbeats)}" for beat in range(20)]
    (tmp_path / "beat_midi.txt").write_text("\n".join(lines))
    (tmp_path / "chord_midi.txt").write_text("0.0 0.5 N\n0.5 5.5 D:min7/b3\n5.5 10.0 G:7\n")
    score = read_midi(path)
    assert [note.start for note in score.melody] == pytest.approx(
        [3, *range(4, 14), *range(16, 21)], abs=0.02
    )
    assert [(chord.start, chord.end, chord.label) for chord in score.chords] == [
        (3, 4, "N"), (4, 16, "D:min7/b3"), (16, 25, "G:7")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("beats", "chords", "message"),
    [
        ("0.0 1.0\n", None, "expected lines such as"),
        ("a b c\n", None, "expected lines such as"),
        ("0 0 1\n1 0 0\n", None, "fewer than two bars"),
        ("".join(f"{beat % 5} 0 {beat % 4 == 0:d}\n" for beat in range(16)), None, "seconds that go back"),
        (None, "0 4 Cm7\n", "song.mid: line 1 of chord_midi.txt: expected a chord in Harte's syntax"),
        (None, "0 4\n", "song.mid: line 1 of chord_midi.txt"),
    ],
)
def test_side_files_that_are_wrong_are_told(
    tmp_path: Path, beats: str | None, chords: str | None, message: str
) -> None:
    path = write_midi(tmp_path / "song.mid")
    for name, text in (("beat_midi.txt", beats), ("chord_midi.txt", chords)):
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(ScoreError, match=message):
        read_midi(path)


def test_the_channel_with_the_words_is_sung_in_a_file_of_one_track(tmp_path: Path) -> None:
    """Type 0: the track's name is the song's."""
    events: list[tuple[float, mido.Message]] = [
        (0.0, mido.MetaMessage("track_name", name="A Melody for Voice"))
    ]
    for channel, notes in ((0, triads(4, 4.0)), (3, quarters(72, 16)), (9, quarters(36, 16))):
        for start, end, pitch in notes:
            events.append((start, mido.Message("note_on", channel=channel, note=pitch, velocity=80)))
            events.append((end, mido.Message("note_off", channel=channel, note=pitch)))
    words = [(float(beat), mido.MetaMessage("lyrics", text="la")) for beat in range(16)]
    for lyrics, path in ((words, tmp_path / "sung.mid"), ([], tmp_path / "played.mid")):
        file = mido.MidiFile(type=0, ticks_per_beat=TICKS)
        file.tracks.append(timed_track(events + lyrics))
        file.save(path)
    assert {note.pitch for note in read_midi(tmp_path / "sung.mid").melody} == {72}
    with pytest.raises(
        ScoreError, match=r"played.mid: expected a track named MELODY, got 'channel 1', 'channel 4'"
    ):
        read_midi(tmp_path / "played.mid")


def test_notes_end_where_the_next_begins_or_the_track_ends(tmp_path: Path) -> None:
    """Notes that are struck again before their end, and one that is never ended."""
    path = write_tracks(tmp_path / "song.mid", ("PIANO", triads(4, 4.0)))
    on = [(float(beat), mido.Message("note_on", note=72, velocity=80)) for beat in (0, 1, 2, 6)]
    off = [(float(beat), mido.Message("note_off", note=72)) for beat in (1, 2, 4)]
    file = mido.MidiFile(path)
    end = [(8.0, mido.MetaMessage("marker", text="end"))]
    file.tracks.append(timed_track([(0.0, mido.MetaMessage("track_name", name="Voice")), *on, *off, *end]))
    file.save(path)
    assert [(note.start, note.end) for note in read_midi(path).melody] == [(0, 1), (1, 2), (2, 4), (6, 8)]


def test_chords_are_those_that_sound(tmp_path: Path) -> None:
    chords = [(48, 52, 55, 58), (47, 50, 53), (45, 48, 52), (43, 48, 50), (45,)]
    played = [(4.0 * bar, 4.0 * bar + 4, pitch) for bar, chord in enumerate(chords) for pitch in chord]
    melody = [(4.0 * bar, 4.0 * bar + 4, pitch) for bar, pitch in enumerate((67, 62, 64, 67, 60))]
    score = read(tmp_path, ("Voice", melody), ("PIANO", played))
    assert [chord.label for chord in score.chords][::2] == ["C:7", "B:dim", "A:min", "G:sus4", "A:min"]


@pytest.mark.parametrize("name", ["주선율 멜로디", "ボーカル"])
def test_names_in_utf8_are_read(tmp_path: Path, name: str) -> None:
    score = read(tmp_path, ("Piano", triads(4, 4.0)), (name.encode().decode("latin-1"), quarters(72, 16)))
    assert {note.pitch for note in score.melody} == {72}


def test_what_is_no_song_is_one_sentence(tmp_path: Path) -> None:
    whole = write_midi(tmp_path / "song.mid").read_bytes()
    far = [(0.0, 1.0, 60), (70_000.0, 70_001.0, 60)]
    cases = {
        b"": "it ends in the middle",
        whole[:-20]: "it ends in the middle",
        b"RIFF" + whole: "not readable as MIDI",
        whole.replace(b"\x00\xdc", b"\xe7\x28", 1): "SMPTE",
        whole.replace(b"MThd\x00\x00\x00\x06\x00\x01", b"MThd\x00\x00\x00\x06\x00\x02"): "type 2",
        write_tracks(tmp_path / "long.mid", ("Voice", far)).read_bytes(): "longer than 20000 quarters",
        write_tracks(tmp_path / "none.mid", ("Voice", [])).read_bytes(): "no pitched notes",
        write_tracks(tmp_path / "alone.mid", ("Voice", quarters(60, 8))).read_bytes(): "no chords:",
    }
    for content, message in cases.items():
        (tmp_path / "song.mid").write_bytes(content)
        with pytest.raises(ScoreError, match=message) as told:
            read_midi(tmp_path / "song.mid")
        assert "\n" not in str(told.value)
