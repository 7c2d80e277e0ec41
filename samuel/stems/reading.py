"""The stems of a song as its vocals and its accompaniment: the one home of what is summed, and what is not.

All voices together are the vocals, backing vocals too; the other stems together are the accompaniment. Stems that are
shorter than the longest end in silence. A file that is the sum of others, or a mix with the voice in it, is no stem.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import torch
import yaml
from jaxtyping import Float
from torch import Tensor

from samuel import storage
from samuel.audio import AudioError
from samuel.audio.reading import count_streams, read_audio
from samuel.audio.timeline import Tell
from samuel.config import SAMPLE_RATE
from samuel.separation import Stems
from samuel.stems.content import BLOCK, MOST_SHIFT, Comparison, shift_of, sketch
from samuel.stems.layouts import STEM_FILE_ENDINGS, StemsSong, find_stems
from samuel.stems.names import role_of, stem_of, words_of
from samuel.storage.audio_names import UNREADABLE_AUDIO, extension, is_audio, is_hidden

VOICE = "the voice"
MUSDB18_STREAMS = ("drums", "bass", "other", "vocals")
"""What follows the mix in MUSDB18's files (Rafii et al., 2017)."""

STEM_BOX = re.compile(rb'stem(\{[^\0]*?"stems"[^\0]*\})')
BEST_FIRST = ("wav", "wave", "w64", "rf64", "bwf", "aif", "aiff", "caf", "flac", "wv", "tta", "ape")
COMPARED_SAMPLES = 120 * SAMPLE_RATE  # of a mix that is shifted, to find by how much
SHORTER_SECONDS = 0.1  # than the longest, before it is told

Audio = Float[Tensor, "2 samples"]
Read = Callable[[Tell], Audio]


def stems_at(place: str) -> StemsSong:
    """The stems that `find_stems` found at a place, their files as absolute paths or URLs.

    Raises ValueError where there are none any more, and StorageError.
    """
    place = storage.absolute(place)
    if place.casefold().endswith(STEM_FILE_ENDINGS):
        return StemsSong(place, files=(place,))
    above = [place.rsplit("/", count)[0] for count in (1, 2)]
    here: list[str] = []
    if storage.kind_of(place) == "directory":
        listed = _visible(place)
        here = [name for name in listed if is_audio(name)]
        if unreadable := [name for name in listed if extension(name) in UNREADABLE_AUDIO]:
            raise ValueError(f"{_names(unreadable)} in {place} cannot be read: convert it to FLAC or WAV")
        if song := _found(place, "", listed):
            return song
        if not any(name.rpartition("/")[0].casefold().endswith("_stems") for name in here):
            above = []  # else MedleyDB's metadata may lie there
    for root in above:  # beside others, or in a folder a stem
        listed = _visible(root)
        here = here or [name for name in listed if is_audio(name)]
        if song := _found(root, place[len(root) :].lstrip("/"), listed):
            return song
    raise ValueError(
        f"expected in a stems folder vocals.<ext> and at least one other audio file, found {sorted(here)[:20]} in "
        f"{place}; add what is missing"
    )


def _visible(root: str) -> list[str]:
    return [file.name for file in storage.list_files(root).files if not is_hidden(file.name)]


def _found(root: str, wanted: str, listed: list[str]) -> StemsSong | None:
    """The song at `wanted` below a folder, with absolute paths."""
    songs = find_stems([name for name in listed if is_audio(name)], listed).songs
    return next((_absolute(song, root) for song in songs if song.place == wanted), None)


def read_stems(place: str, *, max_seconds: float | None = None, tell: Tell = lambda _: None) -> Stems:
    """The vocals and the accompaniment at a place that `find_stems` found, of one length.

    `tell` is called with a sentence for each file that is left out, is damaged, or ends early. Raises ValueError
    (AudioError) where one of them is missing, and StorageError.
    """
    song = stems_at(place)

    def reader(path: str, stream: int = 0) -> Read:
        return lambda told: read_audio(path, max_seconds=max_seconds, stream=stream, tell=told)

    if song.place.casefold().endswith(STEM_FILE_ENDINGS):
        names = _streams(song.place)
        roles = {name: role_of(words_of(name)) for name in names.values()}
        voices = [name for name, role in roles.items() if role == "voice"]
        others = [name for name, role in roles.items() if role not in ("voice", "click")]
        readers = {name: reader(song.place, stream) for stream, name in names.items()}
        return _sum(place, voices, others, [], readers, tell)
    if song.metadata:
        song = _by_metadata(song, tell)
    voices, others, unknown = (
        _without_namesakes(part, tell) for part in (song.voices, song.accompaniment, song.unknown)
    )
    readers = {path: reader(path) for path in (*voices, *others, *unknown)}
    return _sum(place, voices, [*others, *unknown], unknown, readers, tell)


