"""Accompaniment styles: what each section of the band plays in a bar, written as step patterns.

A pattern has one group of steps for each beat, parted by blanks: four steps a beat in simple metre
(sixteenths), six in compound metre. `bar_steps` makes of it a bar of any number of beats in either
metre. A step is one letter:

    drums   "X" accent, "x" normal, "o" soft, "." nothing; one line for each General MIDI drum
    bass    "r" root, "f" fifth, "t" third, "o" octave above, "a" approach to the next root, "-" hold
    chords  "X" / "x" / "o" strike the chord, "-" hold it, "." silence, digits pick one chord tone
            (0 lowest): an arpeggio; the notes of an arpeggio ring on

Programs are those of General MIDI, numbered from 0; drum kits are presets of bank 128.
"""

from dataclasses import dataclass

KICK, RIM, SNARE, CLAP, CLOSED_HAT, PEDAL_HAT, OPEN_HAT = 36, 37, 38, 39, 42, 44, 46
LOW_TOM, MID_TOM, CRASH, HIGH_TOM, RIDE, TAMBOURINE, COWBELL = 45, 47, 49, 50, 51, 54, 56
HIGH_CONGA, LOW_CONGA, SHAKER, CLAVES = 63, 64, 70, 75

PIANOS = (0, 1, 2, 4, 5)
ACOUSTIC_GUITARS = (24, 25)
ELECTRIC_GUITARS = (26, 27, 28)
ORGANS = (16, 17, 19)
STRINGS = (48, 49, 50, 51)
SYNTH_PADS = (88, 89, 90, 94, 95)
LEADS = (11, 40, 56, 65, 66, 71, 73, 22, 24)
ACOUSTIC_BASSES = (32,)
ELECTRIC_BASSES = (33, 34, 35)
SYNTH_BASSES = (38, 39)
KITS = (0, 8, 16)


@dataclass(frozen=True)
class Style:
    """`metres` are the kinds of bar it fits: "four" (two or four beats), "three", "compound".

    `swing` is how far the off-beat moves, in beats (1/6: triplets). `bpm` is the range of tempi.
    `weight` is how often it is drawn beside the others. `comping` holds (pattern, programs) of which one is drawn;
    `second` likewise, for full sections.
    """

    name: str
    metres: tuple[str, ...]
    bpm: tuple[float, float]
    drums: tuple[dict[int, str], ...]
    bass: tuple[str, ...]
    comping: tuple[tuple[str, tuple[int, ...]], ...]
    second: tuple[tuple[str, tuple[int, ...]], ...] = ()
    kits: tuple[int, ...] = KITS
    basses: tuple[int, ...] = ELECTRIC_BASSES
    pads: tuple[int, ...] = STRINGS
    swing: float = 0.0
    weight: float = 1.0


