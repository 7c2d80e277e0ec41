"""How long a file says it is, where FFmpeg does not pass that on.

FFmpeg shortens what a header declares to what the file can hold, and where there is no length it guesses one: a file
that was cut off looks whole. These read what is written: the bytes that RIFF, AIFF, W64, CAF, MP4, ASF and Ogg files
must have, and the frames of an MP3. Offsets are those of the formats' specifications.
"""

import struct

from samuel.audio.joined import Readable, mp4_boxes, ogg_pages

LEAST_UNKNOWN = 0x7FFF0000
"""A recorder that cannot seek back leaves a size of 0 in a RIFF header, or of at least this."""

W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
MP4_BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"free", b"wide", b"skip", b"moof", b"sidx")
BEGINNING = 65_536
MOST_CHUNKS = 10_000
MP3_RATES = (44_100, 48_000, 32_000)


def declared_bytes(file: Readable) -> int | None:
    """The size in bytes that the file's own structure asks for, or None where it does not say.

    Reads headers only, and leaves the file at its beginning.
    """
    file.seek(0)
    start = file.read(BEGINNING)
    try:
        return _declared(file, start)
    except struct.error:  # the header itself is cut off
        return None
    finally:
        file.seek(0)


def mp3_seconds(file: Readable) -> float | None:
    """The length that an MP3 states in a Xing, Info or VBRI header, by its number of frames; None without one.

    Leaves the file at its beginning.
    """
    file.seek(0)
    tag = file.read(10)
    file.seek(10 + id3_bytes(tag) if tag[:3] == b"ID3" else 0)
    frame = file.read(256)
    file.seek(0)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0 or (rate := frame[2] >> 2 & 3) == 3:
        return None
    version = frame[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    seconds = (1152 if version == 3 else 576) / (MP3_RATES[rate] / {3: 1, 2: 2}.get(version, 4))
    for name, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        at = frame.find(name)
        if at < 0 or len(frame) < at + offset + 4 or (offset == 8 and not frame[at + 7] & 1):
            continue
        return int(struct.unpack_from(">I", frame, at + offset)[0]) * seconds
    return None


def id3_bytes(header: bytes) -> int:
    """The bytes that follow the ten of an ID3v2 tag's header (seven bits in each of the last four)."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(header[6:10], (21, 14, 7, 0), strict=False))


def _declared(file: Readable, start: bytes) -> int | None:
    if start[:4] in (b"RF64", b"BW64") and start[12:16] == b"ds64":
        return 8 + int(struct.unpack_from("<Q", start, 20)[0])
    if start[:4] in (b"RIFF", b"FORM"):
        size = int(struct.unpack_from("<I" if start[:4] == b"RIFF" else ">I", start, 4)[0])
        return 8 + size if 0 < size < LEAST_UNKNOWN else None
    if start[:16] == W64_RIFF:
        return int(struct.unpack_from("<Q", start, 16)[0])
    if start[:4] == b"caff":
        return _caf(file)
    if start[:4] == b"OggS":
        size = file.seek(0, 2)
        return max((page.end for page in ogg_pages(file, size)), default=None)
    if start[:16] == ASF_HEADER:
        at = start.find(ASF_FILE_PROPERTIES)
        return int(struct.unpack_from("<Q", start, at + 40)[0]) or None if at > 0 else None
    if start[4:8] in MP4_BOXES:
        return _mp4(file)
    return None


def _caf(file: Readable) -> int | None:
    at = 8
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        kind, size = struct.unpack(">4sq", file.read(12))
        if size < 0:  # the data of a recording that was not closed
            return None
        at += 12 + size
        if kind == b"data":
            return at
    return None


def _mp4(file: Readable) -> int | None:
    """The end of the last outer box that begins in the file, or of the segments that an index lists."""
    end = 0
    for kind, box_start, box_end in mp4_boxes(file):
        end = max(end, box_end)
        if kind == b"sidx":
            file.seek(box_start)
            end = max(end, box_end + _indexed(file.read(min(box_end - box_start, 1 << 20))))
    return end or None


def _indexed(box: bytes) -> int:
    """The bytes after a segment index box that it lists (ISO/IEC 14496-12, 8.16.3)."""
    wide = len(box) > 8 and box[8] > 0
    first = int(struct.unpack_from(">Q" if wide else ">I", box, 28 if wide else 24)[0])
    at = 38 if wide else 30
    (count,) = struct.unpack_from(">H", box, at)
    listed = struct.unpack_from(f">{3 * count}I", box, at + 2)
    return first + sum(reference & 0x7FFFFFFF for reference in listed[::3])