def _sum(
    place: str,
    voices: Sequence[str],
    others: Sequence[str],
    unknown: Sequence[str],
    readers: dict[str, Read],
    tell: Tell,
) -> Stems:
    if not voices or not others:
        missing, there = ("a voice", others) if not voices else ("the accompaniment", voices)
        raise ValueError(
            f"expected stems of a voice (vocals.<ext>) and at least one other audio file, found none of {missing} in "
            f"{place}, only {', '.join(_name(file) for file in there)}; add what is missing"
        )
    sketches: dict[str, Tensor] = {}
    lengths: dict[str, int] = {}

    def summed(files: Sequence[str], first: bool) -> Audio:
        total = torch.zeros(2, 0)
        for file in files:
            audio = _read(file, readers[file], tell if first else lambda _: None)
            if first:
                sketches[file], lengths[file] = sketch(audio), audio.shape[1]
            if audio.shape[1] > total.shape[1]:
                total = torch.nn.functional.pad(total, (0, audio.shape[1] - total.shape[1]))
            total[:, : audio.shape[1]] += audio
        return total

    vocals, accompaniment = summed(voices, True), summed(others, True)
    sketches[VOICE] = sketch(vocals)
    as_they_are = Comparison(sketches)
    for file in unknown:
        rest = [sketches[other] for other in (VOICE, *others) if other != file]
        if steps := shift_of(sketches[file], _total(rest), MOST_SHIFT):
            audio = summed([file], False)
            all_else = _total([vocals, accompaniment, -audio])[:, :COMPARED_SAMPLES]
            shift = shift_of(audio[:, :COMPARED_SAMPLES], all_else, (abs(steps) + 2) * BLOCK)
            sketches[file] = sketch(_earlier(audio, shift))
    compared = Comparison(sketches)
    sung = _not_in_others(voices, compared, as_they_are.copies(voices), tell)
    if len(sung) < len(voices):
        vocals = summed(sung, False)
        sketches[VOICE] = sketch(vocals)
        compared = Comparison(sketches)
    played = _without_mixes(others, unknown, compared, tell)
    copies = as_they_are.copies(played)
    copies = {
        copy: one for copy, one in copies.items() if copy in unknown or _instrument(copy) == _instrument(one)
    }
    played = _not_in_others(played, compared, copies, tell)
    if not played:
        raise ValueError(
            f"expected the accompaniment in {place}, found the voice and a mix of both; add the stems of the band"
        )
    if len(played) < len(others):
        accompaniment = summed(played, False)
    _tell_lengths({file: lengths[file] for file in (*sung, *played)}, tell)
    length = max(vocals.shape[1], accompaniment.shape[1])
    vocals, accompaniment = (
        torch.nn.functional.pad(audio, (0, length - audio.shape[1])) for audio in (vocals, accompaniment)
    )
    return Stems(vocals, accompaniment)


def _total(parts: Sequence[Tensor]) -> Tensor:
    """The sum of sounds that may differ in length."""
    total = torch.zeros(2, max(part.shape[1] for part in parts))
    for part in parts:
        total[:, : part.shape[1]] += part
    return total


def _earlier(audio: Tensor, samples: int) -> Tensor:
    """The sound so many samples earlier; later, after silence, where they are negative."""
    return audio[:, samples:] if samples >= 0 else torch.nn.functional.pad(audio, (-samples, 0))


def _instrument(file: str) -> list[str]:
    """The words of a name without its numbers and "copy": two instruments that sound the same are two."""
    return [word for word in words_of(stem_of(file)) if not word.isdigit() and word != "copy"]


def _not_in_others(
    files: Sequence[str], compared: Comparison, copies: dict[str, str], tell: Tell
) -> list[str]:
    """The files without copies of others, and without those that are the sum of others."""
    for copy, original in copies.items():
        tell(f"{_name(copy)} is left out: it is the same as {_name(original)}")
    rest = [file for file in files if file not in copies]
    sums = compared.sums(rest)
    for whole, parts in sums.items():
        tell(f"{_name(whole)} is left out: it is the sum of {_names(parts)}")
    return [file for file in rest if file not in sums]


