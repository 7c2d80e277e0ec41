"""Which files of a folder are the stems of a song: the layouts of known data sets and tools, told from names alone.

A million files come as a listing; none is opened here. Understood are

- a folder a song (MUSDB18-HQ, DSD100, Demucs, Spleeter, Moises, Cambridge-MT): `vocals.wav` and the rest, or a
  multitrack whose names are instruments and voices; ccMixter's `source-01`, `source-02`;
- a folder a stem within the song's (MoisesDB): `vocals/*.wav`, `bass/*.wav`, ...;
- a folder a stem with files of one name (`vocals/song.wav`, `drums/song.wav`);
- files side by side (UVR, audio-separator): `1_Song_(Vocals).wav`, `1_Song_(Instrumental).wav`;
- MedleyDB: `Song_STEMS/`, and anywhere `Song_METADATA.yaml`, which says who sings;
- one file (MUSDB18, Traktor): `Artist - Title.stem.mp4`.

A mix of which the stems are there is left out, and so are stems of the same song by another model.
What looks like stems and cannot be used, such as Slakh's, which has no voices, is told, and never taken for songs.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from samuel.stems.names import NUMBERED, Named, folded, named, stem_of, words_of

STEM_FILE_ENDINGS = (".stem.mp4", ".stem.m4a")
FOLDERS_OF_STEMS = frozenset({"stems", "stem", "multitrack", "multitracks", "tracks", "stems audio", "raw"})
CCMIXTER_BAND, CCMIXTER_VOICE = "source-01", "source-02"
MEDLEYDB_METADATA = "_metadata.yaml"
OF_MIXES = frozenset({"mix", "mixed", "mixdown", "master", "mastered", "full", "preview", "original"})
DISTINCT_WORDS = 3
"""Of a name, from which on it is no other song's wherever it lies."""

MODEL = re.compile(
    r"(ht|hd)?demucs.*|mdx.*|(bs_?|mel_?band_?)?roformer.*|spleeter.*|[245]stems.*|(open-?)?unmix.*|umx.*",
    re.IGNORECASE,
)
"""What models that separate call the folder of their songs."""

MOST_FILES_A_STEM = 20
"""In a folder of one stem of one song; more are songs."""


@dataclass(frozen=True)
class StemsSong:
    """The stems of a song, paths as in the listing; `place` is what tells them again: a folder, or a file.

    `unknown` may be parts of the accompaniment, or a mix: their sound decides. Empty of all where `metadata` or the
    file itself says which is which.
    """

    place: str
    voices: tuple[str, ...] = ()
    accompaniment: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    metadata: str = ""
    files: tuple[str, ...] = ()
    """All of them, those not used too."""


@dataclass
class Found:
    """What a listing holds: songs as stems, and words about stems that cannot be used. All else may be songs."""

    songs: list[StemsSong] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    no_voice: list[str] = field(default_factory=list)
    """Folders of stems among which no name is a voice's."""
    alone: list[str] = field(default_factory=list)
    """Files that are a voice by their name, with no accompaniment beside."""
    mixes: list[str] = field(default_factory=list)
    """Mixes of which the stems are there."""
    again: list[str] = field(default_factory=list)
    """Places of stems that another model made of a song whose stems are there."""

    def add(self, song: StemsSong) -> None:
        self.songs.append(song)
        self.taken.update(song.files)


def find_stems(audio: Sequence[str], others: Iterable[str] = ()) -> Found:
    """The stems among audio files, given as paths below one folder; `others`: what else lies there."""
    found = Found()
    by_folder: dict[str, list[str]] = defaultdict(list)
    for file in sorted(audio):
        if file.casefold().endswith(STEM_FILE_ENDINGS):
            found.add(StemsSong(file, files=(file,)))
        else:
            by_folder[_folder(file)].append(file)
    metadata = {
        file.rpartition("/")[2].casefold().removesuffix(MEDLEYDB_METADATA): file
        for file in others
        if file.casefold().endswith(MEDLEYDB_METADATA)
    }
    names = {file: named(file) for files in by_folder.values() for file in files}
    _medleydb(by_folder, metadata, found)
    for folder, files in by_folder.items():
        if not found.taken.issuperset(files):
            _one_folder(folder, [file for file in files if file not in found.taken], names, found)
    _folders_of_stems(by_folder, names, found)
    for folder, files in by_folder.items():
        _side_by_side([file for file in files if file not in found.taken], names, found)
        _without_voice(folder, [file for file in files if file not in found.taken], names, found)
    _mixes_of_stems(by_folder, names, found)
    _by_another_model(found)
    return found


