"""A site that refuses everything, under the real build: nothing counts as failed for good."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from samuel.popdb import Store
from tests.catalogue.download.site import Site, file, status
from tests.jobs.songs import write_song
from tests.jobs.test_build_popdb import rows, run


@pytest.fixture
def site() -> Iterator[Site]:
    opened = Site()
    yield opened
    opened.close()


def test_five_refusals_in_a_row_end_the_run_and_the_next_one_has_every_song(
    local_ray: None, tmp_path: Path, site: Site
) -> None:
    names = [f"/{number}.ogg" for number in range(16)]
    write_song(tmp_path / "song.ogg", 49.0, seed=1)
    for name in names:
        site.pages[name] = status(429, Retry_After="9999")
    (tmp_path / "songs.txt").write_text("".join(f"{site.url}{name}\n" for name in names))
    arguments = (
        "--songs",
        tmp_path / "songs.txt",
        "--out",
        tmp_path / "popdb",
        "--requests-per-minute",
        60,
    )

    code, output = run(*arguments, "--downloads", 1)
    assert code == 2
    assert "5 songs in a row were refused" in output
    assert "it asks to wait 9999 s" in output
    assert (
        5 <= site.asked.total() < 16
    )  # some were on their way; one a second, so that a slow driver sees the fifth in time
    noted = Store.at(tmp_path / "popdb").read_failures().values()
    assert {failure.error.partition(":")[0] for failure in noted} == {"too many requests"}

    site.pages[names[0]] = file((tmp_path / "song.ogg").read_bytes(), "audio/ogg")
    code, output = run(*arguments, "--limit", 1)
    assert code == 0, output
    assert [Path(row["source"]).name for row in rows(tmp_path / "popdb")] == ["0.ogg"]
