"""Lead sheets as files: what goes out comes back, and what is no lead sheet is refused with a reason."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.chord import QUALITIES, Chord
from samuel.lead_sheet.files import check_length, click, read_lead_sheet, write_lead_sheet
from samuel.lead_sheet.signatures import Key, Metre
from tests.rendering.scores import harmony, note, repeat, time, write_musicxml, write_tracks


@st.composite
def sheets(draw, steady: bool) -> LeadSheet:
    """Some bars with one or two chords each; `steady`: of one tempo, without a pickup, without gaps."""
    metre = draw(
        st.sampled_from(
            [Metre(4), Metre(3), Metre(2, 3), Metre(4, 3), Metre(5), Metre(11, 2, 8), Metre(2, 2, 2)]
        )
    )
    bars = draw(st.integers(1, 6))
    pickup = 0 if steady else draw(st.integers(0, metre.beats - 1))
    step, first = draw(st.floats(0.3, 1.2)), draw(st.sampled_from([0.0, 0.0421, 0.7, 3.1]))
    count = pickup + bars * metre.beats
    drift = 0.0 if steady else draw(st.sampled_from([0.0, 0.03]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    times = first + np.concatenate(
        [[0.0], np.cumsum(step * (1 + drift * rng.standard_normal(count).clip(-3, 3)))]
    )
    beats = tuple(times[:-1].tolist())
    chords = []
    for bar in range(bars):
        start = pickup + bar * metre.beats
        cut = draw(st.sampled_from([None, *range(1, metre.beats)]))
        for a, b in (
            ((start, start + metre.beats),)
            if cut is None
            else ((start, start + cut), (start + cut, start + metre.beats))
        ):
            chord = draw(chord_names())
            before = chords[-1] if chords else None
            if before is None or (before.root, before.quality, before.bass) != (
                chord.root,
                chord.quality,
                chord.bass,
            ):
                chords.append(Chord(times[a], times[b], chord.root, chord.quality, chord.bass))
            else:
                chords[-1] = Chord(before.start, times[b], chord.root, chord.quality, chord.bass)
    if all(chord.root is None for chord in chords):
        chords = [Chord(chords[0].start, chords[-1].end, 9, "min")]
    key = Key(draw(st.integers(0, 11)), draw(st.sampled_from(["major", "minor"])))
    return LeadSheet(beats, beats[pickup :: metre.beats], tuple(chords), key, metre)


@st.composite
def chord_names(draw) -> Chord:
    root = draw(st.none() | st.integers(0, 11))
    if root is None:
        return Chord(0.0, 1.0)
    bass = draw(st.sampled_from([None, 4, 7]))
    return Chord(
        0.0, 1.0, root, draw(st.sampled_from(sorted(QUALITIES))), None if bass is None else (root + bass) % 12
    )


def close(one: LeadSheet, other: LeadSheet, seconds: float) -> None:
    assert one.metre == other.metre
    assert np.array(other.beats) == pytest.approx(np.array(one.beats), abs=seconds)
    assert np.array(other.downbeats) == pytest.approx(np.array(one.downbeats), abs=seconds)
    assert [(c.root, c.quality, c.bass) for c in other.chords] == [
        (c.root, c.quality, c.bass) for c in one.chords
    ]
    for edge in ("start", "end"):
        ours, theirs = ([getattr(c, edge) for c in sheet.chords] for sheet in (one, other))
        assert theirs == pytest.approx(ours, abs=seconds)


@pytest.mark.parametrize(
    ("name", "steady", "seconds", "examples"),
    [
        ("sheet.json", False, 1e-4, 20),
        ("sheet.mid", False, 2e-3, 20),
        ("sheet.musicxml", True, 3e-3, 5),
        ("sheet.mxl", True, 3e-3, 3),
        ("sheet.txt", True, 2e-3, 20),
        ("sheet.cho", True, 2e-3, 20),
    ],
)
def test_what_is_written_comes_back(
    tmp_path: Path, name: str, steady: bool, seconds: float, examples: int
) -> None:
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(sheets(steady))
    def both_ways(sheet: LeadSheet) -> None:
        write_lead_sheet(sheet, tmp_path / name)
        again = read_lead_sheet(tmp_path / name)
        close(sheet, again, seconds)
        assert again.key == sheet.key

    both_ways()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sheets(False))
def test_lab_files_come_back(tmp_path: Path, sheet: LeadSheet) -> None:
    write_lead_sheet(sheet, tmp_path / "sheet.lab")
    again = read_lead_sheet(tmp_path / "sheet.lab")
    assert np.array(again.beats) == pytest.approx(np.array(sheet.beats), abs=1e-5)
    assert np.array(again.downbeats) == pytest.approx(np.array(sheet.downbeats), abs=1e-5)
    assert [c.label for c in again.chords] == [c.label for c in sheet.chords]


def test_musicxml_follows_a_tempo_that_drifts(tmp_path: Path) -> None:
    bars = 2.0 + np.concatenate([[0.0], np.cumsum(2.0 + 0.05 * np.sin(np.arange(12)))])
    beats = tuple(np.interp(np.arange(48) / 4, np.arange(13), bars).tolist())
    chords = tuple(Chord(bars[n], bars[n + 1], n % 12, "maj") for n in range(12))
    sheet = LeadSheet(beats, beats[::4], chords, Key(0, "major"))
    write_lead_sheet(sheet, tmp_path / "sheet.musicxml")
    close(sheet, read_lead_sheet(tmp_path / "sheet.musicxml"), 5e-3)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{", "no JSON"),
        ("a.json", '{"beats": [1, 0.5]}', "a.json: expected beats that rise"),
        ("a.lab", "0 1", "line 1: expected start, end and a chord"),
        ("a.lab", "0 1 H:maj", "line 1, '0 1 H:maj': expected a chord"),
        ("a.beats.lab", "1 1\n0.5 2\n", "expected beats that rise, but number 2"),
        ("a.lab", "", "no chords"),
        ("a.txt", "| Am | F |", "no tempo"),
        ("a.txt", "92 bpm", "no chords"),
        ("a.txt", "1000 bpm\n| Am |", "tempo from 20 to 400 bpm"),
        ("a.txt", "92 bpm\n| Am | Hm |", "bar 2: cannot read the chord 'Hm'"),
        ("a.cho", "{tempo: fast}\n[Am]la", "expected {tempo: 92}, got 'fast'"),
        ("a.mid", "MThd", "not readable as MIDI"),
        ("a.musicxml", "<score", "not readable as MusicXML"),
        ("a.pdf", "", "expected a lead sheet as .json, .mid"),
    ],
)
def test_what_is_no_lead_sheet_is_refused(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(LeadSheetError) as error:
        read_lead_sheet(tmp_path / name)
    assert words in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LeadSheetError, match="no such file"):
        read_lead_sheet(tmp_path / "none.json")


def test_midi_from_a_sequencer(tmp_path: Path) -> None:
    """Without markers, chords are heard from the notes; without chords, the reason is said."""
    import pretty_midi

    def song(chords: list[tuple[int, ...]], name: str) -> pretty_midi.PrettyMIDI:
        midi = pretty_midi.PrettyMIDI(initial_tempo=100)
        track = pretty_midi.Instrument(0, name=name)
        for number, pitches in enumerate(chords):
            track.notes += [pretty_midi.Note(90, p, 2.4 * number, 2.4 * (number + 1)) for p in pitches]
        midi.instruments.append(track)
        return midi

    path = tmp_path / "song.mid"
    song([(45, 57, 60, 64), (41, 57, 60, 65), (47, 55, 59, 62), (50, 57, 60, 65)], "Piano").write(str(path))
    sheet = read_lead_sheet(path)
    assert [chord.label for chord in sheet.chords] == ["A:min", "F:maj", "G:maj/3", "D:min7"]
    assert [chord.start for chord in sheet.chords] == pytest.approx([0, 2.4, 4.8, 7.2], abs=0.01)
    assert sheet.bpm == pytest.approx(100, abs=0.01)
    song([(60,), (62,)], "Melody").write(str(path))
    with pytest.raises(LeadSheetError, match="MIDI without chords"):
        read_lead_sheet(path)


def test_files_that_last_longer_than_any_song_are_refused(tmp_path: Path) -> None:
    far = write_tracks(tmp_path / "far.mid", ("Piano", [(0.0, 1.0, 60), (70_000.0, 70_001.0, 60)]))
    long = write_musicxml(tmp_path / "long.musicxml", ("Piano", [harmony("C", "major") + note("C", 999_999)]))
    for path in (far, long):
        with pytest.raises(LeadSheetError, match="longer than 20000 quarters"):
            read_lead_sheet(path)


def test_musicxml_is_read_as_it_sounds(tmp_path: Path) -> None:
    """A repeat is played out, of an instrument in B flat the chords are those that sound, an odd metre is counted."""
    transposed = "<attributes><transpose><chromatic>-2</chromatic></transpose></attributes>"
    bars = [
        transposed + time("3+2", 8) + harmony("D", "suspended-fourth-seventh") + note("D", 8),
        harmony("G", "major") + note("G", 8) + repeat("backward"),
    ]
    sheet = read_lead_sheet(write_musicxml(tmp_path / "song.musicxml", ("Clarinet", bars)))
    assert [chord.label for chord in sheet.chords] == ["C:sus4(b7)", "F:maj"] * 2
    assert sheet.downbeats == pytest.approx([0, 2, 4, 6])
    assert sheet.unsure == ("tempo", "beats")


def test_chordpro_with_lyrics_has_a_bar_a_chord(tmp_path: Path) -> None:
    path = tmp_path / "song.cho"
    path.write_text(
        "{title: A song}\n{key: Am}\n{tempo: 120}\n{time: 3/4}\n[Am]Hello [F]world,\n[C/E]here [*N.B.]I am\n"
    )
    sheet = read_lead_sheet(path)
    assert [chord.label for chord in sheet.chords] == ["A:min", "F:maj", "C:maj/3"]
    assert sheet.downbeats == pytest.approx([0, 1.5, 3.0])
    assert sheet.key == Key(9, "minor")


def test_files_that_need_beats_say_so(tmp_path: Path) -> None:
    for name in ("a.mid", "a.musicxml", "a.txt", "a.cho"):
        with pytest.raises(LeadSheetError, match="has none"):
            write_lead_sheet(LeadSheet(chords=(Chord(0.0, 1.0, 0),)), tmp_path / name)


def test_a_lead_sheet_of_another_length() -> None:
    sheet = LeadSheet((0.0, 30.0, 60.0), (0.0,), (Chord(0.0, 61.0, 0),))
    check_length(sheet, 65.0)
    with pytest.raises(LeadSheetError, match="lasts 1:01 and the recording 3:20"):
        check_length(sheet, 200.0)
    with pytest.raises(LeadSheetError, match="another recording"):
        check_length(sheet, 20.0)


def test_a_click_sounds_on_the_beats() -> None:
    sheet = LeadSheet((0.5, 1.0, 1.5), (0.5,))
    audio = click(sheet, 2.0)
    assert audio.shape == (2, 88200)
    assert audio.abs().max() <= 1
    loud = np.flatnonzero(np.abs(audio[0].numpy()) > 0.05)
    assert loud[0] == pytest.approx(22050, abs=5)
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-9999) > 4410)]
    assert starts == pytest.approx([22050, 44100, 66150], abs=10)
    with pytest.raises(LeadSheetError, match="needs beats"):
        click(LeadSheet(), 2.0)
