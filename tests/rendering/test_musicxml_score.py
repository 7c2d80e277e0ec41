"""MusicXML -> Score, from small files written here: what is sung, in which metre and key, and what is played when."""

import zipfile
from pathlib import Path

import pytest

from samuel.lead_sheet.notation.written import ScoreError
from samuel.lead_sheet.signatures import Metre
from samuel.rendering.musicxml_score import read_musicxml_score
from samuel.rendering.score import Score
from tests.rendering.scores import harmony, key, note, repeat, rest, time, write_musicxml

WHOLE = note("C", 8)
C = harmony("C", "major")


def read(path: Path, *measures: str, name: str = "Voice", **parts: list[str]) -> Score:
    return read_musicxml_score(
        write_musicxml(
            path / "song.musicxml", (name, measures), *((n.replace("_", " "), m) for n, m in parts.items())
        )
    )


def starts(score: Score) -> list[float]:
    return [note.start for note in score.melody]


@pytest.mark.parametrize(
    ("beats", "unit", "metre", "bar"),
    [
        (4, 4, Metre(4), 8),
        (3, 4, Metre(3), 6),
        (2, 2, Metre(2), 8),
        (6, 8, Metre(2, 3), 6),
        (9, 8, Metre(3, 3), 9),
        (12, 8, Metre(4, 3), 12),
        (5, 4, Metre(5), 10),
        (7, 8, Metre(7), 7),
    ],
)
def test_metres(tmp_path: Path, beats: int, unit: int, metre: Metre, bar: int) -> None:
    score = read(tmp_path, time(beats, unit) + C + note("C", bar), note("D", bar), note("E", bar))
    assert score.metre == metre
    assert starts(score) == pytest.approx([0, metre.beats, 2 * metre.beats])


