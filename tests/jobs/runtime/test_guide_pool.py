"""Guides are found beside the builders, whatever becomes of a worker."""

import os
from functools import partial
from pathlib import Path

from jobs.runtime.guide_pool import GuidePool
from samuel.popdb.completing import GuideReport


class Fragile:
    """Dies of "deadly" always, and of "once" until it has died."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, song_id: str, shard: str) -> GuideReport:
        mark = self.folder / song_id
        if song_id == "deadly" or (song_id == "once" and not mark.exists()):
            mark.touch()
            os._exit(1)
        return GuideReport(song_id, seconds=len(shard))


def refuse() -> Fragile:
    raise ValueError("no weights here")


def test_every_song_comes_back_once(local_ray: None, tmp_path: Path) -> None:
    pool = GuidePool(partial(Fragile, tmp_path), most=2)
    assert list(pool.done(wait=True)) == []
    songs = ["a", "deadly", "once", "b", "c"]
    for song_id in songs:
        pool.submit(song_id, "shard")
    reports = {report.song_id: report for report in pool.done(wait=True)}
    assert sorted(reports) == sorted(songs)
    assert [song for song, report in reports.items() if report.error] == ["deadly"]
    assert "died twice" in reports["deadly"].error
    assert reports["a"].seconds == 5
    assert pool.left == 0
    pool.close()


def test_a_worker_that_cannot_start_says_why(local_ray: None) -> None:
    pool = GuidePool(refuse, most=1)
    pool.submit("a")
    (report,) = pool.done(wait=True)
    assert "no weights here" in report.error
    pool.close()