STYLES: tuple[Style, ...] = (
    Style(
        "rock",
        ("four",),
        (92.0, 138.0),
        drums=(
            {KICK: "X... ..x. X... ....", SNARE: ".... X... .... X...", CLOSED_HAT: "x.o. x.o. x.o. x.o."},
            {KICK: "X... .... X.x. ....", SNARE: ".... X... .... X..o", CLOSED_HAT: "X.x. X.x. X.x. X.x."},
            {KICK: "X..x ..x. ..x. ....", SNARE: ".... X... .... X...", RIDE: "x.x. x.x. x.x. x.x."},
        ),
        bass=("r-r- r-r- r-r- r-r-", "r--- ..r- r--- f-a-", "r-.r r-.r r-f- r-a-"),
        comping=(
            ("X--- ---- X--- ----", ELECTRIC_GUITARS + PIANOS),
            ("X-x- x-x- X-x- x-x-", (27, 28, 29)),
            ("X-.. x--x --x- x-x-", (*ACOUSTIC_GUITARS, 27)),
        ),
        second=(("X--- ---- ---- ----", ORGANS), ("0.1. 2.1. 3.2. 1.2.", (27, 0, 4))),
        kits=(0, 8, 16),
    ),
    Style(
        "pop ballad",
        ("four",),
        (60.0, 92.0),
        drums=(
            {KICK: "X... .... ..x. ....", RIM: ".... X... .... X...", CLOSED_HAT: "x.o. x.o. x.o. x.o."},
            {KICK: "X... ...x X... ....", SNARE: ".... X... .... X...", CLOSED_HAT: "xooo xooo xooo xooo"},
        ),
        bass=("r--- ---- r--- ----", "r--- ..r- f--- r-a-"),
        comping=(
            ("0.1. 2.3. 2.1. 2.1.", PIANOS),
            ("x--- x--- x--- x---", PIANOS),
            ("0.21 .213 0.21 .213", (*ACOUSTIC_GUITARS, 4)),
        ),
        second=(("x--- ---- x--- ----", ACOUSTIC_GUITARS), ("..3. 4... ..3. 4...", (11, 46, 8))),
        pads=STRINGS + SYNTH_PADS,
        weight=2.0,
    ),
    Style(
        "disco",
        ("four",),
        (108.0, 128.0),
        drums=(
            {KICK: "X... X... X... X...", CLAP: ".... X... .... X...", OPEN_HAT: "..x. ..x. ..x. ..x."},
            {KICK: "X... X... X... X...", SNARE: ".... X... .... X...", CLOSED_HAT: "x.xx x.xx x.xx x.xx"},
        ),
        bass=("r-o- r-o- r-o- r-o-", "..r- ..r- ..o- ..a-", "r..r ..r. o..o ..a."),
        comping=(("..X. ..X. ..X. ..X.", (*PIANOS, 7, 27)), ("X..x ..x. ..X. .x..", (27, 28, 4))),
        second=(("0.2. 1.3. 0.2. 1.3.", (80, 81, 62)), ("X--- ---- ---- ----", STRINGS)),
        kits=(8, 16, 24, 25),
        basses=ELECTRIC_BASSES + SYNTH_BASSES,
        pads=STRINGS + SYNTH_PADS,
    ),
    Style(
        "synth pop",
        ("four",),
        (84.0, 124.0),
        drums=(
            {KICK: "X... .... X... ..x.", SNARE: ".... X... .... X...", CLOSED_HAT: "xoxo xoxo xoxo xoxo"},
            {KICK: "X..x ..x. X... ....", CLAP: ".... X... .... X...", CLOSED_HAT: "x.x. x.x. x.xx x.x."},
        ),
        bass=("r-r- r-r- r-r- r-r-", "r-.r -.r- r-.r -.a-"),
        comping=(("0123 2103 0123 2103", (80, 81, 90, 5)), ("X--. X--. X-.X --X-", (50, 51, 62, 81))),
        second=(("x--- x--- x--- x---", (4, 5)),),
        kits=(24, 25),
        basses=SYNTH_BASSES,
        pads=SYNTH_PADS,
    ),
    Style(
        "funk",
        ("four",),
        (88.0, 116.0),
        drums=(
            {KICK: "X..x ..x. ..x. .x..", SNARE: "...o X..o .o.. X..o", CLOSED_HAT: "xoxo xoxo xoxo xoxo"},
            {KICK: "X.x. ...x ..X. ....", SNARE: ".... X..o .o.o X...", CLOSED_HAT: "x.xx x.xx x.x. x.xx"},
        ),
        bass=("r..o .r.. ..f. r-a.", "r-.. ..o. r..f ..a-"),
        comping=(("..X. .x.x ..X. .x..", (27, 28, 7, 16)), ("X... ..x. .x.. X...", (4, 5, 16, 17))),
        second=(("X... .... ...X ....", (61, 62)), ("x--- ---- ---- ----", ORGANS)),
        kits=(0, 8),
        basses=(33, 36, 37),
    ),
    Style(
        "swing",
        ("four",),
        (108.0, 190.0),
        drums=(
            {
                RIDE: "x... x.x. x... x.x.",
                PEDAL_HAT: ".... x... .... x...",
                KICK: "o... o... o... o...",
                SNARE: "..o. .... .... ..o.",
            },
            {
                RIDE: "x... x.x. x... x.x.",
                PEDAL_HAT: ".... x... .... x...",
                KICK: "o... .... .... ..o.",
                RIM: ".... .... .... x...",
            },
        ),
        bass=("r--- t--- f--- a---", "r--- f--- o--- a---", "r--- ---- f--- a---"),
        comping=(
            ("x... ..x. .... ..x.", (0, 1, 26)),
            ("..x. ..x- ..x. ....", (0, 26)),
            ("x... x... x... x...", (26, 24)),
        ),
        second=(("X... ..X- ---- ....", (61, 56, 65)), ("x--- ---- ---- ----", (11,))),
        kits=(32, 40),
        basses=ACOUSTIC_BASSES,
        pads=(48, 49),
        swing=1 / 6,
    ),
    Style(
        "two-beat",
        ("four",),
        (96.0, 168.0),
        drums=(
            {KICK: "x... .... x... ....", SNARE: ".... x... .... x.o.", CLOSED_HAT: "x... x... x... x..."},
            {KICK: "X... .... X... ....", SNARE: "..o. x.oo ..o. x.oo"},
        ),
        bass=("r--. .... f--. ....", "r--. .... f--. a--."),
        comping=(("..o. X... ..o. X...", (0, 3, 21, 105)), (".... X.x. .... X.x.", (24, 25, 105))),
        second=(("0.2. 1.2. 0.2. 1.2.", (105, 25)), ("X--- ---- ---- ----", (21, 61))),
        kits=(0, 32, 48),
        basses=(32, 33, 58),
        pads=(48, 21),
    ),
    Style(
        "country",
        ("four",),
        (88.0, 140.0),
        drums=(
            {KICK: "X... .... X... ....", SNARE: "..oo X.oo ..oo X.oo"},
            {KICK: "X... .... X... ....", RIM: ".... X... .... X...", SHAKER: "x.xo x.xo x.xo x.xo"},
        ),
        bass=("r--- .... f--- ....", "r--- ..a- r--- a---"),
        comping=((".... X.x. .... X.x.", (25, 24)), ("0.2. 1.2. 0.2. 1.2.", (25, 105, 24))),
        second=(("X--- ---- ---- ----", (22, 21, 40)), ("x--- x--- x--- x---", (0,))),
        kits=(0, 8, 40),
        basses=(32, 33),
    ),
    Style(
        "shuffle",
        ("four",),
        (76.0, 128.0),
        drums=(
            {KICK: "X... .... X... ..x.", SNARE: ".... X... .... X...", RIDE: "x.x. x.x. x.x. x.x."},
            {KICK: "X... ..x. X... ....", SNARE: ".... X... .... X...", CLOSED_HAT: "X.x. X.x. X.x. X.x."},
        ),
        bass=("r-r- t-t- f-f- t-a-", "r--- r-f- o--- f-a-"),
        comping=(("X.x. X.x. X.x. X.x.", (27, 26, 0)), ("..X. ..X. ..X. ..X.", (16, 17, 0))),
        second=(("X--- ---- ---- ----", ORGANS), ("0.1. 2... 3.2. 1...", (0, 27))),
        basses=(32, 33, 34),
        swing=1 / 6,
    ),
    Style(
        "bossa nova",
        ("four",),
        (100.0, 148.0),
        drums=(
            {KICK: "X..x X..x X..x X..x", RIM: "x..x ..x. ..x. .x..", CLOSED_HAT: "xoxo xoxo xoxo xoxo"},
            {KICK: "x..x x..x x..x x..x", CLAVES: "x... ..x. ..x. ....", SHAKER: "xoxo xoxo xoxo xoxo"},
        ),
        bass=("r--r f--f r--r f--a", "r--- ..f- r--- ..f-"),
        comping=(("x..x ..x. .x.. x...", (24, 26)), ("x--. x--- ..x- --x-", (4, 0))),
        second=(("x--- ---- ---- ----", (11, 4)),),
        kits=(0, 32, 40),
        basses=(32, 33),
    ),
    Style(
        "reggae",
        ("four",),
        (68.0, 96.0),
        drums=(
            {KICK: ".... .... X... ....", RIM: ".... .... X... ....", CLOSED_HAT: "x.xo x.xo x.xo x.xo"},
            {KICK: "X... X... X... X...", SNARE: ".... .... X... ....", CLOSED_HAT: "x.x. x.x. x.x. x.x."},
        ),
        bass=("r-.. ..r- f-r- ....", "..r- r-f- ..o- f-a-"),
        comping=(("..X. ..X. ..X. ..X.", (27, 28, 0)), (".... X... .... X...", (27, 16))),
        second=(("..xx ..xx ..xx ..xx", (16, 17)),),
        kits=(0, 8),
        basses=(33, 35),
    ),
    Style(
        "latin",
        ("four",),
        (90.0, 126.0),
        drums=(
            {
                KICK: "X... X... X... X...",
                LOW_CONGA: ".... ..x. .... ..xx",
                HIGH_CONGA: "..x. .... ..x. x...",
                COWBELL: "x... x.x. x... x.x.",
            },
            {KICK: "X..x ..x. X..x ..x.", SHAKER: "xoxo xoxo xoxo xoxo", HIGH_CONGA: "..xx ..x. ..xx ..x."},
        ),
        bass=("r--- ..f- ---o ----", "r--r --f- r--r --a-"),
        comping=(("0.23 .23. 0.23 .23.", (0, 1)), ("X..x ..x. X..x ..x.", (24, 0))),
        second=(("X... .... ..X. X...", (61, 56)),),
        basses=(32, 33),
    ),
    Style(
        "folk",
        ("four", "three"),
        (72.0, 118.0),
        drums=({}, {TAMBOURINE: ".... o... .... o...", KICK: "o... .... o... ...."}),
        bass=("r--- ---- f--- ----", "r--- ---- ---- ----"),
        comping=(
            ("0.2. 1.3. 0.2. 1.3.", ACOUSTIC_GUITARS),
            ("X-.x -.x- X-.x -.x-", ACOUSTIC_GUITARS),
            ("0.12 .312 0.12 .312", (24, 46, 0)),
        ),
        second=(("x--- ---- ---- ----", (21, 22, 40)),),
        kits=(0, 40),
        basses=(32, 33),
        pads=(48, 49, 42),
    ),
    Style(
        "hymn",
        ("four", "three"),
        (66.0, 96.0),
        drums=({},),
        bass=("r--- r--- r--- r---", "r--- ---- r--- ----"),
        comping=(("X--- X--- X--- X---", (19, 20, 0)), ("x--- ---- x--- ----", (19, 16, 48))),
        second=(("x--- x--- x--- x---", (48, 61)),),
        basses=(32, 42, 43),
        weight=0.3,
    ),
    Style(
        "waltz",
        ("three",),
        (84.0, 160.0),
        drums=(
            {KICK: "X... .... ....", SNARE: ".... o... o...", CLOSED_HAT: ".... x... x..."},
            {KICK: "X... .... ....", RIDE: "x... x.x. x...", PEDAL_HAT: ".... x... ...."},
        ),
        bass=("r--- ---- ....", "r--- ---- f---", "r--- .... a---"),
        comping=(
            (".... X... X...", (0, 21, 25)),
            ("0.1. 2.1. 2.1.", (0, 24, 46)),
            (".... x.x. x...", (24, 26)),
        ),
        second=(("x--- ---- ----", (48, 21, 22)), ("2... 3... 4...", (11, 8, 46))),
        kits=(0, 32, 40),
        basses=(32, 33),
    ),
    Style(
        "jazz waltz",
        ("three",),
        (110.0, 168.0),
        drums=(
            {
                RIDE: "x... x.x. x.x.",
                PEDAL_HAT: ".... x... ....",
                KICK: "o... .... ..o.",
                SNARE: ".... ..o. ....",
            },
        ),
        bass=("r--- f--- a---", "r--- ---- a---"),
        comping=(("x... ..x. ....", (0, 26)), ("..x- ---- x...", (0, 4))),
        second=(("x--- ---- ----", (11, 48)),),
        kits=(32, 40),
        basses=ACOUSTIC_BASSES,
        swing=1 / 6,
    ),
    Style(
        "rock waltz",
        ("three",),
        (88.0, 140.0),
        drums=(
            {KICK: "X... .... ..x.", SNARE: ".... X... X...", CLOSED_HAT: "x.x. x.x. x.x."},
            {KICK: "X... ..x. ....", SNARE: ".... .... X...", RIDE: "x.x. x.x. x.x."},
        ),
        bass=("r--- r--- r---", "r-r- r-r- f-a-"),
        comping=(("X-x- x-x- x-x-", (27, 25)), ("X--- ---- ----", (27, 16, 4))),
        second=(("0.1. 2.3. 2.1.", (0, 27)),),
    ),
    Style(
        "six-eight ballad",
        ("compound",),
        (44.0, 72.0),
        drums=(
            {KICK: "X..... ....x.", SNARE: "...... X.....", CLOSED_HAT: "x.x.x. x.x.x."},
            {KICK: "X..... ......", RIM: "...... X.....", RIDE: "x.x.x. x.x.x."},
        ),
        bass=("r----- r-----", "r----- ..f-a-"),
        comping=(("0.1.2. 3.2.1.", (0, 4, 27, 25)), ("X----- X-----", (0, 16))),
        second=(("x----- ------", (48, 16)),),
    ),
    Style(
        "jig",
        ("compound",),
        (70.0, 116.0),
        drums=(
            {KICK: "x..... x.....", TAMBOURINE: "x.o.x. x.o.x."},
            {KICK: "X..... ......", SNARE: "....o. X...o."},
        ),
        bass=("r----- f-----", "r---r- f---a-"),
        comping=(("X---x. X---x.", (25, 24, 21)), ("0.1.2. 0.1.2.", (24, 46, 0))),
        second=(("x----- ------", (21, 40, 109)),),
        basses=(32, 33),
    ),
)


