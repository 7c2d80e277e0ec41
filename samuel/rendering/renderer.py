"""Score files -> songs on disk: the whole rendering as one object that reports what became of each score."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from samuel.arranging.soundfont import SHIPPED, SoundFontSynthesiser
from samuel.rendering.library import read_score
from samuel.rendering.mixdown import write_mix
from samuel.rendering.song import ANNOTATIONS, render_song, write_song


@dataclass(frozen=True)
class Options:
    """`out` becomes a stems folder. `mixes`, where given, gets a file SONG.`mix_format` for each song.

    Each song is played with one of `soundfonts`, drawn by seed and song id; without any, with the package's.
    """

    out: Path
    seed: int = 0
    min_seconds: float = 60.0
    max_seconds: float = 240.0
    soundfonts: tuple[Path, ...] = ()
    mixes: Path | None = None
    mix_format: str = "flac"

    def is_done(self, song_id: str) -> bool:
        """Files appear under their names when they are whole, so that being there is being done."""
        mixed = self.mixes is None or (self.mixes / f"{song_id}.{self.mix_format}").is_file()
        return mixed and (self.out / song_id / ANNOTATIONS).is_file()


@dataclass(frozen=True)
class RenderReport:
    """What became of a score: `seconds` of song, or the `error` that kept it from becoming one."""

    song_id: str
    seconds: float = 0.0
    error: str = ""


def load_soundfonts(paths: Iterable[Path]) -> dict[str, SoundFontSynthesiser]:
    """By their file names, which annotations tell; `SHIPPED` for none. Raises ValueError for one that cannot be read,
    and for two of one name."""
    paths = tuple(paths) or (SHIPPED,)
    for name, times in Counter(path.name for path in paths).items():
        if times > 1:
            raise ValueError(f"expected SoundFonts of different names, got {times} named {name}; rename one")
    return {path.name: SoundFontSynthesiser(path) for path in paths}


def drawn_soundfont(names: Iterable[str], seed: int, song_id: str) -> str:
    """The same in any order; one name more changes the draw of those songs alone that it takes."""
    return max(names, key=lambda name: hashlib.sha256(f"{seed}/{song_id}/{name}".encode()).digest())


class Renderer:
    """Holds the SoundFonts; renders one score after another. Raises ValueError as `load_soundfonts` does."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.synthesisers = load_soundfonts(options.soundfonts)

    def __call__(self, song_id: str, score: Path) -> RenderReport:
        """Renders and writes one song. Whatever is wrong with the score is in the report."""
        options = self.options
        try:
            song = render_song(
                read_score(score),
                song_id,
                self.synthesisers[drawn_soundfont(self.synthesisers, options.seed, song_id)],
                seed=options.seed,
                min_seconds=options.min_seconds,
                max_seconds=options.max_seconds,
            )
            if options.mixes is not None:
                options.mixes.mkdir(parents=True, exist_ok=True)
                tags = {"title": song.annotations["title"], "artist": song.annotations["artist"]}
                write_mix(options.mixes / f"{song_id}.{options.mix_format}", song.mix, tags=tags)
            write_song(song, options.out / song_id)
        except Exception as error:  # one bad score must not stop a thousand good ones
            return RenderReport(song_id, error=f"{type(error).__name__}: {error}")
        return RenderReport(song_id, seconds=song.annotations["seconds"])
