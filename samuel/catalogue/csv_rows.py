"""The rows of a CSV, with lines told whose quotes or columns do not fit: an open quote takes no further lines with it."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OPEN_QUOTE = re.compile(r'[^\d\s"]"\s*$')  # at the end of a cell, and not of inches
MOST_NUMBERS = 8  # of lines, in one warning


@dataclass
class Doubts:
    """Lines that were left out or may be wrong, told together by what is the matter with them."""

    where: str
    lines: dict[str, list[int]] = field(default_factory=dict)

    def add(self, line: int, what: str) -> None:
        self.lines.setdefault(what, []).append(line)

    def told(self) -> list[str]:
        return [
            f"{len(lines)} {'lines' if len(lines) > 1 else 'line'} of {self.where} {what} "
            f"(lines {', '.join(map(str, lines[:MOST_NUMBERS]))}{', ...' if len(lines) > MOST_NUMBERS else ''})"
            for what, lines in self.lines.items()
        ]


def read_rows(
    lines: list[str],
    separator: str,
    width: int,
    where: str,
    first: int,
    doubts: Doubts,
    by_line: bool = False,
) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the rows after the header; an open quote takes no further lines with it."""
    whole: list[tuple[int, list[str]]] = []
    try:
        if by_line:
            raise csv.Error
        try:
            whole = list(_parsed(lines, separator, width, first))
        except csv.Error:
            if not any('\\"' in line for line in lines):
                raise
            whole = list(_parsed(lines, separator, width, first, escapechar="\\"))  # as MySQL writes quotes
    except csv.Error:
        whole = list(_line_by_line(lines, separator, width, where, first, doubts))
    for line, row in whole[1:]:
        if width == 1:
            row = [separator.join(row)]
        extra = [cell for cell in row[width:] if cell.strip()]
        if extra:
            doubts.add(line, "with more columns than the first: left out; put quotes around commas")
        elif any(cell.strip() for cell in row):
            yield line, row


def _parsed(
    lines: list[str], separator: str, width: int, first: int, escapechar: str | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Raises csv.Error where quotes are not closed, or where their cells say that others should not be."""
    text = io.StringIO("\n".join(lines), newline="")
    rows = csv.reader(
        text, delimiter=separator, skipinitialspace=True, strict=True, escapechar=escapechar, doublequote=True
    )
    start = 0
    for row in rows:
        yield first + start, row
        start = rows.line_num
        if row and len(row) < width and any("\n" in cell for cell in row):
            raise csv.Error("a quote takes in the rest of its line")
        if any("\n" in cell for cell in row) and len(row) > width:
            raise csv.Error("a quote ends in another line")


def _line_by_line(
    lines: list[str], separator: str, width: int, where: str, first: int, doubts: Doubts
) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=first):
        try:
            row = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True), [])
        except csv.Error:
            try:
                row = next(csv.reader([line], delimiter=separator, quoting=csv.QUOTE_NONE), [])
            except csv.Error as error:
                raise ValueError(f"line {number} of {where} is no CSV: {error}; check its quotes") from error
            doubts.add(number, "with a quote too many or too few: read as it stands")
            row = [_without_quotes(cell) for cell in row]
        else:
            if any(OPEN_QUOTE.search(cell) and cell.count('"') % 2 for cell in row):
                doubts.add(number, "with a quote too many or too few: read as it stands")
                row = [_without_quotes(cell) for cell in row]
        if number > first and row and len(row) < width and any(cell.strip() for cell in row):
            doubts.add(number, "with too few columns, in a table with broken quotes: left out")
        else:
            yield number, row


def _without_quotes(cell: str) -> str:
    """A cell of a line whose quotes do not fit: without those around it; those of inches stay."""
    cell = cell.strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"').strip()
    return cell.strip('"').strip() if cell.count('"') % 2 and not re.search(r'\d"$', cell) else cell
