"""What is written as MIDI is what three other readers find there."""

from itertools import pairwise
from pathlib import Path

import mido
import music21
import numpy as np
import pretty_midi
import pytest

from samuel.arranging import Arrangement, Part, PlayedNote, arrange, write_midi
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.signatures import Key
from tests.arranging.sheets import lead_sheet


def breathing() -> Arrangement:
    beats = tuple(1.416 + np.cumsum(0.487 + 0.03 * np.sin(np.arange(30) / 4)))
    steady = lead_sheet("| C#m | G#m/B | E F#7 | N.C. |", seconds=14.0)
    chords = tuple(
        type(c)(
            *(float(np.interp(t, steady.beats, beats[: len(steady.beats)])) for t in (c.start, c.end)),
            c.root,
            c.quality,
            c.bass,
        )
        for c in steady.chords
    )
    sheet = LeadSheet(beats, beats[::4], chords, Key(1, "minor"), energy=((0.0, 0.9),))
    return arrange(sheet, seconds=15.0, style="rock", seed=2)


@pytest.fixture(scope="module", params=["breathing", "6/8", "7/4", "late", "at once", "calm"])
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Arrangement, Path]:
    arrangement = {
        "breathing": breathing,
        "6/8": lambda: arrange(lead_sheet(metre="6/8", bpm=80.0, first_beat=0.02), seconds=12.0, seed=1),
        "11/8": lambda: arrange(lead_sheet(metre="11/8", bpm=200.0), seconds=12.0, seed=1),
        "7/4": lambda: arrange(lead_sheet(metre="7/4"), seconds=12.0, seed=1),
        "late": lambda: arrange(lead_sheet(first_beat=75.3, seconds=86.0), seconds=84.0, seed=1),
        "at once": lambda: arrange(lead_sheet(first_beat=0.0), seconds=10.0, seed=1),
        "calm": lambda: arrange(LeadSheet(chords=lead_sheet().chords), seconds=15.0, seed=1),
    }[request.param]()
    path = tmp_path_factory.mktemp("midi") / f"{request.param.replace('/', '-')}.mid"
    write_midi(arrangement, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return arrangement, path


def played(arrangement: Arrangement) -> dict[str, list[tuple[int, float, float, int]]]:
    return {p.name: sorted((n.pitch, n.start, n.end, n.velocity) for n in p.notes) for p in arrangement.parts}


def same(found: list[tuple[int, float, float, int]], expected: list[tuple[int, float, float, int]]) -> None:
    found, expected = (sorted(notes, key=lambda n: (n[0], n[3], n[1])) for notes in (found, expected))
    assert [(pitch, loud) for pitch, *_, loud in found] == [(pitch, loud) for pitch, *_, loud in expected]
    np.testing.assert_allclose([n[1:3] for n in found], [n[1:3] for n in expected], atol=0.001)


def test_pretty_midi_reads_the_same_notes_beats_and_names(case) -> None:
    arrangement, path = case
    midi = pretty_midi.PrettyMIDI(str(path))
    expected = played(arrangement)
    assert [instrument.name for instrument in midi.instruments] == [part.name for part in arrangement.parts]
    for instrument, part in zip(midi.instruments, arrangement.parts, strict=True):
        assert (instrument.program, instrument.is_drum) == (part.program, part.drums)
        same(sorted((n.pitch, n.start, n.end, n.velocity) for n in instrument.notes), expected[part.name])
    if arrangement.bars:
        bars = midi.get_downbeats()
        assert max(np.abs(bars - bar[0]).min() for bar in arrangement.bars) < 0.001


def test_mido_reads_the_same_notes_tempo_metre_key_and_chords(case) -> None:
    arrangement, path = case
    file = mido.MidiFile(path, charset="utf-8")
    events = absolute(file)
    beats = [time for bar in arrangement.bars for time in bar]
    beat_ticks = file.ticks_per_beat * arrangement.sheet.metre.quarters
    changes = [(tick, second, m.tempo) for tick, second, m in events if m.type == "set_tempo"]
    first = next((tick for tick, second, _ in changes if beats and abs(second - beats[0]) < 0.001), 0)
    for number, beat in enumerate(beats):
        tick = first + number * beat_ticks
        since, second, tempo = max(change for change in changes if change[0] <= tick)
        assert second + (tick - since) / file.ticks_per_beat * tempo / 1e6 == pytest.approx(beat, abs=0.001)
    sounding: dict[tuple[int, int], tuple[float, int]] = {}
    found = []
    for _, second, message in events:
        if message.type == "note_on" and message.velocity:
            sounding[message.channel, message.note] = second, message.velocity
        elif message.type in ("note_on", "note_off"):
            began, loud = sounding.pop((message.channel, message.note))
            found.append((message.note, began, second, loud))
    same(found, [note for notes in played(arrangement).values() for note in notes])
    metres = [(m.numerator, m.denominator) for _, _, m in events if m.type == "time_signature"]
    metre = arrangement.sheet.metre
    if beats:
        assert metres[-1] == metre.ratio
    markers = [(second, m.text) for _, second, m in events if m.type == "marker"]
    asked = [chord.start for chord in arrangement.sheet.chords if chord.start < arrangement.seconds]
    np.testing.assert_allclose([second for second, _ in markers], asked, atol=0.001)


def absolute(file: mido.MidiFile) -> list[tuple[int, float, mido.Message]]:
    """(tick, second, message) of all tracks."""
    merged, tick, second, tempo = [], 0, 0.0, 500_000
    for message in mido.merge_tracks(file.tracks):
        tick += message.time
        second += message.time * tempo / 1e6 / file.ticks_per_beat
        if message.type == "set_tempo":
            tempo = message.tempo
        merged.append((tick, second, message))
    return merged


CHORD = 0.017  # seconds: music21 makes one chord of what begins within a 32nd of a beat


def test_music21_reads_the_same_notes(tmp_path: Path) -> None:
    arrangement = breathing()
    write_midi(arrangement, tmp_path / "a.mid")
    score = music21.converter.parse(tmp_path / "a.mid", quantizePost=False, forceSource=True)
    assert [part.partName for part in score.parts] == [part.name for part in arrangement.parts]
    flat = score.flatten()
    expected = played(arrangement)
    tempi = [
        (m.offset, m.number) for m in sorted(flat.getElementsByClass("MetronomeMark"), key=lambda m: m.offset)
    ]
    offsets = np.array([offset for offset, _ in tempi] + [tempi[-1][0] + 100])
    seconds = np.concatenate(
        [[0], np.cumsum([(b - a) * 60 / bpm for (a, bpm), b in zip(tempi, offsets[1:], strict=True)])]
    )
    measures = np.interp(
        [float(m.offset) for m in score.parts[0].getElementsByClass("Measure")], offsets, seconds
    )
    assert max(np.abs(measures - bar[0]).min() for bar in arrangement.bars[:-1]) < 0.001
    for part in score.parts:
        begins = np.array([note[1] for note in expected[part.partName]])
        if part.partName == "drums":  # music21 shows strokes without pitch, those of chords twice
            found = np.interp([float(e.offset) for e in part.flatten().notes], offsets, seconds)
            assert all(np.abs(found - time).min() < CHORD for time in begins)
            continue
        struck = [
            (float(e.offset), pitch.midi) for e in part.stripTies().flatten().notes for pitch in e.pitches
        ]
        assert sorted(pitch for _, pitch in struck) == [note[0] for note in expected[part.partName]]
        found = np.interp(sorted(offset for offset, _ in struck), offsets, seconds)
        np.testing.assert_allclose(found, np.sort(begins), atol=CHORD)
    assert [str(m.ratioString) for m in score.parts[0].recurse().getElementsByClass("TimeSignature")][
        -1
    ] == "4/4"
    assert {k.sharps for k in score.recurse().getElementsByClass("KeySignature")} == {4}


def test_the_key_the_names_and_the_chords_are_there(tmp_path: Path) -> None:
    write_midi(breathing(), tmp_path / "a.mid")
    conductor, *players = mido.MidiFile(tmp_path / "a.mid").tracks
    assert [m.key for m in conductor if m.type == "key_signature"] == ["C#m"]
    assert [m.text for m in conductor if m.type == "marker"][:5] == ["C#m", "G#m/B", "E", "F#7", "N.C."]
    assert all(m.name for track in players for m in track if m.type == "instrument_name")


def test_levels_are_volumes_as_far_apart_as_asked(tmp_path: Path) -> None:
    """Decibels as General MIDI level 2 has them: 40 log10(volume / 127)."""

    def volumes(levels: str) -> dict[str, int]:
        arrangement = arrange(lead_sheet(energy=1.0), seconds=8.0, style="rock", seed=4, levels=levels)
        write_midi(arrangement, tmp_path / "a.mid")
        return {
            track.name: message.value
            for track in mido.MidiFile(tmp_path / "a.mid").tracks
            for message in track
            if message.type == "control_change" and message.control == 7
        }

    usual = volumes("")
    for levels, drums, bass in (("drums=-6", -6.0, 0.0), ("drums=12,bass=6", 12.0, 6.0)):
        found = volumes(levels)
        assert max(found.values()) <= 127
        change = {name: 40 * np.log10(found[name] / usual[name]) for name in usual}
        assert change["drums"] - change["chords"] == pytest.approx(drums, abs=0.5)
        assert change["bass"] - change["chords"] == pytest.approx(bass, abs=0.5)


def test_a_steady_tempo_is_written_once(tmp_path: Path) -> None:
    write_midi(arrange(lead_sheet(first_beat=0.0, bpm=97.3), seconds=15.0, seed=1), tmp_path / "a.mid")
    tempi = [m.tempo for m in mido.MidiFile(tmp_path / "a.mid").tracks[0] if m.type == "set_tempo"]
    assert tempi[0] == pytest.approx(60e6 / 97.3, abs=1)
    assert len(tempi) == 1


def test_more_players_than_channels_are_refused(tmp_path: Path) -> None:
    note = PlayedNote(0.0, 1.0, 60, 90)
    parts = tuple(Part(f"player {n}", "other", 0, notes=[note]) for n in range(1000))
    with pytest.raises(ValueError, match="at most 15 pitched players"):
        write_midi(Arrangement(lead_sheet(), "rock", 10.0, parts), tmp_path / "a.mid")
    assert not list(tmp_path.iterdir())
    assert all(a <= b for a, b in pairwise(sorted(n.start for p in parts[:2] for n in p.notes)))
