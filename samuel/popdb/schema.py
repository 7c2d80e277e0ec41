"""A row of POPDB and what it carries: one pair, 47.55 s of vocals and accompaniment as latents.

Beside them, where they are known: the pair's part of the lead sheet as JSON, features of its vocals, and the
latents of an arrangement of the lead sheet. POPDBs from before have none of these columns, and are read without.

Latents are half precision, channel-major: `row.reshape(64, 1024)`. They are as the codec gives
them, not normalized: statistics belong to a training run, which alone knows its training split.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float16

from samuel import __version__
from samuel.catalogue.songs import Song, split_of
from samuel.config import CHUNK_FRAMES, CHUNK_SECONDS, LATENT_CHANNELS, SAMPLE_RATE
from samuel.separation import licence_of
from samuel.vocals import AS_RECORDED, FEATURE_CHANNELS

Latents = Float16[np.ndarray, f"pair {LATENT_CHANNELS} {CHUNK_FRAMES}"]

Features = Float16[np.ndarray, f"pair {FEATURE_CHANNELS} {CHUNK_FRAMES}"]

LATENTS_TYPE = pa.list_(pa.float16(), LATENT_CHANNELS * CHUNK_FRAMES)
FEATURES_TYPE = pa.list_(pa.float16(), FEATURE_CHANNELS * CHUNK_FRAMES)

GUIDE_COLUMNS = {"lead_sheet": pa.string(), "features": FEATURES_TYPE, "arrangement": LATENTS_TYPE}
"""Columns that may be null, and may be added later."""

LEAST_BEATS = 2
"""Of a song's lead sheet, for an arrangement."""


class PopdbError(ValueError):
    """The data set is not what was asked for: says what was expected, what is there, what to do."""


class EmptySplit(PopdbError):
    """A split without songs, which a POPDB of few songs may have."""


@dataclass(frozen=True)
class Identity:
    """What made the latents of a POPDB. Two that differ never share a folder (`version` may)."""

    codec: str
    """Name and hash of the weights, as in `mini@0123456789ab`."""
    separator: str
    """Likewise. Songs that came as stems were not separated; their `source` is a folder."""
    sample_rate: int = SAMPLE_RATE
    chunk_frames: int = CHUNK_FRAMES
    version: str = __version__
    vocals: str = AS_RECORDED
    """The form that vocals were brought to before they were encoded: `samuel.vocals.NORMAL_FORM`."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Identity":
        return cls(**json.loads(text))

    def require_equal(self, other: "Identity", where: str) -> None:
        """Raise `PopdbError` where `other` would make latents that do not belong beside these."""
        for field, fix in (
            ("codec", "--codec"),
            ("separator", "--separator"),
            ("sample_rate", "the version of samuel"),
            ("chunk_frames", "the version of samuel"),
            ("vocals", "the version of samuel"),
        ):
            there, asked = getattr(self, field), getattr(other, field)
            if there != asked:
                raise PopdbError(
                    f"{where} holds latents of {field} {there!r}, this run would add {asked!r}; "
                    f"mixed latents train nothing. Use the same {fix}, or another --out"
                )


def schema(identity: Identity) -> pa.Schema:
    """Columns of a shard, and `identity` as metadata under `samuel.*` keys, with the licence of the separator's weights."""
    return pa.schema(
        [
            ("song_id", pa.string()),
            ("chunk", pa.int32()),
            ("start_seconds", pa.float64()),
            ("title", pa.string()),
            ("artist", pa.string()),
            ("source", pa.string()),
            ("split", pa.string()),
            ("vocal_activity", pa.float32()),
            ("vocals", LATENTS_TYPE),
            ("accompaniment", LATENTS_TYPE),
            ("lead_sheet", pa.string()),
            ("features", FEATURES_TYPE),
            ("arrangement", LATENTS_TYPE),
        ],
        metadata={f"samuel.{key}": str(value) for key, value in asdict(identity).items()}
        | {"samuel.separator_licence": licence_of(identity.separator)},
    )


def identity_of(metadata: dict[bytes, bytes] | None, where: str) -> Identity:
    """The identity that `schema` put into a file's metadata."""
    texts = {key.decode(): value.decode() for key, value in (metadata or {}).items()}
    try:
        return Identity(
            codec=texts["samuel.codec"],
            separator=texts["samuel.separator"],
            sample_rate=int(texts["samuel.sample_rate"]),
            chunk_frames=int(texts["samuel.chunk_frames"]),
            version=texts["samuel.version"],
            vocals=texts.get("samuel.vocals", AS_RECORDED),
        )
    except KeyError as missing:
        raise PopdbError(f"{where} is no shard of a POPDB: its metadata lacks {missing}") from missing


@dataclass(frozen=True)
class Guides:
    """What a network may be told of each pair beside its vocals; None is not known."""

    lead_sheets: list[str] | None = None
    """`LeadSheet.to_json` of each pair's part of the song, on a clock that begins with the pair."""
    features: Features | None = None
    """`samuel.vocals.features` of each pair's frames."""
    arrangement: Latents | None = None
    """Latents of an arrangement of the lead sheet, by rules, in another style and sound than the accompaniment."""


NO_GUIDES = Guides()


def pairs_table(
    song: Song,
    identity: Identity,
    vocals: Latents,
    accompaniment: Latents,
    vocal_activity: Sequence[float],
    guides: Guides = NO_GUIDES,
) -> pa.Table:
    """All pairs of one song, in order. `vocal_activity`: share of frames with vocals, per pair."""
    count = len(vocals)
    columns = [
        pa.array([song.song_id] * count, pa.string()),
        pa.array(range(count), pa.int32()),
        pa.array([chunk * CHUNK_SECONDS for chunk in range(count)], pa.float64()),
        *(pa.array([text] * count, pa.string()) for text in (song.title, song.artist, song.source)),
        pa.array([split_of(song.song_id)] * count, pa.string()),
        pa.array(vocal_activity, pa.float32()),
        _lists(vocals, LATENTS_TYPE, count),
        _lists(accompaniment, LATENTS_TYPE, count),
        *_guide_columns(guides, count),
    ]
    return pa.Table.from_arrays(columns, schema=schema(identity))


def guides_table(song_id: str, chunks: Sequence[int], guides: Guides) -> pa.Table:
    """What is known of the pairs of one song beside their latents."""
    columns = [
        pa.array([song_id] * len(chunks)),
        pa.array(chunks, pa.int32()),
        *_guide_columns(guides, len(chunks)),
    ]
    return pa.table(columns, names=["song_id", "chunk", *GUIDE_COLUMNS])


def _guide_columns(guides: Guides, count: int) -> list[pa.Array]:
    """As `GUIDE_COLUMNS` has them."""
    return [
        pa.array(guides.lead_sheets, pa.string()) if guides.lead_sheets else pa.nulls(count, pa.string()),
        _lists(guides.features, FEATURES_TYPE, count),
        _lists(guides.arrangement, LATENTS_TYPE, count),
    ]


def _lists(array: np.ndarray | None, kind: pa.DataType, count: int) -> pa.Array:
    if array is None:
        return pa.nulls(count, kind)
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), kind.list_size)