@pytest.mark.parametrize(
    ("bar", "metre"), [(6, Metre(3)), (8, Metre(4)), (3, Metre(1, 3)), (4, Metre(2)), (5, Metre(5))]
)
def test_without_a_time_signature_bars_tell_the_metre(tmp_path: Path, bar: int, metre: Metre) -> None:
    assert read(tmp_path, C + note("C", bar), note("D", bar), note("E", bar)).metre == metre


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (time("3+2", 8), r"song.musicxml: measure 1: expected one time signature .* got 3\+2/8"),
        (time(3, "8</beat-type><beats>2</beats><beat-type>4"), r"got 3/8 \+ 2/4"),
        ("<attributes><time><senza-misura/></time></attributes>", "got none"),
        (time(4, 3), "got 4/3"),
        (time(0, 4), "got 0/4"),
    ],
)
def test_metres_that_are_none_are_told(tmp_path: Path, signature: str, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        read(tmp_path, signature + C + WHOLE, WHOLE)


def test_an_upbeat_a_split_bar_and_an_odd_bar(tmp_path: Path) -> None:
    score = read(
        tmp_path,
        "~" + time(4, 4) + C + note("G", 2),
        WHOLE,
        note("D", 6) + repeat("backward"),
        "~" + note("G", 2),
        time(2, 4) + note("E", 4),
        time(4, 4) + note("F", 8),
    )
    #                     G  C  D   G C D   G   E   F
    assert starts(score) == [3, 4, 8, 11, 12, 16, 19, 20, 24]
    assert score.chords[-1].end == 28


def test_a_metre_that_keeps_changing_is_refused(tmp_path: Path) -> None:
    bars = [time(4, 4) + C + WHOLE, *[WHOLE] * 7, time(3, 4) + note("D", 6), *[note("D", 6)] * 7]
    with pytest.raises(
        ScoreError, match=r"song.musicxml: the metre changes too often \(8 in 4/4, 8 in 3/4 bars\)"
    ):
        read(tmp_path, *bars)


@pytest.mark.parametrize("sections", [1, 2, 16])
def test_backward_repeats_only(tmp_path: Path, sections: int) -> None:
    bars = [WHOLE, WHOLE, WHOLE, note("D", 8) + repeat("backward")] * sections
    bars[0] = C + bars[0]
    score = read(tmp_path, *bars)
    assert score.bars == 8 * sections
    assert [n.pitch for n in score.melody] == [60, 60, 60, 62] * 2 * sections


def test_endings_verses_and_da_capo(tmp_path: Path) -> None:
    def verses(*words: str) -> str:
        lyrics = "".join(
            f'<lyric number="{n}"><text>{word}</text></lyric>' for n, word in enumerate(words, 1)
        )
        return note("C", 8).replace("</note>", lyrics + "</note>")

    words = "<direction><direction-type><words>{}</words></direction-type></direction>"
    score = read(
        tmp_path,
        C + verses("one", "two"),
        repeat("", ending="1") + note("D", 8, "first") + repeat("backward", stop="1"),
        repeat("", ending="2") + note("E", 8, "second") + words.format("Fine") + repeat("", stop="2"),
        note("F", 8, "bridge") + words.format("D.C. al Fine"),
    )
    assert [n.lyric for n in score.melody] == ["one", "first", "two", "second", "bridge", "one", "second"]


def test_da_capo_by_sound_and_coda(tmp_path: Path) -> None:
    score = read(
        tmp_path,
        C + note("C", 8),
        '<direction><direction-type><segno/></direction-type><sound segno="s"/></direction>' + note("D", 8),
        "<direction><direction-type><coda/></direction-type></direction>" + note("E", 8),
        '<direction><sound dalsegno="s"/></direction>' + note("F", 8),
        "<direction><direction-type><coda/></direction-type></direction>" + note("G", 8),
    )
    assert [n.pitch for n in score.melody] == [60, 62, 64, 65, 62, 64, 67]


def test_ties_chords_voices_and_grace_notes(tmp_path: Path) -> None:
    second_voice = "<backup><duration>8</duration></backup>" + note("A", 8, octave=5).replace(
        "</duration>", "</duration><voice>2</voice>"
    )
    grace = "<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>"
    score = read(
        tmp_path,
        C + note("C", 4) + note("E", 4, tie="start") + second_voice,
        note("E", 2, tie="stop")
        + grace
        + note("F", 2)
        + note("G", 4)
        + note("C", 4).replace("<note>", "<note><chord/>"),
    )
    assert [(n.start, n.end, n.pitch) for n in score.melody] == [
        (0, 2, 60),
        (2, 5, 64),
        (5, 6, 65),
        (6, 8, 67),
    ]


def test_the_part_named_voice_is_sung_and_takes_chords_from_another(tmp_path: Path) -> None:
    score = read(tmp_path, C + note("C", 8, octave=3), harmony("G", "dominant") + note("G", 8, octave=3),
                 name="Lead Guitar", Lead_Vocal=[note("E", 8), note("D", 8)])  # fmt: skip
    assert [n.pitch for n in score.melody] == [64, 62]
    assert [c.label for c in score.chords] == ["C:maj", "G:7"]


def test_the_part_with_words_is_sung(tmp_path: Path) -> None:
    score = read(
        tmp_path, C + note("C", 8), note("D", 8), name="Piano", Part_2=[note("E", 2, "la") * 4, WHOLE]
    )
    assert [n.pitch for n in score.melody] == [64, 64, 64, 64, 60]


def test_without_symbols_chords_are_those_that_another_part_plays(tmp_path: Path) -> None:
    def triad(*steps: str) -> str:
        return "".join(
            note(step, 8).replace("<note>", "<note><chord/>" if i else "<note>")
            for i, step in enumerate(steps)
        )

    score = read(tmp_path, note("E", 8), note("D", 8), Piano=[triad("C", "E", "G"), triad("B", "D", "F")])
    assert [c.label for c in score.chords] == ["C:maj"] * 2 + ["B:dim"] * 2


def test_a_transposing_part_sounds_with_the_others(tmp_path: Path) -> None:
    transpose = (
        "<attributes><transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>"
    )
    score = read(tmp_path, note("E", 8), note("D", 8), name="Voice",
                 Trumpet=[transpose + key(2) + harmony("D", "major") + note("A", 8), harmony("A", "dominant") + note("A", 8)])  # fmt: skip
    assert [c.label for c in score.chords] == ["C:maj", "G:7"]


def test_chord_symbols_stand_where_they_are_written(tmp_path: Path) -> None:
    late = harmony("F", "major", "<offset>4</offset>")
    score = read(tmp_path, C + late + note("C", 8), note("C", 2) + harmony("G", "major") + note("C", 6))
    assert [(c.start, c.label) for c in score.chords] == [(0, "C:maj"), (2, "F:maj"), (5, "G:maj")]
    compound = read(
        tmp_path, time(6, 8) + C + note("C", 1) + harmony("G", "major") + note("D", 5), note("C", 6)
    )
    assert compound.chords[1].start == pytest.approx(1 / 3)


ROMAN = "<harmony><function>V</function><kind>major</kind></harmony>"
NUMERAL = "<harmony><numeral><numeral-root>5</numeral-root></numeral><kind>major</kind></harmony>"


@pytest.mark.parametrize("symbol", [ROMAN, NUMERAL])
def test_roman_numerals_are_one_sentence(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(
        ScoreError, match=r"measure 2 has a chord without a root: expected .* not Roman numerals"
    ) as told:
        read(tmp_path, WHOLE, symbol + WHOLE)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("fifths", "mode", "chords", "melody", "expected"),
    [
        (0, "", "C F G C", "C", "C major"),
        (0, "major", "Am Dm E Am", "A", "A minor"),
        (0, "", "Dm C Dm Dm", "D", "D minor"),  # dorian
        (0, "major", "Dm G Dm Dm", "A", "D minor"),
        (0, "dorian", "Dm G Dm Dm", "D", "D minor"),
        (0, "", "G F G G", "G", "G major"),  # mixolydian
        (0, "major", "C Am F G", "C", "C major"),  # a turnaround ends on the dominant
        (0, "", "G C G C", "E", "C major"),
        (-3, "minor", "Cm Fm Gm Cm", "C", "C minor"),
        (2, "mixolydian", "A G A A", "A", "A major"),
    ],
)
def test_the_key_is_where_the_chords_come_home(
    tmp_path: Path, fifths: int, mode: str, chords: str, melody: str, expected: str
) -> None:
    bars = [
        harmony(chord[0], "minor" if chord.endswith("m") else "major") + note(step, 8)
        for chord, step in zip(chords.split(), "CDE" + melody, strict=True)
    ]
    bars[0] = key(fifths, mode) + bars[0]
    assert read(tmp_path, *bars).key.label == expected


@pytest.mark.parametrize(
    ("direction", "beats_per_minute"),
    [
        ('<sound tempo="96"/>', 96.0),
        ("<direction-type><metronome><beat-unit>half</beat-unit><per-minute>c. 60</per-minute></metronome></direction-type>", 120.0),
        ("<direction-type><metronome><beat-unit>eighth</beat-unit><beat-unit-dot/><per-minute>120</per-minute></metronome></direction-type>", 90.0),
        ('<sound tempo="4000"/>', None),
        ("", None),
    ],
)  # fmt: skip
def test_tempi(tmp_path: Path, direction: str, beats_per_minute: float | None) -> None:
    score = read(tmp_path, f"<direction>{direction}</direction>" + C + WHOLE, WHOLE)
    assert score.beats_per_minute == beats_per_minute


def test_compressed_and_timewise_files(tmp_path: Path) -> None:
    plain = write_musicxml(tmp_path / "song.musicxml", ("Voice", [C + WHOLE, note("D", 8)]))
    text = plain.read_text()
    container = "<container><rootfiles><rootfile full-path='{}'/></rootfiles></container>"
    for number, name in enumerate(
        ("song's.xml", "song.xml")
    ):  # a quote that is not escaped: seen in the wild
        with zipfile.ZipFile(tmp_path / f"{number}.mxl", "w") as archive:
            archive.writestr("META-INF/container.xml", container.format(name))
            archive.writestr("a.xml" if number else "b.txt", "<nothing/>")
            archive.writestr(name, text)
        assert read_musicxml_score(tmp_path / f"{number}.mxl").melody == read_musicxml_score(plain).melody

    head, body = text.split('<part id="P0">')
    measures = body.removesuffix("</part></score-partwise>").replace("</measure>", "</part></measure>")
    for number in "12":
        measures = measures.replace(
            f'<measure number="{number}">', f'<measure number="{number}"><part id="P0">'
        )
    (tmp_path / "time.xml").write_text(head.replace("partwise", "timewise") + measures + "</score-timewise>")
    assert read_musicxml_score(tmp_path / "time.xml").melody == read_musicxml_score(plain).melody


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<score-partwise", "not readable as MusicXML: ParseError"),
        (b"", "not readable as MusicXML"),
        (b"<html></html>", "expected a score-partwise, got <html>"),
        (b"<score-partwise/>", "has no measures"),
        (b"PK\x03\x04 not a zip", "not readable as MusicXML"),
    ],
)
def test_what_is_no_musicxml_is_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "song.xml").write_bytes(content)
    with pytest.raises(ScoreError, match=message) as told:
        read_musicxml_score(tmp_path / "song.xml")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (note("H", 8), "measure 1: expected a step from A to G, got 'H'"),
        (note("C", 8, octave=15), "a pitch that can be played"),
        (note("C", 8).replace("<duration>8", "<duration>long"), "a number as duration, got 'long'"),
        (
            note("C", 8).replace("<duration>8", "<duration>1e999999999"),
            "a number as duration, got '1e999999999'",
        ),
        (time("", 4) + note("C", 8), "expected one time signature"),
        (time("9" * 5000, 4) + note("C", 8), "expected one time signature"),
        (C + note("C", 999_999) * 9, "longer than 20000 quarters"),
        (harmony("C", "major", f"<inversion>{'9' * 5000}</inversion>") + rest(8), "it has no melody"),
        (
            note("C", 4) + harmony("C", "major", "<offset>999999</offset>") + harmony("N", "none"),
            "no chord symbols",
        ),
        ("<attributes><divisions>0</divisions></attributes>", "positive number of divisions"),
        (rest(8), "it has no melody"),
        (note("C", 8), "no chord symbols: a lead sheet needs melody and chords"),
    ],
)
def test_what_cannot_be_played_is_told_with_its_measure(tmp_path: Path, measure: str, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        read(tmp_path, measure)
