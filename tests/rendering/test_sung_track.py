"""Which track is sung: names as programs and people write them, words, and singers who take turns."""

import pytest

from samuel.lead_sheet.notation.written import Note
from samuel.rendering.sung_track import Candidate, sung, sung_rank

SUNG = (
    "MELODY", "Melody 1", "vocal", "Lead Vocals", "LeadVox", "leadvocal", "Voice", "Voice 2", "Singer", "Lead",
    "Main Melody", "Melodie", "Gesang", "Singstimme", "Voz", "Soprano", "主旋律", "ボーカル", "Melody (Flute)",
)  # fmt: skip
NOT_SUNG = (
    "Lead Guitar", "Synth Lead", "Lead 1 (square)", "Backing Vocals", "BGV", "Harmony Vox", "2nd Voice", "Voice Oohs",
    "Choir Aahs", "Countermelody", "Melodica", "Vocoder", "Alto Sax", "Bass", "PIANO", "Invoice", "",
)  # fmt: skip


@pytest.mark.parametrize("name", SUNG)
def test_a_name_says_that_a_track_is_sung(name: str) -> None:
    assert sung_rank(name) is not None


@pytest.mark.parametrize("name", NOT_SUNG)
def test_a_name_does_not_say_that_a_track_is_sung(name: str) -> None:
    assert sung_rank(name) is None


def notes(*starts: int) -> list[Note]:
    return [Note(float(start), start + 1.0, 60) for start in starts]


def chosen(*names: str) -> list[str]:
    tracks = [Candidate(name, notes(*range(8))) for name in names]
    return [names[index] for index in sung(tracks)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Lead Guitar", "MELODY"), "MELODY"),
        (("Lead", "Vocals"), "Vocals"),
        (("Vocals", "Lead Vocal"), "Lead Vocal"),
        (("Backing Vocals", "Voice"), "Voice"),
        (("Guitar Melody", "Melody"), "Melody"),
        (("Alto", "Soprano", "Tenor"), "Soprano"),
        (("Piano", "Synth Voice", "Vocal"), "Vocal"),
    ],
)
def test_the_surest_name_is_sung(names: tuple[str, ...], expected: str) -> None:
    assert chosen(*names) == [expected]


def test_no_name_and_no_words_say_nothing() -> None:
    assert chosen("Piano", "Lead Guitar", "") == []


def test_singers_who_take_turns_are_one_melody_and_those_who_sing_together_are_not() -> None:
    first, second = notes(0, 1, 2, 3, 4, 5), notes(8, 9, 10, 11)
    assert sorted(sung([Candidate("Male Vocal", first), Candidate("Female Vocal", second)])) == [0, 1]
    assert sung([Candidate("Vocal 1", first), Candidate("Vocal 2", notes(0, 1, 2, 3))]) == [0]


def test_without_a_name_the_track_with_words_is_sung() -> None:
    tracks = [Candidate("Track 1", notes(*range(40)), 6), Candidate("Track 2", notes(*range(20)), 18)]
    assert sung(tracks) == [1]
