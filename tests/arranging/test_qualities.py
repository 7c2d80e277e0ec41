"""The band plays chords of one and two notes, and others without a fifth, and they gain none."""

from samuel.arranging import STYLES, arrange
from samuel.lead_sheet.chord import QUALITIES
from samuel.lead_sheet.chord_names import SUFFIXES
from tests.arranging.sheets import lead_sheet, notes_of, wrong_notes


def test_chords_of_few_notes_are_played_without_a_wrong_note() -> None:
    few = [suffix for quality, suffix in SUFFIXES.items() if 7 not in QUALITIES[quality] or quality == "5"]
    chart = (
        "| " + " | ".join(root + suffix for root, suffix in zip("CFGDAECFGDAECFGD", few, strict=False)) + " |"
    )
    sheet = lead_sheet(chart, bpm=200.0, seconds=len(few) * 1.2, energy=1.0)
    for style in STYLES[::3]:
        arrangement = arrange(sheet, seconds=len(few) * 1.2, style=style.name, seed=3)
        wrong = wrong_notes(arrangement)
        assert len(wrong) <= 0.01 * len(notes_of(arrangement)), (style.name, wrong[:3])
