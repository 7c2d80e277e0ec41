"""What the drills of building share: songs, the pairs that an undisturbed builder makes of them, what a POPDB holds."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from samuel.catalogue.songs import read_catalogue
from samuel.codec import load_codec
from samuel.popdb import Identity, Store
from samuel.popdb.song_builder import PairBuilder
from samuel.separation import load_separator
from samuel.vocals import NORMAL_FORM
from tests.jobs.songs import write_song

SONGS = 6
"""That are good; one more is not."""


def write_songs(folder: Path) -> None:
    for seed in range(SONGS):
        write_song(folder / f"song {seed}.ogg", 48.0 + 48.0 * (seed % 2), seed)
    (folder / "bad.mp3").write_bytes(b"no audio")


def build_undisturbed(songs: Path, out: Path) -> pa.Table:
    """The pairs that one builder makes, without Ray."""
    store, identity = Store.at(out), identity_of_defaults()
    builder = PairBuilder(store, codec="mini", separator="spleeter", identity=identity, threads=1)
    store.claim(identity)
    failed = [song.title for song in read_catalogue(str(songs)).songs if builder(song).error]
    assert failed == ["bad"]
    for shard in store.plan_merge(store.contents().sources):
        store.write_shard(shard)
    return pairs(store.root)


def identity_of_defaults() -> Identity:
    return Identity(
        load_codec("mini", "cpu").identity, load_separator("spleeter", "cpu").identity, vocals=NORMAL_FORM
    )


def pairs(out: object) -> pa.Table:
    columns = ["song_id", "chunk", "title", "split", "vocal_activity", "vocals", "accompaniment"]
    table = pq.read_table(f"{out}/data", columns=columns)
    return table.sort_by([("song_id", "ascending"), ("chunk", "ascending")]).replace_schema_metadata()


def songs_done(out: Path) -> int:
    return len(list((out / "songs").glob("*.parquet"))) if (out / "songs").is_dir() else 0
