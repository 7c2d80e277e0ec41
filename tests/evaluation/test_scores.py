"""From files to a report, without Ray: rows, anchors, shuffles, distances, pages."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from samuel import audio
from samuel.evaluation import report
from samuel.evaluation.anchors import ANCHORS
from samuel.evaluation.efficiency import Timing
from samuel.evaluation.examples import make_examples
from samuel.evaluation.metrics import METRICS
from samuel.evaluation.paper import TABLE_I
from samuel.evaluation.record import FeatureExtractor, TrackRecord
from samuel.evaluation.report import (
    Facts,
    best_and_worst,
    csv_of,
    html,
    markdown,
    parquet_of,
    rows_of,
    tables,
)
from samuel.evaluation.samples import Folder, read_folder
from samuel.evaluation.scores import SCHEMA, EvaluationRecords, frechet_distances, score, values
from tests.evaluation import signals

SONGS = {f"song {key}": {"transpose": key, "beat": 0.4 + 0.03 * key} for key in (0, 2, 5, 7)}


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return FeatureExtractor(previews=True)


@pytest.fixture(scope="module")
def evaluation(extractor: FeatureExtractor) -> EvaluationRecords:
    """ "good" plays each song's chords, "wrong" the next one's; "good" has one file that is no audio."""
    bands = {name: extractor.extract(signals.band(10.0, **song)) for name, song in SONGS.items()}  # type: ignore[arg-type]
    names = list(SONGS)
    wrong = {name: bands[names[(i + 1) % len(names)]] for i, name in enumerate(names)}
    voices = {name: extractor.extract(0.5 * signals.band(10.0, **song)) for name, song in SONGS.items()}  # type: ignore[arg-type]
    broken = extractor(str(Path(__file__)))
    anchors = {name: extractor.extract(make(441_000)) for name, make in ANCHORS.items()}
    return EvaluationRecords(
        {"good": bands | {"broken": broken}, "wrong": wrong},
        voices,
        bands,
        anchors,
        {("good", names[0]): "x.wav"},
    )


def test_the_right_band_scores_above_the_wrong_one_and_every_anchor(evaluation: EvaluationRecords) -> None:
    scores = score(evaluation)
    assert scores.schema == SCHEMA
    means = {
        name: np.nanmean(values(scores, name, "vocals_chroma"))
        for name in dict.fromkeys(scores["system"].to_pylist())
    }
    assert means.pop("the vocals themselves") == pytest.approx(1.0, abs=0.01)
    best = means.pop("good")
    assert best > 0.9
    assert set(means) == {"wrong", "good, shuffled", "wrong, shuffled", "silence", "noise", "click track"}
    assert max(means.values()) < best - 0.3


def test_a_bad_file_is_a_row_with_its_error_and_no_figures(evaluation: EvaluationRecords) -> None:
    scores = score(evaluation)
    (row,) = scores.filter(pc.not_equal(scores["error"], "")).to_pylist()
    assert (row["system"], row["track"]) == ("good", "broken")
    assert "not audio" in row["error"]
    assert all(row[metric.column] is None for metric in METRICS)
    assert scores.num_rows == 5 + 4 + 4 + 4 + 3 * 4 + 4  # systems, their shuffles, anchors, vocals


def test_records_survive_storage(evaluation: EvaluationRecords) -> None:
    record = evaluation.systems["good"]["song 0"]
    again = TrackRecord.from_bytes(record.to_bytes())
    assert again.figures == pytest.approx(record.figures, nan_ok=True)
    assert np.array_equal(again.embedding, record.embedding)
    assert np.allclose(again.features.level, record.features.level, atol=0.05)
    assert again.sound == record.sound
    assert again.picture == record.picture


def test_a_file_has_the_same_scores_whatever_was_heard_before(
    extractor: FeatureExtractor, tmp_path: Path
) -> None:
    audio.write(tmp_path / "1.flac", signals.band(7.0))
    first = extractor(str(tmp_path / "1.flac"))
    extractor.extract(0.1 * torch.randn(2, 44_100 * 5))
    second = FeatureExtractor()(str(tmp_path / "1.flac"))
    assert first.figures == pytest.approx(second.figures, rel=0, abs=0, nan_ok=True)
    assert np.array_equal(first.embedding, second.embedding)
    for name, array in first.features.arrays().items():
        assert np.array_equal(array, second.features.arrays()[name]), name


def test_frechet_distance_puts_the_truth_first_and_noise_far_away(evaluation: EvaluationRecords) -> None:
    systems: Mapping[str, Mapping[str, TrackRecord]] = {
        "truth": evaluation.reference,
        **evaluation.anchor_tracks(),
    }
    distances, vectors = frechet_distances(systems, evaluation.reference)
    assert vectors == 6  # two songs a half, three patches each
    assert min(distances, key=distances.__getitem__) in ("truth", "the vocals themselves")
    assert distances["noise"] > 3 * distances["truth"]


def test_the_report_says_everything_and_needs_nothing_else(
    evaluation: EvaluationRecords, tmp_path: Path
) -> None:
    scores = score(evaluation)
    for name, song in SONGS.items():
        audio.write(_in(tmp_path / "good", name), signals.band(10.0, **song))  # type: ignore[arg-type]
    folder = read_folder("good", str(tmp_path / "good"))
    chosen = best_and_worst(scores, 1)
    assert len(chosen) == 2
    examples = make_examples(chosen, {"good": folder}, folder, 60.0)
    timing = Timing("samuel", 14_540_000, 12.0, 47.55, 1.2, "a CPU, 1 thread")
    facts = Facts("today", ["other lacks 1 of 5 tracks"], {"good": 12.3}, 6, [timing], ["a judge"])
    page = html(
        scores, facts, examples, {("good", name): one for name, one in evaluation.systems["good"].items()}
    )
    for word in (
        "Content Usefulness",
        "Content Unity",
        "other lacks 1",
        "the paper's",
        "not audio",
        "12.3",
        "14.5 M",
        "a judge",
        "Few tracks (good: 4, wrong: 4)",
    ):
        assert word in page, word
    assert page.count("<audio") == 2 * 3  # voice, band, mix
    assert page.count('data-sound="data:audio/mpeg;base64,') == 4  # a row each
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    text = markdown(scores, facts)
    assert "| good, shuffled | 4 |" in text
    assert parquet_of(scores).startswith(b"PAR1")
    assert csv_of(scores).count(b"\n") == scores.num_rows + 1


def test_the_paper_s_table_stands_beside_new_scores(evaluation: EvaluationRecords) -> None:
    rated = {
        name: TrackRecord(
            one.seconds,
            one.figures | {"PQ": 5.0, "PC": 4.0, "CE": 3.0, "CU": 2.0},
            one.features,
            one.embedding,
        )
        for name, one in evaluation.reference.items()
    }
    scores = score(EvaluationRecords({"new": rated}, {}, {}, {}, {}))
    page = html(scores, Facts("today"))
    assert page.count("(the paper's)</small>") == len(TABLE_I) + 5
    assert tables(scores)[0][1][0].cells[0].mean == "5.00"


def test_of_many_rows_the_best_and_the_worst_are_shown(
    evaluation: EvaluationRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = score(evaluation)
    rows = rows_of(scores)
    figures = [row["truth_chroma"] for row in rows if row["system"] == "good"]
    assert figures[:4] == sorted(figures[:4], reverse=True)
    assert rows[-1]["error"]
    assert [row["track"] for row in rows[:2]] == [rows[0]["track"]] * 2  # both systems' version, together
    monkeypatch.setattr(report, "MOST_ROWS", 4)
    page = html(scores, Facts("today"))
    assert "9 rows, the 2 of the best" in page
    assert page.count("<tr><td>song") == 3
    assert page.count("<tr><td>broken") == 1


def test_no_vocals_no_truth_no_examples_is_a_report_too(evaluation: EvaluationRecords) -> None:
    scores = score(EvaluationRecords({"good": evaluation.systems["good"]}, {}, {}, evaluation.anchors, {}))
    assert [group.name for group, _ in tables(scores)] == ["health"]
    assert "good" in html(scores, Facts("today"))
    assert make_examples([("song 0", "")], {"good": Folder({})}, Folder({}), 60.0)[0].sounds == ()


def _in(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.flac"
