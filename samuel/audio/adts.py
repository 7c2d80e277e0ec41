"""Bare AAC (ADTS, ISO/IEC 14496-3, 1.A.3): where a file holds no frames, which FFmpeg skips without a word."""

from samuel.audio.declared_length import id3_bytes
from samuel.audio.joined import Readable

HEADER = 7
MOST_BYTES = 1 << 28


def gaps(file: Readable) -> list[tuple[int, int]]:
    """(start, end) of what is between frames, in order, in bytes without tags. Leaves the file where it was."""
    before = file.tell()
    file.seek(0)
    data = file.read(MOST_BYTES)
    file.seek(before)
    found: list[tuple[int, int]] = []
    at = tags = _tag(data, 0)
    while at < len(data):
        if length := _frame(data, at):
            at += length
            continue
        tag = _tag(data, at)
        tags += tag
        start = at = at + tag
        while at < len(data) and not _is_followed(data, at):
            following = data.find(b"\xff", at + 1)
            at = following if following >= 0 else len(data)
        if at > start:
            found.append((start - tags, at - tags))
    return found


def _tag(data: bytes, at: int) -> int:
    """The length of the ID3v2 tags there."""
    end = at
    while data[end : end + 3] == b"ID3" and len(data) >= end + 10:
        end += 10 + id3_bytes(data[end : end + 10])
    return end - at


def _frame(data: bytes, at: int) -> int:
    """The length of the frame that begins there, header and all; 0 where none does."""
    head = data[at : at + HEADER]
    if len(head) < HEADER or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= HEADER else 0


def _is_followed(data: bytes, at: int) -> bool:
    """Whether a frame begins there, and another one of its kind, or the end, after it."""
    length = _frame(data, at)
    if not length:
        return False
    then = at + length
    return then == len(data) or (
        _frame(data, then) > 0 and data[then + 1 : then + 3] == data[at + 1 : at + 3]
    )
