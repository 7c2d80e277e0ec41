"""What a band is told to play: a lead sheet, found or given, and the arrangement that rules make of it.

Direction   what a user asks of lead sheet and arrangement
Director    a voice -> Directed: lead sheet and arrangement, ready for `Generator.accompany`
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.arranging import Arrangement, SoundFontSynthesiser, arrange, band_blocks, render_band
from samuel.config import SAMPLE_RATE
from samuel.harmonizing import find_lead_sheet
from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.locks import Locks
from samuel.vocals import Voice

Audio = Float[Tensor, "2 samples"]


@dataclass(frozen=True)
class Direction:
    """The same direction and voice give the same lead sheet and arrangement."""

    locks: Locks = field(default_factory=Locks)
    """What the lead sheet has to hold; the rest is found."""
    lead_sheet: LeadSheet | None = None
    """In place of one that is found; the locks hold over it, too."""
    follow_voice_alone: bool = False
    """No lead sheet and no arrangement: the network plays from the voice."""
    vary_chords: bool = False
    """Whether variations have other chords, too: the next likely ones."""
    parts: tuple[str, ...] = ()
    """Players of the arrangement: some of `samuel.arranging.PARTS`; all when empty."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """Decibels by player or stem, as `samuel.arranging.part_levels` has them."""
    soundfont: str | None = None


@dataclass(frozen=True)
class Directed:
    """`sheet` and `arrangement` are None where nothing could be found to go by, or nothing was to be."""

    sheet: LeadSheet | None = None
    arrangement: Arrangement | None = None
    remarks: tuple[str, ...] = ()
    """What a user should know: no singing was found, a part has nothing to play."""
    voice: Voice | None = None
    """What was heard; None where nothing was listened to."""


class Director:
    """Holds the instruments. Raises ValueError for a soundfont that cannot be read."""

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self._synthesiser: SoundFontSynthesiser | None = None

    @property
    def synthesiser(self) -> SoundFontSynthesiser:
        """Loaded when it is first asked for."""
        if self._synthesiser is None:
            self._synthesiser = SoundFontSynthesiser(self.direction.soundfont)
        return self._synthesiser

    def directed_by(self, direction: Direction) -> "Director":
        """Another direction for the same instruments."""
        other = Director(replace(direction, soundfont=self.direction.soundfont))
        other._synthesiser = self.synthesiser
        return other

    def direct(
        self,
        vocals: Audio,
        seed: int = 0,
        variation: int = 0,
        lead_sheet: LeadSheet | None = None,
        voice: Voice | None = None,
    ) -> Directed:
        """Lead sheet and arrangement for a voice as it was recorded; `lead_sheet`: this recording's own; `voice`: this
        recording, where it was heard before.

        Raises LeadSheetError where what is given cannot hold.
        """
        direction = self.direction
        if direction.follow_voice_alone:
            return Directed(voice=voice)
        given = lead_sheet or direction.lead_sheet
        seconds = vocals.shape[-1] / SAMPLE_RATE
        voice = voice or Voice(vocals)
        features = voice.features
        remarks = []
        if not features.has_singing:
            remarks.append(
                "no singing was found in this recording: the band plays a plain lead sheet; check that it is a voice"
            )
        if given is None:
            found = variation if direction.vary_chords else 0
            sheet = find_lead_sheet(features, seconds, direction.locks, found)
        else:
            sheet = direction.locks.apply(given, seconds)
        try:
            arrangement = arrange(
                sheet,
                seconds=seconds,
                seed=seed,
                voice=features,
                parts=direction.parts,
                levels=direction.levels,
            )
        except LeadSheetError as error:
            if direction.locks.given or given:
                raise
            return Directed(sheet, None, (*remarks, str(error)), voice)
        if arrangement.bars:  # else the band plays calmly, whatever the style
            sheet = replace(sheet, style=arrangement.style)
        return Directed(sheet, arrangement, (*remarks, *arrangement.remarks), voice)

    def play(self, arrangement: Arrangement, samples: int) -> Audio:
        """The sound of an arrangement: the sum of its stems."""
        return torch.from_numpy(render_band(arrangement, self.synthesiser, samples))

    def play_blocks(self, arrangement: Arrangement, samples: int) -> Iterator[Audio]:
        """As `play`, up to ten seconds at a time. Until all are read, the director plays nothing else."""
        return map(torch.from_numpy, band_blocks(arrangement, self.synthesiser, samples))
