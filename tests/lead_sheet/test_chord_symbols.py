"""Chords: labels, kinds of MusicXML and names. A chord may lose a tension; it never gains a note."""

from itertools import combinations
from xml.etree import ElementTree

import mir_eval.chord
import numpy as np
import pytest

from samuel.lead_sheet.chord import QUALITIES, Chord, parse_chord, pitch_class, quality_of
from samuel.lead_sheet.chord_names import chord_name, parse_chord_name
from samuel.lead_sheet.notation.chord_symbols import KINDS, read_harmony
from samuel.lead_sheet.notation.written import ScoreError
from tests.rendering.scores import harmony


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("bass", [None, 3])
def test_chord_labels_and_names_read_back(quality: str, bass: int | None) -> None:
    chord = Chord(0.0, 1.0, 1, quality, bass)
    assert parse_chord(chord.label, 0.0, 1.0) == chord
    assert quality_of(frozenset(QUALITIES[quality])) == quality
    if bass is None:
        assert parse_chord_name(chord_name(chord)) == chord


@pytest.mark.parametrize("quality", QUALITIES)
def test_labels_mean_to_mir_eval_what_they_mean_here(quality: str) -> None:
    """mir_eval leaves the tensions of 9, 11 and 13 out."""
    _, bitmap, _ = mir_eval.chord.encode(Chord(0.0, 1.0, 0, quality).label)
    assert set(np.flatnonzero(bitmap)) == {
        note for note in QUALITIES[quality][:4] if note not in (2, 5, 9)
    } | (set(QUALITIES[quality]) if len(QUALITIES[quality]) < 5 else set())


@pytest.mark.parametrize("size", range(7))
def test_no_chord_gains_a_note(size: int) -> None:
    for notes in combinations(range(1, 12), size):
        intervals = frozenset({0, *notes})
        assert intervals.issuperset(QUALITIES[quality_of(intervals)])


def test_labels_of_chords_that_are_not_played_here_lose_notes() -> None:
    expected = {
        "C:7(#9)": "C:7", "C:min11": "C:min9", "C:min11(b5)": "C:hdim7", "C:maj(9)": "C:maj", "C:maj(*3)": "C:5",
        "C:(b3,5)": "C:min", "C:(1,4,5)": "C:sus4", "C": "C:maj", "C/5": "C:maj/5", "C:sus4(b7,9)": "C:sus4(b7)",
        "C:min7(b5)": "C:hdim7", "C:maj13": "C:maj9", "C:7(*5,b13)": "C:aug(b7)", "N": "N", "X": "N",
    }  # fmt: skip
    assert {label: parse_chord(label, 0.0, 1.0).label for label in expected} == expected


@pytest.mark.parametrize(
    "label", ["C:m7", "Am7", "H:maj", "C:7(9", "C:maj/99", "C:7(99)", "C:maj(x)", "c:maj", "Cmaj7"]
)
def test_what_is_no_label_is_told(label: str) -> None:
    with pytest.raises(ValueError, match=r"expected a (chord|degree)"):
        parse_chord(label, 0.0, 1.0)


def test_chords_name_the_right_pitch_classes() -> None:
    assert parse_chord("Bb:min7/b3", 0.0, 1.0).pitch_classes == (10, 1, 5, 8)
    assert parse_chord("Bb:min7/b3", 0.0, 1.0).bass_pitch_class == 1
    assert parse_chord("E:maj/5", 0.0, 1.0).transposed(3).label == "G:maj/5"
    assert parse_chord("N", 0.0, 1.0).pitch_classes == ()
    with pytest.raises(ValueError, match="note name"):
        pitch_class("H")


def degree(value: int, alter: int, kind: str) -> str:
    return (
        f"<degree><degree-value>{value}</degree-value><degree-alter>{alter}</degree-alter>"
        f"<degree-type>{kind}</degree-type></degree>"
    )


def chord_of(kind: str, *extra: str) -> str:
    symbol = read_harmony(ElementTree.fromstring(harmony("C", kind, *extra)))
    assert symbol is not None
    return symbol.over(0.0, 1.0).label


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_no_notes_of_another(kind: str) -> None:
    label = chord_of(kind)
    assert set(parse_chord(label, 0.0, 1.0).pitch_classes) <= set(KINDS[kind])
    assert len(parse_chord(label, 0.0, 1.0).pitch_classes) >= min(len(KINDS[kind]), 5)


