"""What a network is told of a song beside the latents of its vocals: lead sheet, features, an arrangement.

A rendered song's lead sheet lies beside its stems; the energy is heard in its accompaniment. A real song's is
estimated later, out of its latents (`samuel.popdb.completing`). The arrangement is made by
rules, in another style and from other draws than the accompaniment: from it a network learns what rules do not know.
"""

import hashlib
import json
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samuel.arranging import SoundFontSynthesiser, play
from samuel.arranging.soundfont import SHIPPED
from samuel.codec import Codec
from samuel.config import CHUNK_FRAMES, CHUNK_SECONDS, SAMPLE_RATE
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.energy import energy_of
from samuel.popdb.schema import LEAST_BEATS, Guides
from samuel.rendering.song import ANNOTATIONS
from samuel.storage import as_path, exists, read_bytes
from samuel.vocals import extract_features


def annotated_sheet(folder: str, accompaniment: Float[Tensor, "2 samples"]) -> LeadSheet | None:
    """The lead sheet in the annotations of a stems folder, with the energy of its accompaniment; None where none is.

    Raises LeadSheetError for annotations that are no lead sheet.
    """
    path = as_path(folder) / ANNOTATIONS
    if not exists(path):
        return None
    sheet = LeadSheet.from_dict(json.loads(read_bytes(path)))
    return replace(sheet, energy=energy_of(accompaniment))


def guides_of(
    sheet: LeadSheet | None, vocals: Float[Tensor, "2 samples"], codec: Codec, count: int, song_id: str
) -> Guides:
    """Of the first `count` chunks of a song. `vocals` are in their normal form."""
    voice = extract_features(vocals)
    features = voice.frames(count * CHUNK_FRAMES)
    features = features.reshape(len(features), count, CHUNK_FRAMES).swapaxes(0, 1).astype(np.float16)
    if sheet is None:
        return Guides(features=features)
    parts = [sheet.between(n * CHUNK_SECONDS, (n + 1) * CHUNK_SECONDS).to_json() for n in range(count)]
    if len(sheet.beats) < LEAST_BEATS:
        return Guides(parts, features)
    seed = int(hashlib.sha256(f"arrangement:v1:{song_id}".encode()).hexdigest()[:8], 16)
    seconds = vocals.shape[-1] / SAMPLE_RATE
    audio = play(replace(sheet, style=""), seconds=seconds, seed=seed, voice=voice, soundfont=_synthesiser())
    latents = codec.encode(torch.from_numpy(audio)[None])[0, :, : count * CHUNK_FRAMES]
    chunks = latents.unflatten(1, (count, CHUNK_FRAMES)).transpose(0, 1)
    return Guides(parts, features, chunks.to("cpu", torch.float16).contiguous().numpy())


@cache
def _synthesiser() -> SoundFontSynthesiser:
    return SoundFontSynthesiser(SHIPPED)  # the same data on every machine, whatever is installed there
