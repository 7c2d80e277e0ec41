"""A lead sheet becomes an arrangement: who plays what, and when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from samuel.arranging import calm
from samuel.arranging.band import PLAYERS, play_form
from samuel.arranging.form import CUT_SECONDS, Form, form_of
from samuel.arranging.part import STEMS, Part
from samuel.arranging.singing import NOBODY, Singing
from samuel.arranging.styles import Style, find_style, metre_kind, styles_for
from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.text import metre_name
from samuel.vocals import VocalFeatures

PARTS = tuple(PLAYERS)
LONGEST_SECONDS = 4 * 3600.0
MOST_DECIBELS = 60.0


@dataclass(frozen=True)
class Arrangement:
    """What each player plays in a recording of `seconds`; times are the recording's.

    `style` is the one that is played. `bars` are the seconds of each bar's beats; empty where nobody knows the beat.
    `remarks` say, in words for the user, where the band plays otherwise than asked.
    """

    sheet: LeadSheet
    style: str
    seconds: float
    parts: tuple[Part, ...]
    bars: tuple[tuple[float, ...], ...] = ()
    end: float = 0.0
    """Of the last bar, in seconds."""
    remarks: tuple[str, ...] = field(default=())
    energy: tuple[tuple[float, float], ...] = ()
    """(second, 0 to 1): what the band's level follows. Empty: nobody asked for any, and there is no singer."""
    silent: tuple[Part, ...] = ()
    """Players that were not asked for, as they would have played: the others sound as they do beside them."""