def _medleydb(by_folder: dict[str, list[str]], metadata: dict[str, str], found: Found) -> None:
    """`metadata`: those of each song by its name; they lie with the song, or all together elsewhere."""
    for folder in list(by_folder):
        if not folder.casefold().endswith("_stems"):
            continue
        song = _folder(folder)
        raw = [file for other in by_folder if _folder(other) == song for file in by_folder[other]]
        beside = [file for file in by_folder.get(song, []) if named(file).role == "mix"]
        beside += [file for file in by_folder.get(song, []) if stem_of(file).casefold().endswith("_mix")]
        files = tuple(dict.fromkeys([*raw, *beside]))
        name = folder.rpartition("/")[2].casefold().removesuffix("_stems")
        if name in metadata:
            found.add(StemsSong(song, unknown=tuple(by_folder[folder]), metadata=metadata[name], files=files))
        else:
            found.no_voice.append(folder)
            found.taken.update(files)


def _one_folder(folder: str, files: list[str], names: dict[str, Named], found: Found) -> None:
    """A song whose stems are the files of one folder."""
    whole_names = {file: names[file].role for file in files if not names[file].song}
    voices = [file for file in files if whole_names.get(file) == "voice"]
    plain = {stem_of(file).casefold(): file for file in files}
    numbered = {CCMIXTER_BAND, CCMIXTER_VOICE}
    if numbered <= plain.keys() and len(plain.keys() - numbered - {"mix"}) == 0:
        found.add(StemsSong(folder, (plain[CCMIXTER_VOICE],), (plain[CCMIXTER_BAND],), files=tuple(files)))
        return
    parts = [file for file in files if whole_names.get(file) in ("instrument", "whole")]
    known = len(whole_names) >= len(files) / 2
    if "vocals" in plain or (voices and parts and known):
        found.add(
            _song(folder, files, {file: names[file].role if not names[file].song else None for file in files})
        )


def _song(place: str, files: list[str], roles: dict[str, str | None]) -> StemsSong:
    wholes = [file for file in files if roles[file] == "whole"]
    parts = [file for file in files if roles[file] == "instrument"]
    unknown = [file for file in files if roles[file] is None]
    return StemsSong(
        place,
        voices=tuple(file for file in files if roles[file] == "voice"),
        accompaniment=tuple(wholes[:1] or parts),
        unknown=() if wholes else tuple(unknown),
        files=tuple(files),
    )


def _folders_of_stems(by_folder: dict[str, list[str]], names: dict[str, Named], found: Found) -> None:
    """Songs with a folder a stem: files of one song, or of many that have the same names in each."""
    below: dict[str, list[str]] = defaultdict(list)
    for folder, files in by_folder.items():
        if folder and not found.taken.issuperset(files):
            below[_folder(folder)].append(folder)
    for parent, folders in below.items():
        roles = {folder: named(folder) for folder in folders}
        stems = [folder for folder in folders if roles[folder].role and not roles[folder].song]
        voices = [folder for folder in stems if roles[folder].role == "voice"]
        others = [folder for folder in stems if roles[folder].role in ("instrument", "whole")]
        if not others or (not voices and len(others) < 2):
            continue
        files = [file for folder in stems for file in by_folder[folder] if file not in found.taken]
        same: dict[str, list[str]] = defaultdict(list)
        for file in files:
            same[names[file].song or folded(stem_of(file))].append(file)
        shared = [group for group in same.values() if len({_folder(file) for file in group}) > 1]
        if not any(_folder(file) in voices for group in shared for file in group):
            shared = []  # names such as "1.wav" in two folders of instruments say nothing
        few = all(len(by_folder[folder]) <= MOST_FILES_A_STEM for folder in stems)
        whole = any(roles[folder].role == "whole" for folder in others)
        if not voices:
            if few:
                found.no_voice.append(parent)
                found.taken.update(files)
        elif shared or whole or not few:
            for group in shared:
                by_role = {file: roles[_folder(file)].role for file in group}
                voice = [file for file in group if by_role[file] == "voice"]
                if voice and len(voice) < len(group):
                    found.add(_song(voice[0], group, dict(by_role)))
            found.alone += [file for file in files if file not in found.taken and _folder(file) in voices]
            found.taken.update(file for file in files if _folder(file) in voices)
        else:
            found.add(_song(parent, files, {file: roles[_folder(file)].role for file in files}))


