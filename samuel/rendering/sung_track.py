"""Which track of a score is sung, told by its name, else by its words.

"MELODY", "Lead Vocal" and "Voice 1" are sung; "Lead Guitar", "Backing Vocals", "Voice Oohs" and "Melodica" are
not. Singers who take turns are one melody.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from samuel.lead_sheet.notation.written import Note
from samuel.rendering.score import single_voice

_SUNG = re.compile(
    r"vocals?|vox|voc|voices?|vocalist|melod(y|ie|ia|ija|i)|topline|sing(er|ing)?|sung"
    r"|(haupt|sing)?(stimme|melodie)|gesang|vo[cz]e?s?|canto|cantante|chant|chanteu(r|se)|voix|zang|sang"
    r"|вокал|голос|мелодия|主旋律|旋律|人声|人聲|歌|歌唱|唱|ボーカル|ヴォーカル|メロディー?|うた|멜로디|보컬"
)
_SOPRANO = re.compile(r"soprano|sop")
_PARTS = re.compile(r"mezzo|alto|contralto|tenore?|bariton[eo]?")
_LEAD = re.compile("lead")
_FIRST = re.compile(r"lead|main|solo|principal|haupt(stimme|melodie)?|topline|主旋律")
_OTHER = re.compile(
    r"back|backing|background|backup|bgv?s?|bv(ox|s)?|harm(ony|onies)?|choir|chor|second|2nd|counter|double|dbl"
    r"|ad|adlibs?|[ao]+hs?|under|low(er)?|descant"
)
_INSTRUMENT = re.compile(
    r"(e|a)?g(ui)?ta?r(ra|re)?s?|e?bass(es|o)?|(e)?pianos?|pno|klavier|keys?|keyboards?|synth(s|esizer)?|organ|orgel"
    r"|strings?|violins?|violas?|cello|fiddle|brass|horns?|trumpets?|trombones?|sax(ophone)?s?|flutes?|clarinets?"
    r"|oboe|bassoon|accordion|harmonica|banjo|mandolin|ukulele|harp|drums?|perc(ussion)?|pads?|square|saw(tooth)?"
    r"|bells?|glockenspiel|vibraphone|marimba|arp(eggio)?|chords?|riffs?|fx|patch|space|click"
)
_JOINED = re.compile(r"(lead|main|back|backing|bg|counter|solo|male|female)(vocals?|voices?|vox|melody)")


@dataclass(frozen=True)
class Candidate:
    """A track that may be sung. `syllables` counts its notes that carry words."""

    name: str
    notes: Sequence[Note]
    syllables: int = 0

    @property
    def sounding(self) -> float:
        return sum(note.end - note.start for note in self.notes)


def sung(tracks: Sequence[Candidate]) -> list[int]:
    """The indices of the sung track, or of the tracks of singers who take turns; none where nothing tells."""
    ranks = {index: rank for index, track in enumerate(tracks) if (rank := sung_rank(track.name)) is not None}
    if not ranks:
        worded = [i for i, track in enumerate(tracks) if track.syllables >= max(4, 0.3 * len(track.notes))]
        return sorted(worded, key=lambda i: -tracks[i].syllables)[:1]
    best = min(ranks.values())
    alike = sorted((i for i in ranks if ranks[i] == best), key=lambda i: -tracks[i].sounding)
    chosen = alike[:1]
    for index in alike[1:]:
        if not _overlap(tracks[index].notes, [note for i in chosen for note in tracks[i].notes]):
            chosen.append(index)
    return chosen


def _overlap(notes: Sequence[Note], others: Sequence[Note]) -> bool:
    """Whether more than a tenth of `notes` begin while one of `others` sounds."""
    voice = single_voice(list(others))
    starts = [note.start for note in voice]
    together = 0
    for note in notes:
        before = bisect_right(starts, note.start + 0.02) - 1
        together += before >= 0 and note.start < voice[before].end - 0.02
    return together > 0.1 * len(notes)


def sung_rank(name: str) -> int | None:
    """How surely a track of this name is sung: the smallest first, None for a name that does not say so."""
    words = _words(name)

    def any_of(pattern: re.Pattern[str]) -> bool:
        return any(pattern.fullmatch(word) for word in words)

    instrument = any_of(_INSTRUMENT)
    if any_of(_OTHER):
        return None
    if any_of(_SUNG):
        return 2 if instrument else 0 if any_of(_FIRST) else 1
    if instrument:
        return None
    kinds = [number for number, pattern in enumerate((_SOPRANO, _PARTS, _LEAD), 3) if any_of(pattern)]
    return kinds[0] if kinds else None


def _words(name: str) -> list[str]:
    """ "LeadVocal_2 (dry)" -> lead, vocal, dry."""
    plain = unicodedata.normalize("NFKC", name)
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).casefold()
    joined = _JOINED.sub(r" \1 \2 ", split)
    return [word for word in re.findall(r"\d(?:st|nd|rd|th)|[^\W\d_]+", joined) if word]
