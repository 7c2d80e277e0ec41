"""One song of a proof: its true accompaniment, the codec's round trip, and what a generator makes of its vocals.

A variation is a generator with all that may be changed one at a time: checkpoint, codec, quality, steps, guidance,
seed. Audio and records are kept by song and variation, so that nothing is made or heard twice.
"""

import dataclasses
import hashlib
import io
from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from samuel import audio
from samuel.codec import Codec, load_codec
from samuel.config import SAMPLE_RATE
from samuel.evaluation.record import FORMAT, Listener, Record, load
from samuel.evaluation.truth import Truth, estimated, from_annotations
from samuel.generation import PRETRAINED, Generator, Recipe
from samuel.separation import Separator, Stems, load_separator, split_stems
from samuel.songs import Song, stem_files
from samuel.storage import exists, join, read_bytes, write_atomic

MAX_SECONDS = 900.0


@dataclass(frozen=True)
class Variation:
    """A generator and a recipe. Raises ValueError, by `Recipe`, for values out of range."""

    name: str = "as given"
    checkpoint: str = str(PRETRAINED)
    codec: str = "mini"
    quality: str = "standard"
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0

    @property
    def recipe(self) -> Recipe:
        return Recipe(quality=self.quality, seed=self.seed, guidance=self.guidance, steps=self.steps)


def parse_variation(text: str, base: Variation) -> Variation:
    """ "steps=50" or "guidance=1,steps=50": the base with what is named changed. Raises ValueError."""
    kinds = {"checkpoint": str, "codec": str, "quality": str, "steps": int, "guidance": float, "seed": int}
    changes: dict[str, object] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        try:
            changes[key] = kinds[key](value)
        except (KeyError, ValueError):
            raise ValueError(
                f"expected KEY=VALUE of {', '.join(kinds)}, such as steps=50 or guidance=1; got {part!r}"
            ) from None
        assert equals
    variation = dataclasses.replace(base, name=text, **changes)  # type: ignore[arg-type]
    if not isfinite(variation.guidance or 0.0):
        raise ValueError(f"expected a finite guidance, got {text!r}")
    _ = variation.recipe
    return variation


def fingerprint(generator: Generator, variation: Variation, seconds: float) -> str:
    """Of all that decides what is generated: weights, codec, recipe, and the length of the excerpts."""
    recipe = variation.recipe  # resolved: a default may change while audio made with the old one lies there
    digest = hashlib.sha256(
        f"{generator.codec.identity} {recipe.sampling} {recipe.seed} {seconds:g}".encode()
    )
    for name, tensor in sorted(generator.trained.model.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


class Trial:
    """Makes and hears what `proof` compares; its models are loaded when a song first needs them.

    `fingerprints` belong to `variations`, one each.
    """

    def __init__(
        self,
        out: str,
        variations: tuple[Variation, ...],
        fingerprints: tuple[str, ...],
        seconds: float,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.out, self.seconds, self.device = out, seconds, device
        self.variations = dict(zip(fingerprints, variations, strict=True))
        self.listener = Listener("none", device)
        self.generators: dict[tuple[str, str], Generator] = {}
        self.separator: Separator | None = None

    def __call__(self, song: Song) -> None:
        """Make and hear all that is missing of a song. Raises ValueError for a song without sound."""
        stems: Stems | None = None
        wanted = ["truth", *(f"codec-{name}" for name in self.codecs()), *self.variations]
        for what in wanted:
            if exists(self.record_path(song.song_id, what)):
                continue
            stems = stems or self.stems(song)
            made = self.made(song.song_id, what, stems)
            write_atomic(self.record_path(song.song_id, what), self.listener.listen(made).to_bytes())

    def codecs(self) -> dict[str, str]:
        """Codecs in use, by a name that can be part of a file's."""
        names = dict.fromkeys(variation.codec for variation in self.variations.values())
        return {hashlib.sha256(name.encode()).hexdigest()[:8]: name for name in names}

    def made(self, song_id: str, what: str, stems: Stems) -> Float[Tensor, "2 samples"]:
        """The true accompaniment, the codec's round trip, or the generated one, which is kept as FLAC."""
        if what == "truth":
            return stems.accompaniment
        path = self.audio_path(song_id, what)
        if exists(path):
            return load(path, MAX_SECONDS)
        if what in self.variations:
            variation = self.variations[what]
            made = self.generator(variation).accompany(stems.vocals, variation.recipe)
        else:
            codec = self.codec(self.codecs()[what.removeprefix("codec-")])
            made = codec.decode(codec.encode(stems.accompaniment[None]))[0].cpu()[:, : stems.vocals.shape[1]]
        encoded = io.BytesIO()
        audio.write(encoded, made, "flac")
        write_atomic(path, encoded.getvalue())
        return audio.decode(io.BytesIO(encoded.getvalue()))  # as it is kept

    def stems(self, song: Song) -> Stems:
        """Vocals and accompaniment of the middle of a song: its stems, or what a separator makes of it."""
        if song.kind == "stems":
            vocals_file, others = stem_files(song.source)
            stems = [load(path, MAX_SECONDS) for path in (vocals_file, *others)]
            shared = min(stem.shape[1] for stem in stems)
            vocals, *rest = (stem[:, :shared] for stem in stems)
            whole = Stems(vocals, torch.stack(rest).sum(dim=0))
        else:
            self.separator = self.separator or load_separator("spleeter", self.device)
            mix = load(song.source, MAX_SECONDS)
            whole = split_stems(self.separator, mix[:, self.part(mix.shape[1])])
            return whole
        part = self.part(whole.vocals.shape[1])
        return Stems(whole.vocals[:, part], whole.accompaniment[:, part])

    def part(self, samples: int) -> slice:
        """The middle `seconds` of a song, or all of it."""
        wanted = round(self.seconds * SAMPLE_RATE)
        start = max(0, (samples - wanted) // 2)
        return slice(start, min(samples, start + wanted))

    def truth(self, song: Song) -> Truth:
        """What is known of the part that is heard; reads records, so call it when they are made."""
        band = self.record(song.song_id, "truth")
        if song.kind != "stems" or not exists(f"{song.source}/annotations.json"):
            return estimated(band.hearing)
        text = read_bytes(f"{song.source}/annotations.json").decode()
        samples = load(stem_files(song.source)[0], MAX_SECONDS).shape[1]
        return from_annotations(text, self.part(samples).start / SAMPLE_RATE, band.seconds, band.hearing)

    def record(self, song_id: str, what: str) -> Record:
        return Record.from_bytes(read_bytes(self.record_path(song_id, what)))

    def record_path(self, song_id: str, what: str) -> str:
        return str(join(self.out, f"records/{what}/{song_id}-{self.seconds:g}s-{FORMAT}.npz"))

    def audio_path(self, song_id: str, what: str) -> str:
        return str(join(self.out, f"audio/{what}/{song_id}-{self.seconds:g}s.flac"))

    def generator(self, variation: Variation) -> Generator:
        key = variation.checkpoint, variation.codec
        if key not in self.generators:
            self.generators[key] = Generator.load(variation.checkpoint, variation.codec, self.device)
        return self.generators[key]

    def codec(self, name: str) -> Codec:
        for (_, codec), generator in self.generators.items():
            if codec == name:
                return generator.codec
        return load_codec(name, self.device)