def _side_by_side(files: list[str], names: dict[str, Named], found: Found) -> None:
    """Songs whose stems lie in one folder with those of others, told by what their names share."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        if names[file].role and names[file].song:
            groups[names[file].song].append(file)
    for song, group in groups.items():
        roles = {file: names[file].role for file in group}
        voices = [file for file in group if roles[file] == "voice"]
        if voices and any(role in ("instrument", "whole") for role in roles.values()):
            mixes = [
                file for file in files if names[file].role is None and _begins_with(song, names[file].song)
            ]
            found.add(_song(voices[0], group, dict(roles)))
            found.mixes += mixes
            found.taken.update(mixes)
        else:
            alone = [file for file in voices if names[file].bracketed]
            found.alone += alone
            found.taken.update(alone)


def _without_voice(folder: str, files: list[str], names: dict[str, Named], found: Found) -> None:
    """Stems of instruments alone: each file is one, or a mix of them."""
    mixes = [file for file in files if names[file].role == "mix" and not names[file].song]
    parts = [file for file in files if names[file].role in ("instrument", "whole") and not names[file].song]
    parts += [file for file in files if NUMBERED.fullmatch(stem_of(file))]
    of_stems = folded(folder.rpartition("/")[2]) in FOLDERS_OF_STEMS
    if files and len(mixes) + len(parts) == len(files) and len(parts) >= (1 if of_stems else 2):
        found.no_voice.append(folder)
        found.taken.update(files)


def _mixes_of_stems(by_folder: dict[str, list[str]], names: dict[str, Named], found: Found) -> None:
    """Mixes beside a folder of stems ("mix.flac", "stems/"), or named as a song of which the stems are there."""
    places = {song.place for song in found.songs} | set(found.no_voice)
    parents = {_folder(place) for place in places if folded(place.rpartition("/")[2]) in FOLDERS_OF_STEMS}
    namesakes = {place.rpartition("/")[2] for place in places}
    named_so: dict[str, list[str]] = defaultdict(list)
    for place in places:
        own = names[place].song if place in names else place.rpartition("/")[2]
        named_so[_title(own)].append(place)
    for folder, files in by_folder.items():
        for file in files:
            if file in found.taken:
                continue
            if names[file].role == "mix" and not names[file].song:
                is_mix = folder in parents or folder.rpartition("/")[2] in namesakes
            else:
                title = _title(stem_of(file))
                of_folder = folder in parents and bool(folder) and title == _title(folder.rpartition("/")[2])
                is_mix = of_folder or any(
                    _is_below(place, folder) or title.count(" ") >= DISTINCT_WORDS - 1
                    for place in named_so.get(title, [])
                )
            if is_mix:
                found.mixes.append(file)
                found.taken.add(file)


def _by_another_model(found: Found) -> None:
    """Of stems that several models made of one song ("htdemucs/Song/", "mdx_extra/Song/") the first stay."""
    kept: dict[tuple[str, str], StemsSong] = {}
    for song in list(found.songs):
        above, _, name = song.place.rpartition("/")
        if MODEL.fullmatch(above.rpartition("/")[2]) is None:
            continue
        if (_folder(above), name) in kept:
            found.songs.remove(song)
            found.again.append(song.place)
        else:
            kept[_folder(above), name] = song


def _title(name: str) -> str:
    """The words of a song's name, without those that say that it is its mix."""
    words = words_of(name)
    return " ".join(word for word in words if word not in OF_MIXES) or " ".join(words)


def _is_below(place: str, folder: str) -> bool:
    return not folder or place.startswith(f"{folder}/")


def _begins_with(song: str, mix: str) -> bool:
    """Whether stems of this name are those of a mix of that: "1_Song" (UVR counts) or "Song model" of "Song"."""
    number, _, rest = song.partition(" ")
    return any(f"{name} ".startswith(f"{mix} ") for name in (song, rest if number.isdigit() else song))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
