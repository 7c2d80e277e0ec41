"""Decoded frames put where their time says: what is missing or starts late leaves silence.

Times are seconds on the clock of the file. A jump of that clock counts only when the next frame agrees with it: one
bent time stamp moves nothing. What is decoded is never thrown away, so a clock that goes back (two recordings in one
file) starts anew where the last frame ended.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from samuel.audio.declared_length import id3_bytes

JITTER_SECONDS = 0.010
"""Containers that count milliseconds, and recorders, are off by this much without a loss; the shortest frame that is
lost often, 20 ms of Opus, is longer."""

ROUNDING_SECONDS = 0.001
RESTART_SECONDS = 1.0
"""A clock that goes back by more begins anew; by less, frames overlap and are put one after the other."""

LONGEST_HOLE_SECONDS = 3600.0
SILENCE_BLOCK = 44_100

Tell = Callable[[str], None]
Samples = Float32[np.ndarray, "samples 2"]


class DamagedClock(ValueError):
    """The times in a file say that more is missing than can be believed."""


@dataclass(frozen=True)
class Frame:
    """Samples at a rate in Hz; `start` in seconds on the file's clock, None: right after the frame before."""

    samples: Samples
    rate: int
    start: float | None = None

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class ByteClock:
    """The time of a stream without time stamps (MP3, ADTS, AC-3, ...): that of its frames, and of bytes that gave none.

    Lost bytes take the time that as many bytes took so far, to whole frames. `gaps` are (start, end), in bytes of the
    file, of what gives no packet at all.
    """

    def __init__(self, gaps: Sequence[tuple[int, int]] = ()) -> None:
        self.now = 0.0
        self._gaps = list(reversed(gaps))
        self._at = 0  # bytes of the file, but for tags
        self._bytes = self._lost = 0
        self._seconds = 0.0
        self._tag_end = 0

    def damaged(self, data: bytes, position: int | None) -> None:
        """A packet at `position` in the file that gave no sound. Tags between joined files are no loss."""
        self._at += len(data)
        tag = data.find(b"ID3")
        begin = position or 0
        if tag >= 0 and tag + 10 <= len(data) and data[tag + 3] < 0xFF and data[tag + 6] < 0x80:
            self._tag_end = begin + tag + 10 + id3_bytes(data[tag : tag + 10])
            self._lost += tag
        else:
            self._lost += min(len(data), max(0, begin + len(data) - self._tag_end))

    def sounded(self, size: int, seconds: float) -> float:
        """A packet of so many bytes gave so many seconds: when they begin."""
        if self._gaps and self._at >= self._gaps[-1][0]:
            start, self._at = self._gaps.pop()
            self._lost = max(self._lost, self._at - start)
        self._at += size
        if self._lost:
            per_byte = self._seconds / self._bytes if self._bytes else seconds / max(size, 1)
            self.now += round(self._lost * per_byte / seconds) * seconds
            self._lost = 0
        self._bytes += size
        self._seconds += seconds
        begins = self.now
        self.now += seconds
        return begins


def in_place(
    frames: Iterable[Frame], *, late: float = 0.0, jitter: float = JITTER_SECONDS, tell: Tell = lambda _: None
) -> Iterator[tuple[Samples, int]]:
    """The frames' samples and rates, with silence where time passed without any.

    The first frame begins `late` seconds after the beginning. Holes are told in one sentence, at the end. Raises
    DamagedClock for a hole of more than an hour.
    """
    position = zero = 0.0  # what was given out, and the clock's time at the beginning, both in seconds
    begun = False
    holes: list[tuple[float, float]] = []
    for frame, following in _with_next(frames):
        if not begun:
            begun = True
            for block in _silence(late, frame.rate):
                yield block, frame.rate
                position += len(block) / frame.rate
            zero = (frame.start or 0.0) - position
        gap = 0.0 if frame.start is None else frame.start - zero - position
        if abs(gap) > max(jitter, 0.5 / frame.rate) and _agrees(frame, following, gap):
            if gap > 0:
                gap = _whole_frames(gap, frame.seconds)
                if gap > LONGEST_HOLE_SECONDS:
                    raise DamagedClock(
                        f"damaged: at {position:.1f} s its clock jumps by {gap / 3600:.1f} hours"
                    )
                holes.append((position, gap))
                for block in _silence(gap, frame.rate):
                    yield block, frame.rate
                    position += len(block) / frame.rate
            elif gap < -RESTART_SECONDS:
                zero = (frame.start or 0.0) - position
        yield frame.samples, frame.rate
        position += frame.seconds
    if holes:
        tell(_told(holes))


def _whole_frames(gap: float, frame_seconds: float) -> float:
    """A hole that is one of whole frames but for the rounding of time stamps: exactly that."""
    whole = round(gap / frame_seconds) * frame_seconds if frame_seconds else 0.0
    return whole if whole and abs(whole - gap) <= ROUNDING_SECONDS else gap


def _told(holes: list[tuple[float, float]]) -> str:
    """A sentence for holes given as (where, how long) in seconds."""
    where, longest = max(holes, key=lambda hole: hole[1])
    if len(holes) == 1:
        return f"damaged: {longest:.2f} s are missing at {where:.2f} s; silence stands there"
    whole = sum(gap for _, gap in holes)
    return (
        f"damaged: {whole:.2f} s are missing in {len(holes)} places, the longest ({longest:.2f} s) at {where:.2f} s; "
        "silence stands there"
    )


def _agrees(frame: Frame, following: Frame | None, gap: float) -> bool:
    """Whether the next frame comes after this one on the clock, and right after it where the clock went back."""
    if following is None or following.start is None or frame.start is None:
        return True
    more = following.start - frame.start - frame.seconds
    return more > -JITTER_SECONDS and (gap > 0 or more < JITTER_SECONDS)


def _with_next(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Frame | None]]:
    before: Frame | None = None
    for frame in frames:
        if before is not None:
            yield before, frame
        before = frame
    if before is not None:
        yield before, None


def _silence(seconds: float, rate: int) -> Iterator[Samples]:
    """Zeros, a second or so at a time: however long, they take no memory here."""
    left = round(seconds * rate)
    block = np.zeros((min(left, SILENCE_BLOCK), 2), np.float32)
    while left > 0:
        yield block[:left]
        left -= min(left, SILENCE_BLOCK)