SIMPLE_STEPS, COMPOUND_STEPS = 4, 6
HELD, REST = "-", "."
_CHUNKS = {  # groups of a pattern: (size of a chunk of beats: which groups it takes), the largest first
    4: {4: (0, 1, 2, 3), 3: (0, 1, 3), 2: (0, 1), 1: (0,)},
    3: {3: (0, 1, 2), 2: (0, 1), 1: (0,)},
    2: {2: (0, 1), 3: (0, 1, 1), 1: (0,)},
}
_TO_COMPOUND = ((0,), (0,), (1,), (1,), (2,), (3,))  # for each of six steps: which of four are heard there
_TO_SIMPLE = (
    (0,),
    (1,),
    (2, 3),
    (4, 5),
)  # a triplet's second and third note fall on the half and before the next beat


def metre_kind(beats: int, division: int) -> str:
    """What styles are written for: "compound", "three" or "four" (all other numbers of beats)."""
    return "compound" if division == 3 else "three" if beats % 3 == 0 else "four"


def styles_for(metre: str) -> tuple[Style, ...]:
    """The styles that fit bars of "four", "three" or "compound"."""
    return tuple(style for style in STYLES if metre in style.metres)


def find_style(name: str) -> Style:
    """Raises ValueError with all names for one that is none."""
    for style in STYLES:
        if style.name == name.strip().lower():
            return style
    raise ValueError(f"expected a style of {', '.join(style.name for style in STYLES)}; got {name!r}")


