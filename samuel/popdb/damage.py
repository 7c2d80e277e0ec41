"""A Parquet file that was cut or damaged, told with its name and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from samuel.popdb.schema import PopdbError
from samuel.storage import Location


@contextmanager
def damage_told(file: Location) -> Iterator[None]:
    """Turns what pyarrow raises for bytes that are no Parquet into a `PopdbError`; faults of storage rise as they are.

    pyarrow raises OSError without a number for some damage.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        of_storage = isinstance(error, OSError) and (
            error.errno is not None or isinstance(error, ConnectionError | TimeoutError)
        )
        if of_storage or isinstance(error, pa.ArrowMemoryError):
            raise
        detail = " ".join(str(error).split())[:200]
        raise PopdbError(
            f"{file} is no whole Parquet file ({detail}): copy it again from where it came, or delete it and build "
            "again: its songs come back"
        ) from error