def _without_mixes(
    files: Sequence[str], unknown: Sequence[str], compared: Comparison, tell: Tell
) -> list[str]:
    mixes, doubtful = compared.with_voice(VOICE, files)
    for mix in mixes:
        tell(f"{_name(mix)} is left out: it is a mix with the voice in it")
    whole = [file for file in doubtful if file in unknown or len(files) - len(mixes) == 1]
    if whole:
        raise AudioError(
            f"{_name(whole[0])} holds the voice, too: expected stems whose sum is the accompaniment; "
            "if it is the mix, move it elsewhere or name it mix"
        )
    return [file for file in files if file not in mixes]


def _read(file: str, read: Read, tell: Tell) -> Audio:
    try:
        return read(lambda sentence: tell(f"{_name(file)}: {sentence}"))
    except AudioError as error:
        raise type(error)(f"{_name(file)}: {error}") from error


def _tell_lengths(samples: dict[str, int], tell: Tell) -> None:
    longest = max(samples.values())
    short = {file: (longest - length) / SAMPLE_RATE for file, length in samples.items()}
    short = {file: seconds for file, seconds in short.items() if seconds > SHORTER_SECONDS}
    if short:
        ends = ", ".join(f"{_name(file)} {seconds:.2f} s" for file, seconds in list(short.items())[:5])
        tell(f"stems differ in length: silence follows those that end before the longest ({ends})")


def _without_namesakes(files: Iterable[str], tell: Tell) -> list[str]:
    """One of each name, where a stem is there in several formats."""
    best: dict[str, str] = {}
    for file in sorted(files, key=_rank):
        name = file.rpartition("/")[0] + "/" + stem_of(file).casefold()
        if name in best:
            tell(f"{_name(file)} is left out: {_name(best[name])} is the same stem")
        else:
            best[name] = file
    return sorted(best.values())


def _rank(file: str) -> tuple[int, str]:
    kind = extension(file)
    return (BEST_FIRST.index(kind) if kind in BEST_FIRST else len(BEST_FIRST), file)


def _streams(path: str) -> dict[int, str]:
    """The stems in a file of several streams, which begins with their mix: stream -> name."""
    count = count_streams(path)
    found = STEM_BOX.search(storage.read_bytes(path))
    names: list[str] = []
    if found:
        try:
            box: Any = json.JSONDecoder().raw_decode(found[1].decode("utf-8", "replace"))[0]
            names = [str(stem["name"]) for stem in box["stems"]]
        except (ValueError, KeyError, TypeError):
            names = []
    if len(names) != count - 1 or not any(role_of(words_of(name)) == "voice" for name in names):
        names = list(MUSDB18_STREAMS)
    if len(names) != count - 1:
        raise AudioError(
            f"expected a mix and its four stems (drums, bass, other, vocals) in {path}, found {count} audio streams"
        )
    names = [
        f"{name} (stream {number})" if names.count(name) > 1 else name for number, name in enumerate(names, 1)
    ]
    return dict(enumerate(names, start=1))


def _by_metadata(song: StemsSong, tell: Tell) -> StemsSong:
    """MedleyDB: which of the stems are voices, by the song's METADATA.yaml."""
    try:
        metadata = yaml.safe_load(storage.read_bytes(song.metadata).decode("utf-8", "replace"))
        listed = {
            str(stem["filename"]): stem["instrument"]
            for stem in metadata["stems"].values()
            if stem.get("filename")
        }
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{song.metadata} is no metadata of MedleyDB: {error}") from error
    sung: list[str] = []
    played: list[str] = []
    for file in song.unknown:
        instruments = listed.get(PurePosixPath(file).name, "")
        instruments = instruments if isinstance(instruments, list) else [instruments]
        (sung if any(role_of(words_of(str(one))) == "voice" for one in instruments) else played).append(file)
    if not sung:
        raise ValueError(
            f"no voice among the stems of {song.place}: {song.metadata} lists {_names(listed.values())}"
        )
    if metadata.get("has_bleed") in (True, "yes"):
        tell("its stems hear each other (has_bleed in its metadata)")
    return StemsSong(song.place, tuple(sung), tuple(played), files=song.files)


def _absolute(song: StemsSong, root: str) -> StemsSong:
    def here(paths: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{root}/{path}" for path in paths)

    return StemsSong(
        f"{root}/{song.place}".rstrip("/"),
        here(song.voices),
        here(song.accompaniment),
        here(song.unknown),
        f"{root}/{song.metadata}" if song.metadata else "",
        here(song.files),
    )


def _name(file: str) -> str:
    return file.rpartition("/")[2]


def _names(files: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(_name(str(file)) for file in files))
