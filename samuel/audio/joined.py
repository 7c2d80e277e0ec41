"""Files that are several, one after the other: what radio recorders write, and what `cat` makes.

FFmpeg reads the first of several WAV files only, and of Ogg streams (RFC 3533, "chaining") it reads on only where
the next has the same codec and rate. So each part is decoded by itself.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, Protocol, runtime_checkable

BEGINS = 2  # a flag of an Ogg page: a stream begins here
OGG_HEADER = 27
OGG_FIRST_PACKETS = (
    *(b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"\x80theora", b"fishead\0"),
    *(b"BBCD", b"CELT    ", b"OVP80", b"PCM     "),
)
RIFF_KINDS = (b"RIFF", b"RF64", b"BW64")
SEARCH_BLOCK = 65_536
MOST_BOXES = 100_000


@runtime_checkable
class Readable(Protocol):
    """A binary file open for reading: open(..., "rb"), io.BytesIO, a file of fsspec."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...

    def seekable(self) -> bool: ...


class Span(NamedTuple):
    """Bytes of a file, from `start` up to `end`; `end` may lie beyond the end of a file that was cut off."""

    start: int
    end: int


def parts(file: Readable) -> list[Span]:
    """The files that this one is made of, in order; one span for a common file. Leaves it at its beginning."""
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(12)
    begins = [0]
    if start[:4] == b"OggS":
        begins = _chained(file, size)
    elif start[:4] in RIFF_KINDS and start[8:12] == b"WAVE":
        begins = _joined_waves(file, size)
    elif start[4:8] == b"ftyp":
        begins = [at for kind, at, _ in mp4_boxes(file) if kind == b"ftyp"]
    file.seek(0)
    return [Span(first, then) for first, then in pairwise([0, *begins[1:], size])]


class OggPage(NamedTuple):
    """Where a page of an Ogg file and its body begin, where it ends, and its flags."""

    start: int
    body: int
    end: int
    flags: int


def ogg_pages(file: Readable, size: int) -> Iterator[OggPage]:
    """The pages of an Ogg file of `size` bytes; what is between them is passed over."""
    at = 0
    while at + OGG_HEADER <= size:
        file.seek(at)
        header = file.read(OGG_HEADER + 255)
        if header[:4] != b"OggS" or len(header) < OGG_HEADER + header[26]:
            at = _next_page(file, at + 1, size)
            continue
        table = header[OGG_HEADER : OGG_HEADER + header[26]]
        body = at + OGG_HEADER + len(table)
        yield OggPage(at, body, body + sum(table), header[5])
        at = body + sum(table)


def mp4_boxes(file: Readable) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of an MP4 file's outer boxes, up to bytes that are none; `end` is 0 where it is the file's."""
    at = 0
    for _ in range(MOST_BOXES):
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:
            return
        size, kind = struct.unpack_from(">I4s", header)
        if size == 1 and len(header) == 16:
            size = int(struct.unpack_from(">Q", header, 8)[0])
        if not kind.isascii() or not kind.strip().isalnum() or 0 < size < 8:
            return
        yield kind, at, at + size if size else 0
        if not size:
            return
        at += size


def _chained(file: Readable, size: int) -> list[int]:
    """Where streams begin that follow others; those that play together, as sound and picture, are one part."""
    begins: list[int] = []
    sounding = True
    for page in ogg_pages(file, size):
        if page.flags & BEGINS and _is_first_packet(file, page.body):
            if sounding:
                begins.append(page.start)
            sounding = False
        else:
            sounding = True
    return begins


def _is_first_packet(file: Readable, at: int) -> bool:
    """A bent bit may say that a stream begins; then its page does not say which."""
    file.seek(at)
    return file.read(8).startswith(OGG_FIRST_PACKETS)


def _next_page(file: Readable, at: int, size: int) -> int:
    """Where the next page begins, after bytes that are none; the file's size where there is none."""
    while at < size:
        file.seek(at)
        block = file.read(SEARCH_BLOCK)
        found = block.find(b"OggS")
        if found >= 0:
            return at + found
        at += max(1, len(block) - 3)
    return size


def _joined_waves(file: Readable, size: int) -> list[int]:
    begins: list[int] = []
    at = 0
    while at + 12 <= size:
        file.seek(at)
        header = file.read(28)
        if header[:4] not in RIFF_KINDS or header[8:12] != b"WAVE":
            break
        begins.append(at)
        length = int(struct.unpack_from("<I", header, 4)[0])
        if header[:4] != b"RIFF" and len(header) == 28:
            length = int(struct.unpack_from("<Q", header, 20)[0])
        at += 8 + length + length % 2
    return begins
