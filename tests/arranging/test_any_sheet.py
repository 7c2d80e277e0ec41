"""Whatever the lead sheet: what is played is within the recording, in range, and belongs to the chords."""

import itertools
from pathlib import Path

import numpy as np
import pretty_midi
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel.arranging import PARTS, STYLES, arrange, write_midi
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import QUALITIES, Chord
from samuel.lead_sheet.signatures import Metre
from tests.arranging.sheets import notes_of, voice, wrong_notes


@st.composite
def sheets(draw: st.DrawFn) -> tuple[LeadSheet, float]:
    """Beats of 0.2 to 1.5 s that may stop early, bars of any length, chords of half a beat or more, wherever they like."""
    count = draw(st.integers(2, 24))
    usual = draw(st.floats(0.25, 1.2))
    steps = draw(st.lists(st.floats(0.85 * usual, 1.15 * usual), min_size=count, max_size=count))
    beats = tuple((draw(st.floats(0, 2)) + np.cumsum([0.0, *steps])).tolist())
    metre = Metre(draw(st.integers(1, 9)), draw(st.sampled_from([2, 3])))
    downs = sorted(draw(st.sets(st.integers(0, count), max_size=5)))
    edges = sorted(draw(st.sets(st.integers(0, 60), min_size=2, max_size=10)))
    chords = []
    for start, end in itertools.pairwise(edges):
        root = draw(st.none() | st.integers(0, 11))
        bass = draw(st.none() | st.integers(0, 11))
        quality = draw(st.sampled_from(sorted(QUALITIES)))
        chords.append(
            Chord(start * usual / 2, end * usual / 2, root, quality, None if root is None else bass)
        )
    energy = tuple((float(n), draw(st.floats(0, 1))) for n in range(draw(st.integers(0, 3))))
    seconds = draw(st.floats(beats[0] + 0.1, beats[-1] + 8))
    sheet = LeadSheet(
        beats, tuple(beats[n] for n in downs if beats[n] < seconds), tuple(chords), None, metre, energy
    )
    return sheet, seconds


@settings(max_examples=60, deadline=None)
@given(sheets(), st.sampled_from(STYLES), st.integers(0, 2**40), st.booleans())
def test_any_lead_sheet_can_be_played(given_sheet, style, seed: int, with_voice: bool) -> None:
    sheet, seconds = given_sheet
    if sheet.downbeats and sheet.downbeats[0] >= seconds:
        return
    sung = voice((0.3 * seconds, 0.6 * seconds, 58), seconds=seconds) if with_voice else None
    arrangement = arrange(sheet, seconds=seconds, style=style.name, seed=seed, voice=sung)
    assert {part.name for part in arrangement.parts} <= set(PARTS)
    for part in arrangement.parts:
        assert part.notes == sorted(part.notes, key=lambda note: (note.start, note.pitch))
        ends: dict[int, float] = {}
        for note in part.notes:
            assert 0 <= note.start < note.end <= seconds + 1e-6
            assert 1 <= note.velocity <= 127
            assert 24 <= note.pitch <= 100
            assert note.start >= ends.get(note.pitch, 0.0) - 1e-6
            ends[note.pitch] = note.end
    assert arrangement == arrange(sheet, seconds=seconds, style=style.name, seed=seed, voice=sung)
    in_time = [c for c in sheet.chords if c.root is not None]
    if in_time and style.swing == 0:
        wrong = wrong_notes(arrangement, edge=0.25 * ((sheet.bpm and 60 / sheet.bpm) or 1))
        assert len(wrong) <= 0.01 * len(notes_of(arrangement)), wrong[:3]


@settings(max_examples=15, deadline=None)
@given(sheets(), st.integers(0, 1000))
def test_any_arrangement_can_be_written_as_midi(tmp_path_factory, given_sheet, seed: int) -> None:
    sheet, seconds = given_sheet
    path: Path = tmp_path_factory.mktemp("midi") / "a.mid"
    arrangement = arrange(sheet, seconds=seconds, seed=seed)
    write_midi(arrangement, path)
    midi = pretty_midi.PrettyMIDI(str(path))
    for part, instrument in zip(arrangement.parts, midi.instruments, strict=True):
        written = sorted((n.pitch, n.start) for n in part.notes)
        read = sorted((n.pitch, n.start) for n in instrument.notes)
        np.testing.assert_allclose(np.array(read), np.array(written), atol=0.001)
