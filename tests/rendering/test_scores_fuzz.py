"""Scores bent at random: a Score or one sentence, in time. Run with: pytest -m fuzz tests/rendering

What was found once is kept as an example, so that it is tried first.
"""

import contextlib
import io
import math
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from samuel.lead_sheet import LeadSheetError
from samuel.lead_sheet.chord import QUALITIES, parse_chord
from samuel.lead_sheet.chord_names import chord_name, parse_chord_name
from samuel.lead_sheet.notation.repeats import MOST_BARS, BarMarks, play_order
from samuel.lead_sheet.notation.written import ScoreError
from samuel.rendering.library import read_score
from samuel.rendering.score import Score
from tests.rendering.scores import (
    harmony,
    key,
    note,
    repeat,
    rest,
    signature,
    time,
    write_lead_sheet,
    write_midi,
    write_musicxml,
    write_tracks,
)

pytestmark = pytest.mark.fuzz
many = settings(
    max_examples=1000,
    deadline=10_000,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def read_or_refuse(path: Path) -> Score | None:
    """The score, whole and finite, or None where it is refused in one line that names the file."""
    try:
        score = read_score(path)
    except ScoreError as error:
        message = str(error)
    else:
        require_whole(score)
        return score
    assert path.name in message
    assert "\n" not in message
    return None


def require_whole(score: Score) -> None:
    assert score.melody
    assert any(chord.root is not None for chord in score.chords)
    times = [time for note in score.melody for time in (note.start, note.end)]
    times += [time for chord in score.chords for time in (chord.start, chord.end)]
    assert all(math.isfinite(time) and time >= 0 for time in times)
    assert all(note.end > note.start and 0 <= note.pitch <= 127 for note in score.melody)
    assert all(a.end <= b.start + 1e-6 for a, b in zip(score.melody, score.melody[1:], strict=False))
    assert all(a.end <= b.start + 1e-6 for a, b in zip(score.chords, score.chords[1:], strict=False))
    assert score.metre.beats >= 1


@st.composite
def bent(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """One of `seeds` with bytes changed, left out, doubled or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        span = draw(st.integers(1, 24))
        how = draw(st.sampled_from(("change", "drop", "double", "insert", "cut")))
        if how == "change":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == "drop":
            del data[at : at + span]
        elif how == "double":
            data[at:at] = data[at : at + span]
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            del data[at:]
    return bytes(data)


def seeds_of(folder: Path) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    """Small MIDI files, MusicXML files and compressed MusicXML files."""
    folder.mkdir(exist_ok=True)
    melody = [(float(beat), beat + 0.9, 60 + beat % 12) for beat in range(16)]
    chords = [(3.0 * bar, 3.0 * bar + 3, pitch) for bar in range(6) for pitch in (48, 52, 55)]
    events = [(0.0, signature(6, 8)), (9.0, signature(2, 4)), (11.0, signature(6, 8))]
    midi = (
        write_midi(folder / "a.mid").read_bytes(),
        write_tracks(folder / "b.mid", ("Voice", melody), ("Piano", chords), time_events=events).read_bytes(),
    )
    bars = [
        key(-3, "minor") + time(6, 8) + harmony("C", "minor") + note("C", 3, "la") + rest(3),
        repeat("forward")
        + harmony("F", "suspended-fourth", "<bass><bass-step>G</bass-step></bass>")
        + note("F", 6),
        repeat("", ending="1") + note("G", 6, tie="start") + repeat("backward", stop="1"),
        repeat("", ending="2") + note("A", 6) + repeat("", stop="2"),
        '<direction><sound dacapo="yes" tempo="96"/></direction>' + note("B", 6),
    ]
    xml = (
        write_lead_sheet(folder / "a.musicxml").read_bytes(),
        write_musicxml(folder / "b.musicxml", ("Piano", bars), ("Voice", bars)).read_bytes(),
    )
    packed = []
    for text in xml:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("META-INF/container.xml", '<rootfile full-path="a.xml"/>')
            archive.writestr("a.xml", text)
        packed.append(buffer.getvalue())
    return midi, xml, tuple(packed)


@pytest.mark.parametrize(("kind", "suffix"), [(0, "mid"), (1, "musicxml"), (2, "mxl")])
def test_bent_bytes(tmp_path: Path, kind: int, suffix: str) -> None:
    seeds = seeds_of(tmp_path / "seeds")[kind]
    read = 0

    @many
    @given(content=bent(seeds))
    def check(content: bytes) -> None:
        nonlocal read
        path = tmp_path / f"bent.{suffix}"
        path.write_bytes(content)
        read += read_or_refuse(path) is not None

    check()
    assert read > 0  # else nothing but the refusing was tried


NUMBERS = re.compile(rb">(-?\d+|[a-z-]+)<|\"(\d+|[a-z]+)\"")
VALUES = st.sampled_from(
    ("0", "1", "2", "3", "-1", "7", "12", "255", "1000000", "99999999999", "1/0", "0.5", "3+2", "1e9", "x", "", "yes",
     "no", "start", "stop", "forward", "backward", "1,2", "dominant", "none", "H", "A")
)  # fmt: skip


def test_bent_values_of_musicxml(tmp_path: Path) -> None:
    """Texts and attributes in place of bytes: what is left is XML."""
    _, seeds, _ = seeds_of(tmp_path / "seeds")
    read = 0

    @many
    @given(data=st.data(), seed=st.sampled_from(seeds), changes=st.integers(1, 4))
    def check(data: st.DataObject, seed: bytes, changes: int) -> None:
        nonlocal read
        for _ in range(changes):
            places = [match.span(match.lastindex or 0) for match in NUMBERS.finditer(seed)]
            start, end = data.draw(st.sampled_from(places))
            seed = seed[:start] + data.draw(VALUES).encode() + seed[end:]
        path = tmp_path / "bent.musicxml"
        path.write_bytes(seed)
        read += read_or_refuse(path) is not None

    check()
    assert read > 200


@st.composite
def tracks(draw: st.DrawFn) -> list[tuple[str, list[tuple[float, float, int]]]]:
    beat = st.floats(0, 64, allow_nan=False).map(lambda quarter: round(quarter, 2))
    notes = st.tuples(beat, beat, st.integers(0, 127)).map(lambda one: (min(one[:2]), max(one[:2]), one[2]))
    names = st.sampled_from(("MELODY", "Vocals", "Voice", "Lead Guitar", "Piano", "", "Backing Vocals"))
    return draw(st.lists(st.tuples(names, st.lists(notes, max_size=30)), min_size=1, max_size=4))


def test_any_notes_and_signatures_of_midi(tmp_path: Path) -> None:
    read = 0

    @many
    @given(
        parts=tracks(),
        changes=st.lists(
            st.tuples(st.integers(0, 60), st.integers(1, 17), st.sampled_from((1, 2, 4, 8, 16, 32, 64))),
            max_size=4,
        ),
    )
    def check(parts: list, changes: list[tuple[int, int, int]]) -> None:
        nonlocal read
        events = [(float(quarter), signature(beats, unit)) for quarter, beats, unit in changes]
        path = write_tracks(tmp_path / "any.mid", *parts, time_events=events)
        read += read_or_refuse(path) is not None

    check()
    assert read > 100


MARKS = st.builds(
    BarMarks,
    forward=st.booleans(),
    backward=st.booleans(),
    times=st.integers(0, 4),
    endings=st.frozensets(st.integers(0, 3), max_size=2),
    ending_stops=st.booleans(),
    **{name: st.sampled_from((False, False, False, True))
       for name in ("segno", "coda", "to_coda", "fine", "da_capo", "dal_segno")},
)  # fmt: skip


@many
@given(st.lists(MARKS, min_size=1, max_size=12))
def test_any_repeats_come_to_an_end(bars: list[BarMarks]) -> None:
    with contextlib.suppress(ScoreError):  # of more bars than that
        require_order(play_order(bars), len(bars))


def require_order(order: list[int], count: int) -> None:
    assert len(order) <= MOST_BARS
    assert all(0 <= index < count for index in order)


LABEL = st.text("ABCDEFGHNX#b:/()*,0123456789majdinsugh7 ", max_size=14)


@many
@example("N/")
@example("C:(")
@example("C/0")
@given(LABEL)
def test_any_label_is_a_chord_or_refused(label: str) -> None:
    try:
        chord = parse_chord(label, 0.0, 1.0)
    except ValueError:
        return
    assert chord.root is None or chord.quality in QUALITIES
    assert parse_chord(chord.label, 0.0, 1.0) == chord


@many
@example("C/")
@example("♭")
@given(st.text("ABCDEFGabcdefgmM#b♭♯/+-°øΔ()0123456789sudjiaN. ", max_size=12))
def test_any_chord_name_is_a_chord_or_refused(name: str) -> None:
    try:
        chord = parse_chord_name(name)
    except LeadSheetError:
        return
    assert parse_chord_name(chord_name(chord)) == chord
