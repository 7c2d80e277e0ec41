"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

import numpy as np

from samuel.evaluation.statistics import estimate, text


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table. A row begins with its name, over which stands nothing."""
    head, *lines = ["| " + " | ".join(cells) + " |" for cells in (("", *columns), *rows)]
    return [head, "|---" * (len(columns) + 1) + "|", *lines]


def mean_cell(values: Sequence[float] | np.ndarray, digits: int = 2) -> str:
    """The mean of values with its interval; NaN is left out."""
    return text(estimate(np.array(values)), digits=digits)
