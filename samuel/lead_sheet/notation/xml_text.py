"""Text and numbers of XML elements."""

import re
from fractions import Fraction
from xml.etree.ElementTree import Element

from samuel.lead_sheet.notation.written import ScoreError

_LARGEST = 1_000_000
_NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{0,9})?|[+-]?\.\d{1,9}", re.ASCII)


def text_of(element: Element, path: str) -> str:
    """Of the first element at `path`, without the blanks around it; empty where there is none."""
    return (element.findtext(path) or "").strip()


def number_of(element: Element, path: str, default: int) -> Fraction:
    """Raises ScoreError for what is no number, and for numbers beyond all music."""
    text = text_of(element, path) or str(default)
    value = Fraction(text) if _NUMBER.fullmatch(text) else None
    if value is None or abs(value) > _LARGEST:
        raise ScoreError(f"expected a number as {path}, got {text[:30]!r}")
    return value


def count_of(text: str) -> int | None:
    """A whole number of up to three digits, or None."""
    return int(text) if re.fullmatch(r"\d{1,3}", text.strip(), re.ASCII) else None
