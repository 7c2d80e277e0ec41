"""What a file's name says of the stem in it: a voice, an instrument, the whole accompaniment, or the mix.

Names are taken apart into words ("16_LeadVoxDT" is lead, vox, dt). A name has a role where all of its words, numbers
aside, belong to one ("10_BackingVox1", "no_vocals"), or where a part of it does: in brackets ("Song_(Vocals)"), or at
one end ("Song - vocals"). What is left is then the name of the song, by which files of one folder belong together.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Role = Literal["voice", "instrument", "whole", "mix", "click"]


def _words_in(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOICES = _words_in(
    "vocal vocals vox voice voices voc vocs singer singers singing vocalist vocalists bgv bgvs bv bvs "
    "choir choirs rap rapper acapella acappella adlib adlibs screamer "
    "gesang stimme stimmen voix voz voces voce voci вокал голос голоса"
)
VOICE_ENDINGS = ("vox", "vocal", "vocals")  # leadvox, backvocals
INSTRUMENTS = _words_in(
    "drum drums drumkit kit kick kickin kickout snare snr hat hats hihat hh tom toms cymbal cymbals ride "
    "crash overhead overheads oh ohs room rooms perc percussion shaker tambourine tamb clap claps conga "
    "congas bongo bongos cowbell timpani bass bassgtr sub guitar guitars gtr gtrs gt elecgtr acgtr egtr "
    "agtr banjo mandolin ukulele uke lute sitar harp piano pianos pno keys key keyboard keyboards organ "
    "hammond rhodes wurli wurlitzer clav clavinet synth synths synthesizer pad pads lead arp strings "
    "string violin violins viola violas cello cellos fiddle brass horn horns sax saxes saxophone trumpet "
    "trumpets trombone trombones tuba flute flutes clarinet oboe bassoon woodwind woodwinds wind bowed "
    "plucked harmonica accordion vibraphone marimba xylophone glockenspiel bells loop loops beat beats fx "
    "sfx efx effects ambience sampler samples other others rhythm orchestra band steel pedal slide noise "
    "atmos schlagzeug gitarre klavier batterie basse guitare bateria bajo guitarra teclado batteria basso chitarra "
    "барабаны ударные бас гитара клавиши"
)
MODIFIERS = _words_in(
    "l r left right c center centre mono stereo st lr in out up down top bottom btm hi high low mid near "
    "far close di amp mic mics dist distortion clean dry wet verb reverb delay main double doubles dbl "
    "dub dt dtl dtr lead leads back backing background bg bgd harmony harmonies harm male female group "
    "gang chorus verse bridge intro outro solo electric acoustic elec ac overdrive upper lower part take "
    "comp bus stem stems track tracks audio only split a b c d master"
)
WHOLE_NAMES = frozenset(
    (
        *(
            "accompaniment",
            "instrumental",
            "instrumentals",
            "karaoke",
            "backing track",
            "minus one",
            "instruments",
        ),
        *("inst", "music minus vocals", "playback", "минус", "минусовка"),
    )
)
WITHOUT = frozenset({"no", "minus", "without", "non", "less"})
MIXES = frozenset(
    (
        *(
            "mix",
            "mixture",
            "full mix",
            "fullmix",
            "mixdown",
            "mix down",
            "stereo mix",
            "final mix",
            "rough mix",
        ),
        *("master", "mastered", "main mix", "original mix", "linear mixture"),
    )
)
CLICKS = frozenset({"click", "clicktrack", "click track", "metronome", "count in", "talkback"})
COUNTED = re.compile(r"^(\d{1,3}_)+(?=.)")
NUMBERED = re.compile(r"s\d\d|(stem|source)s?[ _-]?\d+", re.IGNORECASE)
"""Stems whose names say nothing: S00, stem_1, source-01."""

WORD = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
BRACKETS = re.compile(r"[\s_-]*[(\[]([^()\[\]]*)[)\]]")
SERVICE = re.compile(
    r"[ _-]split[ _-]by[ _-]\w+$|-[A-G][#b]?[ _]?(maj|min|major|minor|m)?-\d+bpm(-\d+hz)?$", re.IGNORECASE
)
"""What services add to the names of stems: LALAL.AI its own, Moises key, tempo and tuning."""
LONGEST_ROLE = 3  # words at one end of a name that may be a role


@dataclass(frozen=True)
class Named:
    """The role of a file by its name (None: it says nothing), and the song's name beside it ("" where there is none)."""

    role: Role | None
    song: str
    bracketed: bool = False


