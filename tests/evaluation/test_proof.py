"""The proof tells a band that follows from one that does not."""

import numpy as np
import pytest

from samuel.evaluation.features import audio_features
from samuel.evaluation.proof import ProofRecords, prove, table, verdict
from samuel.evaluation.record import TrackRecord
from samuel.evaluation.reference import ReferenceAnnotations
from samuel.evaluation.trial import Variation, parse_variation
from tests.evaluation import signals

SONGS = {"a": (0, 0.5), "b": (1, 0.42), "c": (5, 0.61), "d": (8, 0.37)}
NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


@pytest.fixture(scope="module")
def bands() -> dict[str, TrackRecord]:
    nothing = np.zeros((0, 256), dtype=np.float32)
    return {
        name: TrackRecord(16.0, {}, audio_features(signals.band(16.0, key, beat)), nothing)
        for name, (key, beat) in SONGS.items()
    }


@pytest.fixture(scope="module")
def references(bands: dict[str, TrackRecord]) -> dict[str, ReferenceAnnotations]:
    return {
        name: ReferenceAnnotations(
            signals.beats(16.0, beat),
            transposed(signals.chords(16.0, beat), key),
            f"{NAMES[key]} major",
            bands[name].features,
        )
        for name, (key, beat) in SONGS.items()
    }


def transposed(chords: tuple, key: int) -> tuple:
    def move(name: str) -> str:
        root, quality = name.split(":")
        return f"{NAMES[(NAMES.index(root) + key) % 12]}:{quality}"

    return tuple((start, stop, move(name)) for start, stop, name in chords)


def test_the_true_band_closes_all_and_another_song_s_nothing(
    bands: dict[str, TrackRecord], references: dict[str, ReferenceAnnotations]
) -> None:
    turned = dict(zip(SONGS, [*list(bands.values())[1:], next(iter(bands.values()))], strict=True))
    follows = {one.metric.column: one for one in prove(ProofRecords(bands, bands, bands), references)}
    strays = {one.metric.column: one for one in prove(ProofRecords(bands, bands, turned), references)}
    assert "rests" not in follows  # these songs have none
    for column in ("chord_fit", "chord_accuracy", "key_fit", "accent"):
        assert follows[column].closed.mean == pytest.approx(1)
        assert follows[column].margin.low > 0
        assert strays[column].closed.mean < 0.4
        assert strays[column].margin.mean < 0.2


def test_the_table_has_every_measure_and_the_verdict_says_what_it_means(
    bands: dict[str, TrackRecord], references: dict[str, ReferenceAnnotations]
) -> None:
    results = prove(ProofRecords(bands, bands, bands), references)
    assert len(table(results)) == 2 + len(results)
    (line,) = [line for line in verdict(results) if "chord fit" in line]
    assert "beat another song's" in line
    assert "close 100% of the distance (half or more)" in line


def test_one_thing_is_changed_at_a_time() -> None:
    base = Variation(guidance=3.0)
    changed = parse_variation("steps=50", base)
    assert (changed.name, changed.steps, changed.guidance) == ("steps=50", 50, 3.0)
    assert parse_variation("guidance=1, quality=best", base).quality == "best"
    for wrong in ("speed=3", "steps", "steps=many", "quality=superb", "guidance=nan"):
        with pytest.raises(ValueError, match=r"expected|KEY=VALUE"):
            parse_variation(wrong, base)
