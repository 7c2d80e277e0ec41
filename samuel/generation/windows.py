"""A song of any length as windows of latent frames that are denoised one after the other.

Each window holds the last frames of the one before, already made, and continues from them: so windows join
without a seam, memory does not grow with the song, and its beginning can be heard while the rest is made.

Measured on two songs of 60 s with the package's checkpoint, 12 steps: how far the mean of 4 s changes at joints,
against inside: cut without overlap 1.19, averaged v over overlaps (MultiDiffusion) 1.14, held as here 0.95.
"""

from dataclasses import dataclass

WINDOW_FRAMES = 512  # 23.8 s
OVERLAP_FRAMES = 128  # 5.9 s


@dataclass(frozen=True)
class Window:
    """Frames `start` to `stop` of a song; its first `held` and last `held_after` frames are known before."""

    start: int
    stop: int
    held: int = 0
    held_after: int = 0


def plan_windows(
    frames: int,
    region: tuple[int, int] | None = None,
    window: int = WINDOW_FRAMES,
    overlap: int = OVERLAP_FRAMES,
) -> list[Window]:
    """Windows that make the frames of `region` (first, past the last), by default all, in this order.

    Every window has `window` frames, or all that there are; frames around the region are held.
    """
    first, last = region or (0, frames)
    if not 0 <= first < last <= frames:
        raise ValueError(f"expected a region within {frames} frames, got {first} to {last}")
    if not 0 <= overlap < window:
        raise ValueError(f"expected an overlap shorter than a window of {window} frames, got {overlap}")
    size = min(window, frames)
    begin, end = max(0, first - overlap), min(frames, last + overlap)
    if end - begin < size:  # see more around a short region
        begin = min(max(0, begin - (size - end + begin) // 2), frames - size)
        end = begin + size
    windows, start, made = [], begin, first
    while made < last:
        stop = min(start + size, end)
        start = stop - size
        windows.append(Window(start, stop, held=made - start, held_after=max(0, stop - last)))
        made = min(stop, last)
        start = made - overlap
    return windows