def named(file: str) -> Named:
    """What the name of an audio file, a path or not, says."""
    stem = SERVICE.sub("", stem_of(file))
    words = words_of(stem)
    for match in reversed(list(BRACKETS.finditer(stem))):  # "2_Other_(Vocals)", of UVR: a song called Other
        if match.start() and match[0].startswith("_(") and (role := role_of(words_of(match[1]))):
            return Named(role, folded(stem[: match.start()] + " " + stem[match.end() :]), bracketed=True)
    if role := role_of(words):
        return Named(role, "")
    for match in reversed(list(BRACKETS.finditer(stem))):
        if role := role_of(words_of(match[1])):
            return Named(role, folded(stem[: match.start()] + " " + stem[match.end() :]), bracketed=True)
    for count in range(min(LONGEST_ROLE, len(words) - 1), 0, -1):
        for part, rest in ((words[-count:], words[:-count]), (words[:count], words[count:])):
            if (role := role_of(part)) and not all(word.isdigit() for word in part):
                return Named(role, " ".join(rest))
    return Named(None, folded(stem))


def song_name(stem: str) -> str:
    """What is left of a file's name without its role, as it is written: "Song" of "1_Song_(Vocals)_model"."""
    for match in reversed(list(BRACKETS.finditer(stem))):
        if role_of(words_of(match[1])):
            if match.start() and match[0].startswith("_("):  # UVR counts before, and names its model after
                return COUNTED.sub("", stem[: match.start()]).strip(" _-") or stem
            return (stem[: match.start()] + " " + stem[match.end() :]).strip(" _-")
    pieces = re.split(r"([\s_-]+)", SERVICE.sub("", stem))
    for count in range(min(2 * LONGEST_ROLE, len(pieces)) - 1, 0, -2):
        for part, rest in ((pieces[-count:], pieces[:-count]), (pieces[:count], pieces[count:])):
            if rest and role_of(words_of("".join(part))):
                return "".join(rest).strip(" _-")
    return stem


def stem_of(file: str) -> str:
    """A file's name without its folder and its extension."""
    return PurePosixPath(file).stem


def folded(text: str) -> str:
    return " ".join(words_of(text))


def words_of(text: str) -> list[str]:
    """The words of a name in lower case; "ElecGtr1DI" has four."""
    return [word.casefold() for word in WORD.findall(text)]


def role_of(words: list[str]) -> Role | None:
    """The role that all the words have together, or None; numbers say nothing."""
    words = [word for word in words if not word.isdigit()]
    text = " ".join(words)
    if not words:
        return None
    if text in MIXES:
        return "mix"
    if text in CLICKS:
        return "click"
    voices = [_is_voice(word) for word in words]
    if text in WHOLE_NAMES or (words[0] in WITHOUT and len(words) == 2 and voices[1]):
        return "whole"
    if text in ("novocals", "novox"):
        return "whole"
    known = [
        voice or word in INSTRUMENTS or word in MODIFIERS for word, voice in zip(words, voices, strict=True)
    ]
    if not all(known):
        return None
    playing = [word in INSTRUMENTS and word not in MODIFIERS for word in words]
    if any(playing):  # "vox organ", "vocal synth": played, not sung
        return "instrument"
    if any(voices):
        return "voice"
    return "instrument" if any(word in INSTRUMENTS for word in words) else None


def _is_voice(word: str) -> bool:
    return word in VOICES or word.endswith(VOICE_ENDINGS)
