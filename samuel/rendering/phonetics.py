"""Syllables: which vowel a note is sung on, and how it begins.

Formant frequencies are for a male voice, in Hz: vowels from Peterson and Barney (1952), "Control
methods used in a study of the vowels", table II; liquids, glides and nasals from Klatt (1980),
"Software for a cascade/parallel formant synthesizer", table II. Spelling is read by a few rules of
thumb: what matters is that syllables differ as sung ones do, not that the words are understood.
"""

import re
from dataclasses import dataclass

import numpy as np

Formants = tuple[float, float, float]

VOWELS: dict[str, Formants] = {
    "i": (270, 2290, 3010),
    "I": (390, 1990, 2550),
    "e": (440, 2050, 2600),
    "E": (530, 1840, 2480),
    "ae": (660, 1720, 2410),
    "a": (730, 1090, 2440),
    "O": (570, 840, 2410),
    "o": (470, 820, 2400),
    "U": (440, 1020, 2240),
    "u": (300, 870, 2240),
    "V": (640, 1190, 2390),
    "R": (490, 1350, 1690),
}
VOICED_ONSETS: dict[str, Formants] = {
    "m": (250, 1100, 2150),
    "n": (250, 1500, 2350),
    "l": (360, 1300, 2700),
    "r": (330, 1060, 1500),
    "w": (290, 610, 2150),
    "j": (260, 2070, 3020),
    "v": (300, 1100, 2100),
    "b": (250, 900, 2200),
    "d": (250, 1700, 2600),
    "g": (250, 1900, 2400),
}
FRICATIVES = ("s", "S", "f", "h")
PLOSIVES = ("p", "t", "k")

_VOWEL_SPELLINGS: tuple[tuple[str, tuple[str, str]], ...] = (
    ("igh|ie$|ye$|^i$|^my$|^by$", ("a", "i")),
    ("i[^aeiouy]e$|y[^aeiouy]e$", ("a", "i")),
    ("a[^aeiouy]e$|ai|ay|ey|ei", ("e", "i")),
    ("o[^aeiouy]e$|oa|ow$|^no|^so|^go|oh", ("o", "u")),
    ("ou|ow", ("a", "u")),
    ("oi|oy", ("O", "i")),
    ("ee|ea|ie|[^aeiouy]y$|^e$|me$|he$|we$|be$", ("i", "i")),
    ("oo|ew|ue|u[^aeiouy]e$|^to$|^do$|you", ("u", "u")),
    ("[eiu]r", ("R", "R")),
    ("or|aw|au|al", ("O", "O")),
    ("a", ("a", "a")),
    ("e", ("E", "E")),
    ("i", ("I", "I")),
    ("o", ("O", "O")),
    ("u", ("V", "V")),
    ("y", ("I", "I")),
)
_CODA_SPELLINGS: tuple[tuple[str, str], ...] = (
    ("(s|z|ce|se|x)$", "s"),
    ("(sh|ch|ge)$", "S"),
    ("(f|th|ve?)$", "f"),
    ("(t|d|te|de)$", "t"),
    ("(k|g|ck|ke)$", "k"),
    ("(p|b|pe)$", "p"),
    ("me?$", "m"),
    ("(n|ng|ne)$", "n"),
    ("(l|le)$", "l"),
    ("(r|re)$", "r"),
)
_ONSET_SPELLINGS: tuple[tuple[str, str], ...] = (
    ("sh|ch|j|g[ei]", "S"),
    ("th|f|ph", "f"),
    ("s|z|c[eiy]|x", "s"),
    ("wh|w", "w"),
    ("h", "h"),
    ("c|k|q", "k"),
    ("y", "j"),
    ("kn", "n"),
    ("[ptbdgmnlrv]", ""),
)


@dataclass(frozen=True)
class Syllable:
    """`onset` is a key of `VOICED_ONSETS`, one of `FRICATIVES` or `PLOSIVES`, or "" for a bare vowel.

    The vowel glides from `vowel` to `glide`, which are equal but for diphthongs. `coda` closes the
    syllable: a fricative, a plosive, one of "m", "n", "l", "r", or "".
    """

    onset: str
    vowel: str
    glide: str
    coda: str = ""


def syllable_of(lyric: str, rng: np.random.Generator) -> Syllable:
    """The syllable of a piece of lyrics; without letters, one drawn at random."""
    text = re.sub(r"[^a-zà-ÿ]", "", lyric.lower())
    text = text.translate(str.maketrans("àâáäèéêëìíîïòóôöùúûü", "aaaaeeeeiiiioooouuuu"))
    if not re.search("[aeiouy]", text):
        return random_syllable(rng)
    onset = ""
    for pattern, name in _ONSET_SPELLINGS:
        match = re.match(pattern, text)
        if match:
            onset = name or match.group()
            break
    vowel, glide = next(sound for pattern, sound in _VOWEL_SPELLINGS if re.search(pattern, text))
    coda = next((sound for pattern, sound in _CODA_SPELLINGS if re.search(pattern, text)), "")
    return Syllable(onset, vowel, glide, coda)


def random_syllable(rng: np.random.Generator) -> Syllable:
    vowels = tuple(VOWELS)
    vowel = vowels[int(rng.integers(len(vowels)))]
    onsets = ("", *VOICED_ONSETS, *FRICATIVES, *PLOSIVES)
    onset = onsets[int(rng.integers(len(onsets)))]
    glide = vowel if rng.random() < 0.75 else ("i" if rng.random() < 0.5 else "u")
    codas = ("s", "t", "k", "n", "m", "l", "r", "f")
    return Syllable(onset, vowel, glide, codas[int(rng.integers(len(codas)))] if rng.random() < 0.4 else "")