def bar_steps(pattern: str, beats: int, per_beat: int, bar: int = 0) -> str:
    """The steps of a bar: 5 beats are played as 3 and 2, 7 as 4 and 3, and so on.

    A pattern of four beats is spread over two bars of two: `bar` is the bar's number.
    """
    groups = pattern.split()
    if beats == 2 and len(groups) == 4:
        groups = groups[2:] + groups[:2] if bar % 2 else groups
    steps = "".join(_converted(groups[index], per_beat) for index in _spread(len(groups), beats))
    if steps.startswith(HELD):  # nothing to hold on to at a bar's beginning: struck again
        struck = [letter for letter in pattern if letter not in (HELD, REST, " ")]
        steps = struck[0] + steps[1:] if struck else REST + steps[1:]
    return steps


def _spread(groups: int, beats: int) -> list[int]:
    """Which group of a pattern each beat of a bar takes."""
    chunks = _CHUNKS[groups]
    largest = max(groups, 2)
    taken: list[int] = []
    while (left := beats - len(taken)) > 0:
        size = left if left in chunks else largest
        if size == largest and left - largest == 1 and largest > 2:
            size = largest - 1  # 5 = 3 + 2 and 4 = 2 + 2: no beat stands alone
        taken += chunks[size]
    return taken


def _converted(group: str, per_beat: int) -> str:
    """The steps of one beat, in simple or in compound metre."""
    if len(group) == per_beat:
        return group
    if per_beat == SIMPLE_STEPS:
        return "".join(max((group[step] for step in steps), key=_weight) for steps in _TO_SIMPLE)
    steps = [group[source[0]] for source in _TO_COMPOUND]
    for filler, following in (
        (1, 1),
        (3, 2),
    ):  # between two steps: held where the sound goes on, silent otherwise
        steps[filler] = HELD if group[following] == HELD else REST
    return "".join(steps)


def _weight(letter: str) -> int:
    return {REST: 0, HELD: 1}.get(letter, 2)
