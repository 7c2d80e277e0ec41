"""POPDB: vocal and accompaniment latents in pairs, as Parquet on a local folder or on S3.

<root>/popdb.json              what made the latents: codec, separator, rate, chunk, version
<root>/data/<split>-*.parquet  shards of pairs: the data set; immutable once written
<root>/songs/<song_id>.parquet pairs of one song, until they are merged into shards
<root>/failures/<song_id>.json a song that failed, until it succeeds
<root>/failures.parquet        the same as one table, written at the end of a run
<root>/audio/<song_id>.*       downloaded songs as fetched, so that nothing is fetched twice
"""

from samuel.popdb.checks import check_popdb
from samuel.popdb.failures import Failure
from samuel.popdb.reading import Pairs, iterate_pairs, read_pairs
from samuel.popdb.schema import EmptySplit, Identity, PopdbError
from samuel.popdb.store import Store

__all__ = [
    "EmptySplit",
    "Failure",
    "Identity",
    "Pairs",
    "PopdbError",
    "Store",
    "check_popdb",
    "iterate_pairs",
    "read_pairs",
]