def arrange(
    sheet: LeadSheet,
    *,
    seconds: float,
    style: str = "",
    seed: int = 0,
    voice: VocalFeatures | None = None,
    parts: str | Iterable[str] = (),
    levels: str | Mapping[str, float] = "",
) -> Arrangement:
    """The band for a recording of `seconds`, from the lead sheet's first downbeat on.

    `style`: see `STYLES`; "" takes the lead sheet's, or draws one that fits its metre and tempo. How much is played
    follows the lead sheet's energy; without one, the voice. With a `voice`, the players leave it room, answer in its
    rests, stay out of its register, and end when it ends. `parts`: who plays, some of `PARTS` or "drums, bass"; all
    by default; what a player plays does not depend on who else plays. Chords that the lead sheet marks as guesses are
    played calmly: root and fifth, by bass and chords alone. `levels`: how much louder or softer than usual
    some of them are, in decibels, see `part_levels`; no note depends on it. Raises LeadSheetError where neither beats nor
    chords are known, ValueError for an unknown style, part or level.
    """
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"expected a length from 0 to {LONGEST_SECONDS:g} seconds, got {seconds:g}")
    names, louder = part_names(parts), part_levels(levels)
    singing = NOBODY if voice is None else Singing.of_voice(voice)

    def seated(played: list[Part]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        tidied = [replace(part.tidied(seconds), louder=louder.get(part.name, 0.0)) for part in played]
        sounding = [part for part in tidied if part.notes]
        return (
            tuple(part for part in sounding if part.name in names),
            tuple(part for part in sounding if part.name not in names),
        )

    chosen = find_style(style or sheet.style) if style or sheet.style else _draw_style(sheet, seed)
    harmony = any(chord.root is not None for chord in sheet.chords)
    steady = len(sheet.beats) > 1 and "beats" not in sheet.unsure
    if not harmony and not steady:
        raise LeadSheetError(
            "the band has nothing to go by: no beat is sure and no chord is known; give the tempo, such as --bpm 92, "
            'or chords, such as --chords "| Am | F |"'
        )
    if not steady:
        played = calm.play_calmly(sheet, singing, seconds=seconds, seed=seed)
        remarks = [
            "the beat is not sure, so drums rest and chords follow the singer's phrases; a given tempo helps"
        ]
        remarks += _absent(names, played)
        playing, silent = seated(played)
        return Arrangement(
            sheet,
            calm.STYLE,
            seconds,
            playing,
            remarks=tuple(remarks),
            energy=sheet.energy,
            silent=silent,
        )
    form = form_of(sheet, chosen, singing, seconds=seconds, seed=seed)
    played = play_form(form)
    remarks = []
    kind = metre_kind(sheet.metre.beats, sheet.metre.division)
    if kind not in chosen.metres and (style or sheet.style):
        remarks.append(
            f"{chosen.name} is not written for {metre_name(sheet.metre)}; its patterns were fitted to it"
        )
    if not harmony:
        remarks.append("no chord is known, so the drums play alone")
    elif singing.known and (written := sheet.chords[-1].end) + CUT_SECONDS < min(singing.end, seconds):
        remarks.append(
            f"the chords end at {written:.1f} s and the singer at {singing.end:.1f} s; the band ends with the chords"
        )
    remarks += _absent(names, played)
    playing, silent = seated(played)
    return Arrangement(
        sheet,
        chosen.name,
        seconds,
        playing,
        bars=_bars(form),
        end=form.tempo.seconds(form.end),
        remarks=tuple(remarks),
        energy=sheet.energy or (_energy_of_bars(form) if singing.known else ()),
        silent=silent,
    )


def part_names(parts: str | Iterable[str]) -> tuple[str, ...]:
    """ "drums, bass" or names as `PARTS` has them, each once; all for none. Raises ValueError for another."""
    asked = parts.split(",") if isinstance(parts, str) else list(parts)
    names = [name.strip().lower() for name in asked if name.strip()]
    for name in names:
        if name not in PARTS:
            raise ValueError(f"expected parts of {', '.join(PARTS)}; got {name!r}")
    return tuple(name for name in PARTS if name in names) or PARTS


def part_levels(levels: str | Mapping[str, float]) -> dict[str, float]:
    """Decibels by the parts' names, from {"drums": -3.0, "other": 2.0} or "drums=-3,other=+2".

    A name is one of `PARTS` or of `STEMS`: "other" are all players but drums and bass, on top of their own levels.
    Raises ValueError for another name, a level that is no number, or one beyond `MOST_DECIBELS` either way.
    """
    given = _levels_in(levels) if isinstance(levels, str) else levels
    names = tuple(dict.fromkeys((*PARTS, *STEMS)))
    total: dict[str, float] = {}
    for name, level in given.items():
        if name not in names:
            raise ValueError(f"expected levels of {', '.join(names)}; got one of {name!r}")
        if not -MOST_DECIBELS <= level <= MOST_DECIBELS:
            raise ValueError(
                f"expected a level from {-MOST_DECIBELS:g} to {MOST_DECIBELS:g} dB, got {level:g} for {name}"
            )
        for part in PARTS if name == "other" else (name,):
            if name != "other" or part not in STEMS:
                total[part] = total.get(part, 0.0) + level
    return total


def _levels_in(text: str) -> dict[str, float]:
    levels: dict[str, float] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, _, level = (side.strip() for side in one.partition("="))
        try:
            levels[name.lower()] = float(level)
        except ValueError:
            raise ValueError(f"expected levels in decibels such as drums=-3,bass=+2; got {one!r}") from None
    return levels


def _draw_style(sheet: LeadSheet, seed: int) -> Style:
    fitting = styles_for(metre_kind(sheet.metre.beats, sheet.metre.division))
    bpm = sheet.bpm
    if bpm is not None:
        fitting = tuple(s for s in fitting if s.bpm[0] * 0.85 <= bpm <= s.bpm[1] * 1.15) or fitting
    weights = np.cumsum([style.weight for style in fitting])
    drawn = np.random.default_rng([seed % 2**64, 0x57]).random() * weights[-1]
    return fitting[int(np.searchsorted(weights, drawn, side="right"))]


def _bars(form: Form) -> tuple[tuple[float, ...], ...]:
    times = [[form.tempo.seconds(bar.start + beat) for beat in range(bar.beats)] for bar in form.bars]
    within = [tuple(time for time in bar if time >= 0) for bar in times]
    return tuple(bar for bar in within if bar)


def _energy_of_bars(form: Form) -> tuple[tuple[float, float], ...]:
    return tuple((form.tempo.seconds(bar.start + bar.beats / 2), bar.energy) for bar in form.bars)


def _absent(names: tuple[str, ...], played: list[Part]) -> list[str]:
    """Remarks on parts that were asked for by name and have nothing to play."""
    if names == PARTS:
        return []
    absent = [name for name in names if name not in {part.name for part in played}]
    return [f"nothing to play here for: {', '.join(absent)}"] if absent else []
