"""Charts, chord names, keys and metres, both ways."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.chord_names import SUFFIXES, chord_name, parse_chord_name
from samuel.lead_sheet.locks import Locks, parse_energy
from samuel.lead_sheet.sheet import parse_key, steady_beats
from samuel.lead_sheet.signatures import Key, Metre
from samuel.lead_sheet.text import chart_text, heading, metre_name, parse_chart, parse_metre, sheet_text


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Am", "A:min"), ("F#m7b5", "Gb:hdim7"), ("Bb/D", "Bb:maj/3"), ("Gsus4", "G:sus4"), ("N.C.", "N"),
        ("C", "C:maj"), ("Cmaj7", "C:maj7"), ("CM7", "C:maj7"), ("Cadd9", "C:maj"), ("Eb-7", "Eb:min7"),
        ("B°", "B:dim"), ("c#m", "Db:min"), ("G/B", "G:maj/3"), ("C6/9", "C:maj6"), ("C6/9/E", "C:maj6/3"),
        ("D7sus4", "D:sus4(b7)"), ("A♭m(maj7)", "Ab:minmaj7"), ("E7#9", "E:7"),
    ],
)  # fmt: skip
def test_chord_names(name: str, label: str) -> None:
    assert parse_chord_name(name).label == label


@pytest.mark.parametrize("name", ["H", "Cfoo", "", "C/", "/G", "Am/H", "maj7"])
def test_unreadable_chords_are_named(name: str) -> None:
    with pytest.raises(LeadSheetError, match="cannot read the chord"):
        parse_chord_name(name)


chords = st.builds(
    Chord,
    st.just(0.0),
    st.just(1.0),
    st.integers(0, 11),
    st.sampled_from(sorted(SUFFIXES)),
    st.none() | st.integers(0, 11),
)


@given(chords, st.builds(Key, st.integers(0, 11), st.sampled_from(["major", "minor"])))
def test_names_come_back(chord: Chord, key: Key) -> None:
    back = parse_chord_name(chord_name(chord, key))
    assert (back.pitch_classes, back.bass_pitch_class) == (chord.pitch_classes, chord.bass_pitch_class)


def test_chart_repeats_to_the_end_and_joins_equal_chords() -> None:
    chart = parse_chart("| Am | % | C G/B |")
    chords = chart.over(((0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0)))
    assert [(c.start, c.end, c.label) for c in chords] == [
        (0, 4, "A:min"),
        (4, 5, "C:maj"),
        (5, 6, "G:maj/3"),
        (6, 8, "A:min"),
    ]


def test_chart_errors_name_bar_and_word() -> None:
    with pytest.raises(LeadSheetError, match=r"bar 2: cannot read the chord 'Foo'"):
        parse_chart("| Am | Foo |")
    with pytest.raises(LeadSheetError, match="bar 1 is a repeat"):
        parse_chart("| % | Am |")


@given(st.lists(st.lists(chords, min_size=1, max_size=4), min_size=1, max_size=6), st.integers(2, 6))
def test_charts_come_back(bars: list[list[Chord]], beats: int) -> None:
    words = " | ".join(" ".join(chord_name(c) for c in bar) for bar in bars)
    beat_times, downbeats = steady_beats(100.0, 0.5, Metre(beats), 0.5 + 0.6 * beats * len(bars))
    sheet = LeadSheet(beat_times, downbeats, metre=Metre(beats))
    chart = parse_chart(f"| {words} |")
    played = LeadSheet(beat_times, downbeats, chart.over(sheet.bars), metre=Metre(beats))
    if all(beats % len(bar) == 0 for bar in bars):
        again = parse_chart(chart_text(played)).over(sheet.bars)
        assert [c.label for c in again] == [c.label for c in played.chords]
        assert [c.start for c in again] == pytest.approx([c.start for c in played.chords])


@given(st.integers(2, 15), st.data())
def test_two_chords_of_a_bar_change_on_the_beat_they_are_written_on(beats: int, data: st.DataObject) -> None:
    change = data.draw(st.integers(1, beats - 1))
    chords = (Chord(0.0, float(change), 0, "maj"), Chord(float(change), float(beats), 7, "maj"))
    one_bar = LeadSheet(tuple(map(float, range(beats))), (0.0,), chords, metre=Metre(beats))
    again = parse_chart(chart_text(one_bar)).over(one_bar.bars)
    assert [c.start for c in again] == pytest.approx([0, change])


def test_slashes_hold_a_chord() -> None:
    (bar,) = parse_chart("| C / / G |").bars
    assert [(c.start, c.end) for c in bar] == [(0, 0.75), (0.75, 1)]


def test_metres_and_keys() -> None:
    assert parse_metre("6/8") == Metre(2, 3)
    assert metre_name(Metre(2, 3)) == "6/8"
    assert metre_name(parse_metre("3/4")) == "3/4"
    assert parse_key("A minor") == Key(9, "minor") == parse_key("am")
    assert parse_key("Bb") == Key(10, "major")
    for wrong in ("0/4", "4", "4/5", "3+2/8"):
        with pytest.raises(LeadSheetError, match="metre"):
            parse_metre(wrong)
    for wrong in ("H", "", "A dorian"):
        with pytest.raises(LeadSheetError, match="key"):
            parse_key(wrong)


@given(st.integers(1, 15), st.sampled_from([1, 2, 4, 8, 16]))
def test_every_metre_is_printed_as_it_was_typed(count: int, unit: int) -> None:
    metre = parse_metre(f"{count}/{unit}")
    assert metre_name(metre) == f"{count}/{unit}"
    assert metre.beats * metre.quarters == pytest.approx(4 * count / unit)
    sheet = LeadSheet(*steady_beats(100.0, 0.5, metre, 60.0), metre=metre)
    assert LeadSheet.from_json(sheet.to_json()).metre == metre
    assert f", {count}/{unit}" in heading(sheet)


def test_what_was_stored_without_a_unit_is_the_usual_one() -> None:
    for fields, name in (({"beats": 11}, "11/4"), ({"beats": 2, "division": 3}, "6/8")):
        sheet = LeadSheet.from_dict({"metre": fields})
        assert metre_name(sheet.metre) == name
        assert "unit" not in sheet.to_dict()["metre"]
    with pytest.raises(LeadSheetError):
        LeadSheet.from_dict({"metre": {"beats": 4, "unit": 7}})


def test_a_sheet_is_printed_as_a_person_writes_it() -> None:
    locks = Locks.parse(bpm=92.0, first_beat=0.42, key="A minor", chords="| Am | F | C G/B | Em |")
    sheet = locks.apply(LeadSheet(), 0.42 + 4 * 4 * 60 / 92)
    assert sheet_text(sheet) == "92 bpm, 4/4, A minor\n| Am | F | C G/B | Em |"
    assert heading(LeadSheet()) == "tempo and key unknown"


def test_locks_hold_exactly() -> None:
    found = LeadSheet(*steady_beats(120.0, 1.0, Metre(4), 20.0), key=Key(0, "major"), unsure=("tempo", "key"))
    sheet = Locks.parse(bpm=92.0, first_beat=0.42).apply(found, 20.0)
    assert sheet.beats[0] == sheet.downbeats[0] == 0.42
    assert sheet.beats[10] == pytest.approx(0.42 + 10 * 60 / 92)
    assert sheet.key == Key(0, "major")
    assert sheet.unsure == ("key",)
    waltz = Locks.parse(metre="3/4").apply(found, 20.0)
    assert waltz.downbeats[1] - waltz.downbeats[0] == pytest.approx(1.5)
    later = Locks.parse(first_beat=1.5).apply(found, 20.0)
    assert later.downbeats[0] == pytest.approx(1.5)
    assert later.bpm == pytest.approx(120)


def test_locks_need_a_tempo_for_chords() -> None:
    with pytest.raises(LeadSheetError, match="give its tempo"):
        Locks.parse(chords="| Am |").apply(LeadSheet(), 10.0)
    with pytest.raises(LeadSheetError, match="1000"):
        Locks.parse(bpm=1000.0)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(LeadSheetError, match="at 0 s or later"):
            Locks.parse(first_beat=wrong)
    with pytest.raises(LeadSheetError, match="at 30 s, and the recording ends at 10 s"):
        Locks.parse(bpm=100.0, first_beat=30.0).apply(LeadSheet(), 10.0)


def test_energy() -> None:
    assert parse_energy("0.7") == ((0.0, 0.7),)
    assert parse_energy("0:0.3, 20:0.9") == ((0.0, 0.3), (20.0, 0.9))
    for wrong in ("loud", "2", "20:0.5, 10:0.5", ""):
        with pytest.raises(LeadSheetError, match="energy"):
            parse_energy(wrong)


def test_guessed_chords_have_question_marks_that_may_be_typed_back() -> None:
    sheet = Locks.parse(bpm=120.0, first_beat=0.0, chords="| Am | F | C G/B |").apply(LeadSheet(), 6.0)
    doubtful = replace(sheet, guesses=((2.0, 4.0), (4.0, 4.9)))
    assert chart_text(doubtful, doubts=True) == "| Am | F? | C? G/B |"
    assert chart_text(doubtful) == "| Am | F | C G/B |"
    assert sheet_text(doubtful).endswith("| Am | F? | C? G/B |")
    assert parse_chart("| Am | F? | C? G/B |") == parse_chart("| Am | F | C G/B |")
    assert LeadSheet.from_json(doubtful.to_json()).guesses == doubtful.guesses
    assert [end for _, end in doubtful.between(3.0, 6.0).guesses] == pytest.approx([1.0, 1.9])
    assert Locks.parse(chords="| C |").apply(doubtful, 6.0).guesses == ()
    with pytest.raises(LeadSheetError, match="guesses"):
        replace(sheet, guesses=((2.0, 1.0),))
