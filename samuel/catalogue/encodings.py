"""Bytes of a table or list -> text, in whatever encoding people saved it."""

import codecs
import re
from contextlib import suppress

NO_TABLES = {b"PK\x03\x04": "an Excel or ZIP file", b"\xd0\xcf\x11\xe0": "an Excel file", b"\x1f\x8b": "compressed",
             b"%PDF": "a PDF"}  # fmt: skip
MOJIBAKE = re.compile("[ÃÂ][\x80-\xbf‚-™]|â€[\x80-\xff\u2018-\u2122]|Ð[\x80-\xbf]Ñ")
ODD = re.compile(
    r"[^\W\d_][¡-©«-¹»-¿×÷‡†‰¤ˇ˘˙˛˝∂∑∏∫Ω√≈∆◊†‡•ƒ]|[¡-©«-¹»-¾×÷‡†‰ˇ˘˙˛˝∂∑∏∫Ω√≈∆◊ƒ][^\W\d_]|(?<=[a-zà-öø-ÿ])[À-ÖØ-ÞŠŽŒŸ](?![A-ZÀ-Þ])"
)
"""What words do not have: signs beside letters, capitals at their end."""


def decoded(data: bytes, where: str) -> tuple[str, list[str]]:
    """UTF-8, or UTF-16 by its byte order mark or its zeros; else the most likely other encoding, with a warning."""
    for beginning, what in NO_TABLES.items():
        if data.startswith(beginning):
            raise ValueError(f"{where} is {what}, not text; save it as CSV in UTF-8")
    start = data[:2000]
    zeros = [start[side::2].count(0) for side in (0, 1)]
    encoding = "utf-8-sig"
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encoding = "utf-32"
    elif start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif max(zeros) > len(start) / 5:
        encoding = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    with suppress(UnicodeDecodeError):
        text = data.decode(encoding)
        if MOJIBAKE.search(text):
            with suppress(UnicodeError):
                repaired = text.encode("cp1252").decode()
                return repaired, [
                    f"{where} was UTF-8 that a program took for another encoding: repaired, check the titles"
                ]
        return text, []
    lines = data.split(b"\n")
    whole = [_is_utf8(line) for line in lines]
    foreign = [not line.isascii() for line in lines]
    if 2 * sum(map(all, zip(whole, foreign, strict=True))) >= sum(
        foreign
    ):  # most are UTF-8: of several writers
        rest = [line for line, good in zip(lines, whole, strict=True) if not good]
        guessed, encoding = _guessed(b"\n".join(rest), where)
        others = iter(guessed.split("\n"))
        text = "\n".join(
            line.decode() if good else next(others) for line, good in zip(lines, whole, strict=True)
        )
        numbers = ", ".join(str(number) for number, good in enumerate(whole, 1) if not good)
        return text, [
            f"lines of {where} that are not UTF-8 are read as {encoding}: check them (lines {numbers[:60]})"
        ]
    text, encoding = _guessed(data, where)
    return text, [f"{where} is not UTF-8; read as {encoding}: check the titles"]


def _is_utf8(data: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        data.decode()
        return True
    return False


def _guessed(data: bytes, where: str) -> tuple[str, str]:
    """(text, encoding): of what an encoding may be, that in which words look most like words."""
    from charset_normalizer import from_bytes

    guesses = from_bytes(data)
    best = guesses.best()
    western = any("cp1252" in guess.could_be_from_charset for guess in guesses)  # by far the most used
    names = [
        *(["cp1252", "mac_roman", "cp1250"] if western or best is None else []),
        *([best.encoding] if best else []),
    ]
    readings: list[tuple[str, str]] = []
    for name in names:
        with suppress(UnicodeDecodeError, LookupError):
            readings.append((data.decode(name), name))
    if not readings or b"\0" in data[:2000]:
        raise ValueError(f"{where} is no text; save it as UTF-8") from None
    return min(readings, key=lambda reading: len(ODD.findall(reading[0])))  # the first of equals
