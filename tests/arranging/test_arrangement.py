"""A lead sheet becomes a band: what is asked for is what is played."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from samuel.arranging import PARTS, STYLES, Arrangement, arrange, part_levels
from samuel.arranging.styles import (
    CLAVES,
    CLOSED_HAT,
    CRASH,
    HIGH_CONGA,
    HIGH_TOM,
    LOW_CONGA,
    LOW_TOM,
    MID_TOM,
    RIDE,
    RIM,
)
from samuel.lead_sheet import LeadSheet, LeadSheetError
from tests.arranging.sheets import ALL_KINDS, lead_sheet, notes_of, voice, with_chord, wrong_notes

TOMS = (LOW_TOM, MID_TOM, HIGH_TOM)
METRES = ("2/4", "3/4", "4/4", "5/4", "7/4", "6/8", "9/8", "12/8")


@pytest.mark.parametrize("metre", METRES)
def test_every_style_plays_every_metre_without_a_wrong_note(metre: str) -> None:
    sheet = lead_sheet(ALL_KINDS, metre=metre, bpm=160.0, seconds=12.0, energy=1.0)
    bar = sheet.bars[0][1] - sheet.bars[0][0]
    for style in STYLES:
        arrangement = arrange(sheet, seconds=1.5 + 4 * bar, style=style.name, seed=2)
        assert {"bass", "chords"} <= {part.name for part in arrangement.parts}
        wrong = wrong_notes(arrangement)
        assert len(wrong) <= 0.01 * len(notes_of(arrangement)), (style.name, wrong[:3])
        for start, end in sheet.bars[:4]:
            inside = [n for n in notes_of(arrangement) if start - 0.05 < n.start < end - 0.05]
            assert inside, (style.name, start)
        assert bool(arrangement.remarks) == (kind(metre) not in style.metres)


def kind(metre: str) -> str:
    return "compound" if metre.endswith("8") else "three" if metre == "3/4" else "four"


def test_the_bass_is_the_written_one_at_every_change() -> None:
    sheet = lead_sheet("| C | C/E | F | D/F# G7 |", energy=0.8)
    asked = [(chord.start, chord.bass_pitch_class) for chord in sheet.chords if chord.end < 16.5]
    for style in STYLES:
        bass = notes_of(arrange(sheet, seconds=17.0, style=style.name), "bass")
        for start, pitch in asked:
            nearest = min(bass, key=lambda note: abs(note.start - start))
            assert abs(nearest.start - start) < 0.13, style.name  # 0.11: a swung half beat
            assert nearest.pitch % 12 == pitch, style.name


def test_every_chord_is_heard_and_none_sounds_on() -> None:
    sheet = lead_sheet("| Am D | G7 Cmaj7 | F#dim F | E |", energy=0.8)
    for style in STYLES:
        arrangement = arrange(sheet, seconds=17.0, style=style.name)
        for chord in sheet.chords[:-2]:  # the recording's last second is left to what rings on
            struck = [n for n in notes_of(arrangement) if chord.start - 0.05 < n.start < chord.end - 0.05]
            assert len({n.pitch % 12 for n in struck} & set(chord.pitch_classes)) >= 3, (
                style.name,
                chord.label,
            )
            over = [
                n for n in notes_of(arrangement) if n.start < chord.end - 0.1 and n.end > chord.end + 0.05
            ]
            assert not [n for n in over if n.start > chord.start], (style.name, chord.label)


def test_the_same_seed_gives_the_same_notes_and_another_does_not() -> None:
    sheet = lead_sheet()
    first, again, other = (arrange(sheet, seconds=17.0, style="rock", seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first.parts != other.parts
    drawn = {arrange(sheet, seconds=17.0, seed=seed).style for seed in range(12)}
    assert len(drawn) > 3


def test_notes_are_these_on_every_platform() -> None:
    """Written down on x86-64 Linux: the first notes of each player."""
    arrangement = arrange(lead_sheet(energy=0.9), seconds=17.0, style="rock", seed=1)
    firsts = {
        p.name: (p.program, p.notes[0].pitch, p.notes[0].velocity, round(p.notes[0].start, 5))
        for p in arrangement.parts
    }
    assert firsts == GOLDEN


GOLDEN = {
    "bass": (33, 37, 102, 0.39377),
    "chords": (5, 56, 102, 0.39551),
    "drums": (0, 36, 112, 0.39673),
    "pad": (49, 68, 77, 0.39977),
}


@pytest.mark.parametrize("style", ["rock", "swing", "pop ballad", "two-beat"])
def test_a_changed_chord_changes_nothing_before_its_bar(style: str) -> None:
    sheet = lead_sheet("| C | Am | F | G | C | C | Am | F | F | C |", seconds=22.0, energy=0.9)
    start = sheet.bars[8][0]
    sung = voice((1.0, 6.0, 60), (8.0, 12.0, 62), (14.0, 19.0, 64), seconds=22.0)
    one, other = (
        arrange(s, seconds=22.0, style=style, seed=3, voice=sung) for s in (sheet, with_chord(sheet, 8, 11))
    )

    def before(arrangement: Arrangement) -> dict:
        return {p.name: [n for n in p.notes if n.start < start - 0.05] for p in arrangement.parts}

    assert before(one) == before(other)
    assert one.parts != other.parts


def test_less_energy_plays_less() -> None:
    for style in STYLES:
        counts = []
        for energy in (0.0, 0.35, 0.7, 1.0):
            arrangement = arrange(lead_sheet(energy=energy), seconds=17.0, style=style.name, seed=1)
            counts.append(sum(note.velocity for part in arrangement.parts for note in part.notes))
        assert counts == sorted(counts), (style.name, counts)
        assert counts[0] < 0.7 * counts[-1]


def test_the_bass_goes_short_ways_from_chord_to_chord() -> None:
    """A root a second or third away is played there, not in the octave beside it."""
    leaps = []
    for chart in (
        "| E | F | G | E |",
        "| D | C | Bb | A |",
        "| Ab | Fm | Db | Eb |",
        "| F# | G#m | B | C#m |",
    ):
        sheet = lead_sheet(chart, energy=0.8)
        for seed in range(5):
            bass = notes_of(arrange(sheet, seconds=17.0, style="rock", seed=seed), "bass")
            firsts = [min(bass, key=lambda n: abs(n.start - c.start)).pitch for c in sheet.chords[:-1]]
            leaps += [abs(b - a) for a, b in pairwise(firsts)]
            assert max(n.pitch for n in bass) - min(n.pitch for n in bass) <= 26
    assert np.mean(np.array(leaps) >= 8) < 0.15  # 0.19 without choosing the octave
    assert np.mean(leaps) < 3.6  # 4.0


def test_drums_have_accents_ghost_notes_and_no_machine_gun() -> None:
    """What keeps time is softer between beats, and no two strokes in a row are alike for long."""
    softest, alike = [], []
    for style in ("rock", "disco", "shuffle", "country", "funk"):
        for seed in range(4):
            sheet = lead_sheet(energy=0.8)
            drums = notes_of(arrange(sheet, seconds=17.0, style=style, seed=seed), "drums")
            softest.append(min(n.velocity for n in drums))
            assert max(n.velocity for n in drums) > softest[-1] + 25
            for drum in (CLOSED_HAT, RIDE):
                strokes = [n for n in drums if n.pitch == drum]
                place = [(n.start - 0.4) / 0.5 for n in strokes]
                on, off = (
                    [
                        n.velocity
                        for n, p in zip(strokes, place, strict=True)
                        if (abs(p - round(p)) < 0.1) == beat
                    ]
                    for beat in (True, False)
                )
                if on and off:
                    assert np.mean(on) > 1.5 * np.mean(off), (style, seed)
                alike += [a.velocity == b.velocity for a, b in pairwise(strokes)]
    assert min(softest) < 60
    assert np.mean(alike) < 0.15


@pytest.mark.parametrize("energy", [0.7, 1.0])
def test_the_beat_is_louder_than_what_is_between_but_latin_keeps_its_rhythm(energy: float) -> None:
    def velocities(style: str, player: str, pitches: tuple[int, ...] = ()) -> tuple[float, float]:
        found: tuple[list[int], list[int]] = [], []
        for seed in range(6):
            song = arrange(lead_sheet(energy=energy), seconds=17.0, style=style, seed=seed)
            for note in (n for n in notes_of(song, player) if not pitches or n.pitch in pitches):
                place = (note.start - 0.4) / 0.5
                found[abs(place - round(place)) > 0.1].append(note.velocity)
        return float(np.mean(found[0])), float(np.mean(found[1]))

    for style, player in (("rock", "chords"), ("rock", "bass"), ("synth pop", "bass")):
        on, off = velocities(style, player)
        assert on > 1.25 * off, (style, player)
    for style, pitches in (("latin", (HIGH_CONGA, LOW_CONGA)), ("bossa nova", (RIM, CLAVES))):
        on, off = velocities(style, "drums", pitches)
        assert on < 1.15 * off, style
    on, off = velocities("bossa nova", "chords")
    assert on < 1.55 * off  # 1.7 and more where nothing were syncopated


def test_a_fill_leads_into_most_new_sections() -> None:
    sheet = lead_sheet(seconds=66.0, energy=0.8)
    filled = []
    for seed in range(12):
        drums = notes_of(arrange(sheet, seconds=66.0, style="rock", seed=seed), "drums")
        for bar in (8, 16, 24):
            start = sheet.bars[bar][0]
            filled.append(any(n.pitch in TOMS and start - 0.6 < n.start < start for n in drums))
            assert any(n.pitch == CRASH and abs(n.start - start) < 0.05 for n in drums)
    assert 0.6 < np.mean(filled) < 1


def test_energy_changes_within_a_song() -> None:
    sheet = replace(lead_sheet(seconds=33.0), energy=((0.0, 0.0), (16.0, 0.0), (16.5, 1.0), (33.0, 1.0)))
    drums = notes_of(arrange(sheet, seconds=33.0, style="rock"), "drums")
    assert drums
    assert min(note.start for note in drums) > 16.0


def test_parts_are_those_that_are_asked_for_and_play_what_they_play_in_the_band() -> None:
    sheet = lead_sheet(energy=1.0)
    band = {part.name: part for part in arrange(sheet, seconds=17.0, style="rock", seed=4).parts}
    two = arrange(sheet, seconds=17.0, style="rock", seed=4, parts=" Drums,bass,drums")
    assert [part.name for part in two.parts] == ["drums", "bass"]
    assert all(part == band[part.name] for part in two.parts)
    assert set(band) <= set(PARTS)
    absent = arrange(sheet, seconds=17.0, style="hymn", parts=["drums"])
    assert absent.remarks == ("nothing to play here for: drums",)


def test_levels_are_of_players_or_stems_and_change_no_note() -> None:
    sheet = lead_sheet(energy=1.0)
    usual = arrange(sheet, seconds=17.0, style="rock", seed=4)
    other = arrange(sheet, seconds=17.0, style="rock", seed=4, levels="Drums=-3, other=+2,chords=1")
    changes = {part.name: part.louder for part in other.parts}
    assert changes == pytest.approx(
        {name: {"drums": -3.0, "bass": 0.0, "chords": 3.0}.get(name, 2.0) for name in changes}
    )
    assert {"drums", "bass", "chords", "second chords"} <= set(changes)
    assert [part.notes for part in other.parts] == [part.notes for part in usual.parts]
    assert part_levels({"bass": -1.5}) == part_levels("bass=-1.5") == {"bass": -1.5}
    assert part_levels("") == {}


@pytest.mark.parametrize(
    ("levels", "error"),
    [
        ("kazoo=1", "expected levels of drums, bass, .*, other; got one of 'kazoo'"),
        ("bass=loud", "expected levels in decibels such as drums=-3,bass=.2; got 'bass=loud'"),
        ("bass", "expected levels in decibels .* got 'bass'"),
        ({"bass": float("nan")}, "expected a level from -60 to 60 dB, got nan for bass"),
        ({"other": 61.0}, "expected a level from -60 to 60 dB, got 61 for other"),
    ],
)
def test_levels_that_are_none_are_refused(levels, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        arrange(lead_sheet(), seconds=4.0, levels=levels)


def test_the_band_begins_with_the_first_downbeat_and_ends_with_the_singer() -> None:
    sheet = lead_sheet(first_beat=1.4, seconds=40.0)
    sung = voice((1.0, 8.0, 60), (9.0, 20.6, 62), seconds=40.0)
    arrangement = arrange(sheet, seconds=40.0, style="rock", voice=sung)
    notes = [note for part in arrangement.parts for note in part.notes]
    assert 1.37 < min(note.start for note in notes) < 1.5
    last_bar = max(start for start, _ in sheet.bars if start <= 20.6)
    assert last_bar - 0.05 < max(note.start for note in notes) < last_bar + 0.1  # one chord, held
    assert max(note.end for note in notes) < last_bar + 2.1
    goes_on = arrange(
        sheet, seconds=20.5, style="rock", voice=sung
    )  # cut off while somebody sings: no ending
    assert max(note.start for part in goes_on.parts for note in part.notes) > 20.0


def test_the_band_ends_with_the_last_chord_that_is_written() -> None:
    """Drums, too, and says so; where nobody plays a chord ("N.C."), drums go on."""
    sheet = lead_sheet("| C | F | G | C |", first_beat=0.4, seconds=8.2)
    longer = lead_sheet(first_beat=0.4, seconds=20.0)
    sheet = replace(longer, chords=sheet.chords)
    sung = voice((0.5, 19.8, 60), seconds=20.0)
    arrangement = arrange(sheet, seconds=20.0, style="rock", voice=sung)
    last = sheet.chords[-1]
    assert last.end == pytest.approx(8.4, abs=0.3)
    notes = [note for part in arrangement.parts for note in part.notes]
    assert last.start - 0.05 < max(note.start for note in notes) < last.start + 0.1  # one chord, held
    assert any("the band ends with the chords" in remark for remark in arrangement.remarks)
    nobody = replace(
        sheet, chords=(*sheet.chords, replace(last, start=last.end, end=20.0, root=None, quality=""))
    )
    goes_on = arrange(nobody, seconds=20.0, style="rock", voice=sung)
    assert max(note.start for note in notes_of(goes_on, "drums")) > 19.0
    assert goes_on.remarks == ()


def test_the_band_plays_before_the_first_bar_and_after_the_singer_where_energy_is_asked_for() -> None:
    """As in an excerpt, which is cut out of a song anywhere."""
    steady = lead_sheet("| C |", first_beat=0.3, seconds=20.0)
    sheet = replace(
        steady, downbeats=steady.beats[3::4], chords=(replace(steady.chords[0], start=0.0, end=20.0),)
    )
    sung = voice((3.0, 8.0, 60), seconds=20.0)

    def played(*energy: tuple[float, float]) -> Arrangement:
        return arrange(replace(sheet, energy=energy), seconds=20.0, style="rock", voice=sung)

    usual = played((0.0, 0.7))
    assert 1.75 < min(note.start for part in usual.parts for note in part.notes) < 1.9
    assert max(note.start for part in usual.parts for note in part.notes) < 8.4
    more = played((0.0, 0.7), (0.1, 0.7), (19.5, 0.7))
    first = {part.name: part.notes[0].start for part in more.parts}
    assert first["bass"] < 0.1  # of a beat that began before
    assert abs(first["drums"] - 0.05) < 0.03  # half a beat before the first one
    assert max(note.start for part in more.parts for note in part.notes) > 19.0
    assert more.bars[0] == pytest.approx((0.3, 0.8, 1.3))
    assert played((0.0, 0.7), (0.3, 0.0), (19.5, 0.0)).bars[0][0] == pytest.approx(1.8)
    heard = replace(steady, beats=steady.beats[1:], downbeats=steady.beats[1::4])  # over two seconds each
    waits = arrange(
        replace(heard, energy=((0.25, 0.8), (0.75, 0.9), (1.25, 1.0))), seconds=20.0, style="rock", voice=sung
    )
    assert 0.75 < min(note.start for part in waits.parts for note in part.notes) < 0.85


def test_room_is_left_where_the_voice_sings_and_its_rests_are_answered() -> None:
    sheet = lead_sheet(seconds=41.0, energy=0.6)
    sung = voice(*((0.4 + 8 * k, 4.2 + 8 * k, 57 + k) for k in range(5)), seconds=41.0)
    answered = within = 0
    loud: list[int] = []
    soft: list[int] = []
    for seed in range(6):
        arrangement = arrange(sheet, seconds=41.0, style="pop ballad", seed=seed, voice=sung)
        for note in notes_of(arrangement, "answers"):
            singing = (note.start - 0.4) % 8 < 3.8
            within += singing
            answered += not singing
        for note in notes_of(arrangement, "chords"):
            (soft if (note.start - 0.35) % 8 < 3.8 else loud).append(note.velocity)
    assert answered > 10
    assert within == 0
    assert np.mean(loud) > np.mean(soft) + 4


def test_chords_end_a_phrase_otherwise_than_they_began_it() -> None:
    """In the last of four bars they lead on where the singer rests, and leave the last beat to one who sings."""
    sheet = lead_sheet("| Am |", seconds=33.0, energy=0.8)
    bars = sheet.bars[:15]
    singing = voice(*((0.4, 32.4, 57 + k) for k in (0,)), seconds=33.0)
    resting = voice(*((0.4 + 8 * k, 6.9 + 8 * k, 57) for k in range(4)), seconds=33.0)

    def strokes(sung, style: str, start: float, end: float) -> int:
        arrangement = arrange(sheet, seconds=33.0, style=style, seed=1, voice=sung)
        return len({round(n.start, 1) for n in notes_of(arrangement, "chords") if start <= n.start < end})

    for style in ("pop ballad", "bossa nova", "rock", "reggae"):
        last = [(end - (end - start) / 4 - 0.05, end - 0.05) for start, end in bars[3::4]]
        usual = [(end - (end - start) / 4 - 0.05, end - 0.05) for start, end in bars[2::4]]
        counts = [sum(strokes(sung, style, *one) for one in last) for sung in (singing, resting)]
        assert counts[0] == 0, style
        assert counts[1] >= 2 * len(last), style
        assert sum(strokes(singing, style, *one) for one in usual) > 0 or style == "rock"


def test_broken_chords_above_a_voice_of_wide_range_are_not_shrill() -> None:
    sheet = lead_sheet("| C#m | G#m | E | B |", seconds=33.0, energy=0.8)
    wide = voice(*((0.4 + 2 * k, 2.0 + 2 * k, (50, 71)[k % 2]) for k in range(16)), seconds=33.0)
    for style in STYLES:
        for seed in range(3):
            played = notes_of(arrange(sheet, seconds=33.0, style=style.name, seed=seed, voice=wide), "chords")
            assert max(note.pitch for note in played) <= 86, style.name


@pytest.mark.parametrize("height", [48, 66])
def test_chords_stay_out_of_the_singers_register(height: int) -> None:
    sheet = lead_sheet(seconds=33.0, energy=0.9)
    sung = voice(*((0.4 + 4 * k, 3.6 + 4 * k, height + k % 5) for k in range(8)), seconds=33.0)

    def inside(**also) -> float:
        notes = [
            n
            for seed in range(2)
            for part in ("chords", "pad", "second chords")
            for n in notes_of(arrange(sheet, seconds=33.0, style="rock", seed=seed, **also), part)
        ]
        return float(np.mean([height <= n.pitch <= height + 4 for n in notes]))

    assert inside(voice=sung) < 0.12
    assert inside(voice=sung) < 0.7 * inside() or inside() < 0.05


def test_without_energy_the_band_rises_with_the_voice() -> None:
    sheet = lead_sheet(seconds=33.0)
    quiet = voice(*((0.4 + 2 * k, 2.0 + 2 * k, 60) for k in range(8)), seconds=33.0, level=-32.0)
    loud = voice(*((16.4 + 2 * k, 18.0 + 2 * k, 60) for k in range(8)), seconds=33.0, level=-12.0)
    sung = replace(
        quiet,
        pitch=np.where(np.isfinite(quiet.pitch), quiet.pitch, loud.pitch),
        level=np.maximum(quiet.level, loud.level),
    )
    arrangement = arrange(sheet, seconds=33.0, style="rock", voice=sung)
    early, late = (
        [n.velocity for p in arrangement.parts for n in p.notes if lo < n.start < lo + 14]
        for lo in (1.0, 17.0)
    )
    assert sum(late) > 1.2 * sum(early)


def test_bars_of_other_lengths_and_a_tempo_that_breathes_are_followed() -> None:
    beats = tuple(0.3 + np.cumsum(0.5 + 0.06 * np.sin(np.arange(40) / 3)))
    downbeats = tuple(beats[n] for n in (0, 4, 8, 11, 15, 20, 24, 28, 32))  # of 4, 4, 3, 4, 5 beats...
    grid = LeadSheet(beats=beats, downbeats=downbeats)
    chords = lead_sheet().chords[:0] + tuple(
        replace(chord, start=start, end=end)
        for chord, (start, end) in zip(
            lead_sheet("| C | F | G | Am | C | F | G | Am | C |").chords, grid.bars, strict=False
        )
    )
    sheet = LeadSheet(beats, downbeats, chords, energy=((0.0, 0.9),))
    arrangement = arrange(sheet, seconds=18.0, style="rock", seed=1)
    assert [len(bar) for bar in arrangement.bars[:5]] == [4, 4, 3, 4, 5]
    kicks = np.array([n.start for n in notes_of(arrangement, "drums") if n.pitch == 36])
    for downbeat in downbeats[:7]:
        assert np.abs(kicks - downbeat).min() < 0.03
    assert not wrong_notes(arrangement)


def test_unsure_beats_make_drums_rest_and_chords_follow_the_phrases() -> None:
    sheet = replace(lead_sheet(bpm=60.0, seconds=20.0), unsure=("tempo", "beats"))
    sung = voice((0.5, 1.6, 60), (2.9, 5.0, 62), (10.9, 12.0, 64), seconds=20.0)
    arrangement = arrange(sheet, seconds=20.0, seed=1, voice=sung)
    assert {part.name for part in arrangement.parts} == {"bass", "chords", "pad"}
    assert arrangement.bars == ()
    assert "drums rest" in arrangement.remarks[0]
    assert not wrong_notes(arrangement)
    struck = sorted({round(note.start, 1) for note in notes_of(arrangement, "chords")})
    for time in (0.4, 2.9, 4.4, 8.4, 10.9, 12.4):  # each chord, and two phrases within one
        assert time in struck
    assert max(note.end for note in notes_of(arrangement)) < 14.1


def test_without_chords_the_drums_play_alone() -> None:
    arrangement = arrange(lead_sheet("", energy=0.8), seconds=17.0, style="rock")
    assert [part.name for part in arrangement.parts] == ["drums"]
    assert arrangement.remarks == ("no chord is known, so the drums play alone",)


def test_no_chord_is_played_where_the_lead_sheet_has_none() -> None:
    arrangement = arrange(lead_sheet("| C | N.C. | F | G |", energy=0.8), seconds=17.0, style="rock")
    start, end = arrangement.sheet.bars[1]
    assert not [n for n in notes_of(arrangement) if start + 0.05 < n.start < end - 0.05]
    assert [n for n in notes_of(arrangement, "drums") if start < n.start < end]


def test_half_an_hour_is_arranged_and_silence_is_no_singer() -> None:
    sheet = lead_sheet(seconds=1800.0, bpm=100.0, energy=0.6)
    arrangement = arrange(sheet, seconds=1800.0, style="hymn", voice=voice(seconds=1800.0), parts="bass")
    assert 1790 < arrangement.end < 1803
    assert len(arrangement.bars) == 750
    assert {part.name for part in arrangement.parts} == {"bass"}


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(LeadSheetError, match="nothing to go by"):
        arrange(LeadSheet(), seconds=10.0)
    with pytest.raises(ValueError, match="expected a style of rock, "):
        arrange(lead_sheet(), seconds=10.0, style="polka")
    with pytest.raises(ValueError, match="expected parts of drums, "):
        arrange(lead_sheet(), seconds=10.0, parts="drums,kazoo")
    with pytest.raises(ValueError, match="expected parts of drums, "):
        arrange(lead_sheet(), seconds=10.0, parts=[f"player {n}" for n in range(1000)])
    with pytest.raises(LeadSheetError, match="the recording ends at"):
        arrange(lead_sheet(first_beat=12.0), seconds=10.0)
    with pytest.raises(ValueError, match="expected a length"):
        arrange(lead_sheet(), seconds=float("nan"))


GUESSED = ("| C | Am | F | G | C | C | Am | F | F | C |", 4)
"""A chart, and the bar whose chord, C, is a guess, apart from its neighbours."""


@pytest.mark.parametrize("style", [style.name for style in STYLES])
@pytest.mark.parametrize("beats", ["sure", "unsure"])
def test_a_guess_is_played_calmly_and_nothing_else_is(style: str, beats: str) -> None:
    chart, bar = GUESSED
    sure = lead_sheet(chart.replace("C | C |", "C | Dm |"), seconds=22.0, energy=0.9)
    sure = replace(sure, unsure=("beats",) if beats == "unsure" else ())
    start, end = sure.bars[bar]
    sung = voice((1.0, 6.0, 60), (12.0, 19.0, 64), seconds=22.0)
    before, after = (
        arrange(sheet, seconds=22.0, style=style, seed=3, voice=sung)
        for sheet in (sure, replace(sure, guesses=((start, end),)))
    )

    def inside(arrangement: Arrangement, part: str | None = None) -> list:
        return [n for n in notes_of(arrangement, part) if start - 0.05 < n.start < end - 0.1]

    assert {n.pitch % 12 for n in inside(after)} <= {0, 7}
    assert {n.pitch % 12 for n in inside(before)} > {0, 7}
    for name in ("bass", "chords"):
        assert inside(after, name)
    loud = [sum(n.velocity for n in inside(one)) for one in (before, after)]
    assert loud[1] < 0.85 * loud[0]
    if beats == "sure":
        assert not [name for name in ("second chords", "pad", "answers") if inside(after, name)]
    for one, other in zip(before.parts, after.parts, strict=True):
        assert [n for n in one.notes if n.start < start - 0.05] == [
            n for n in other.notes if n.start < start - 0.05
        ]
        if one.drums:
            assert one == other


def test_a_guessed_diminished_chord_is_its_root() -> None:
    sheet = lead_sheet("| F#dim/A |", seconds=9.0)
    guessed = arrange(replace(sheet, guesses=((0.0, 9.0),)), seconds=9.0, style="folk")
    assert {n.pitch % 12 for n in notes_of(guessed)} == {6}