def test_kinds_are_those_of_the_specification() -> None:
    expected = {
        "major": "maj", "minor": "min", "augmented": "aug", "diminished": "dim", "dominant": "7",
        "major-seventh": "maj7", "minor-seventh": "min7", "diminished-seventh": "dim7", "augmented-seventh": "aug(b7)",
        "half-diminished": "hdim7", "major-minor": "minmaj7", "major-sixth": "maj6", "minor-sixth": "min6",
        "dominant-ninth": "9", "major-ninth": "maj9", "minor-ninth": "min9", "dominant-11th": "11",
        "major-11th": "maj9", "minor-11th": "min9", "dominant-13th": "13", "major-13th": "maj9", "minor-13th": "min9",
        "suspended-second": "sus2", "suspended-fourth": "sus4", "power": "5", "Tristan": "hdim7",
        "pedal": "1", "other": "1", "Neapolitan": "1", "Italian": "1", "French": "1", "German": "1", "": "maj",
    }  # fmt: skip
    assert {kind: chord_of(kind).removeprefix("C:") for kind in expected} == expected


@pytest.mark.parametrize(
    ("kind", "degrees", "expected"),
    [
        ("major", [(9, 0, "add")], "C:maj"),  # Cadd9 has no seventh
        ("major", [(2, 0, "add")], "C:maj"),
        ("major", [(6, 0, "add")], "C:maj6"),
        ("major", [(7, 0, "add")], "C:7"),  # added degrees are those of a dominant chord
        ("major", [(7, 1, "add")], "C:maj7"),
        ("minor", [(9, 0, "add")], "C:min"),
        ("minor", [(7, 1, "add")], "C:minmaj7"),
        ("minor-seventh", [(5, -1, "alter")], "C:hdim7"),
        ("minor-seventh", [(9, -1, "alter")], "C:min7"),  # the third is not the ninth
        ("dominant", [(9, -1, "add")], "C:7"),
        ("dominant", [(9, 1, "add")], "C:7"),
        ("dominant", [(5, 1, "alter")], "C:aug(b7)"),
        ("dominant", [(5, -1, "alter")], "C:7(b5,*5)"),
        ("dominant", [(5, -1, "alter"), (9, 1, "add")], "C:7(b5,*5)"),
        ("dominant", [(3, 0, "subtract")], "C:5"),
        ("dominant", [(5, 0, "subtract")], "C:7(*5)"),
        ("dominant", [(3, 0, "subtract"), (4, 0, "add")], "C:sus4(b7)"),
        ("dominant-13th", [(11, 0, "subtract")], "C:13"),
        ("dominant-13th", [(9, -1, "alter")], "C:7"),
        ("suspended-fourth", [(7, 0, "add")], "C:sus4(b7)"),
        ("suspended-fourth", [(7, 0, "add"), (9, 0, "add")], "C:sus4(b7)"),
        ("major-seventh", [(5, 1, "alter")], "C:aug"),
        ("major-seventh", [(11, 1, "add")], "C:maj7"),
        ("major", [(3, 0, "subtract")], "C:5"),
        ("major", [(5, -1, "alter")], "C:maj(*5)"),
        ("diminished-seventh", [(7, 0, "subtract")], "C:dim"),
    ],
)
def test_degrees_change_what_they_name(kind: str, degrees: list[tuple[int, int, str]], expected: str) -> None:
    assert chord_of(kind, *(degree(*one) for one in degrees)) == expected


def test_bass_inversion_and_printed_kinds() -> None:
    bass = "<bass><bass-step>B</bass-step><bass-alter>-1</bass-alter></bass>"
    assert chord_of("major", bass) == "C:maj/b7"
    assert chord_of("minor", "<inversion>1</inversion>") == "C:min/b3"
    assert chord_of("none") == "N"
    for text, expected in (("m7", "C:min7"), ("7sus4", "C:sus4(b7)"), ("?", "C:1")):
        element = ElementTree.fromstring(harmony("C", "other").replace("<kind>", f'<kind text="{text}">'))
        symbol = read_harmony(element)
        assert symbol is not None
        assert symbol.over(0.0, 1.0).label == expected


def test_a_symbol_without_a_root_is_none_and_a_wrong_root_is_told() -> None:
    numeral = "<harmony><numeral><numeral-root>5</numeral-root></numeral><kind>major</kind></harmony>"
    assert read_harmony(ElementTree.fromstring(numeral)) is None
    assert (
        read_harmony(ElementTree.fromstring("<harmony><function>V</function><kind>major</kind></harmony>"))
        is None
    )
    with pytest.raises(ScoreError, match="root-step from A to G, got 'H'"):
        read_harmony(ElementTree.fromstring(harmony("H", "major")))
    with pytest.raises(ScoreError, match="number as degree-value"):
        chord_of("major", "<degree><degree-value>x</degree-value></degree>")
