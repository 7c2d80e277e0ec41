"""One song's windows, in order, and its pieces of sound, each as soon as nothing in it can change.

Who denoises and who decodes drives it: the library in a loop, the service with `await`. So a request gives the same bits from
both.

    song = Schedule(material, config, samples, reach)
    while (task := song.task()) is not None:
        song.place(denoised(task))
        for start, stop in song.finished():
            decoded(song.latents, start, stop)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import FRAME_SAMPLES
from samuel.generation.config import GenerationConfig
from samuel.generation.regions import Region
from samuel.generation.windows import Window, plan_windows

Latents = Float[Tensor, "64 frames"]
Guides = Float[Tensor, "114 frames"]

PIECE_FRAMES = 150
"""What is decoded at a time, 7 s: soon heard, and with mini's reach on both sides it is one piece of the codec."""


@dataclass(frozen=True)
class WindowTask:
    """One window to denoise. `known` holds the song's latents so far there; only its held frames matter."""

    vocals: Latents
    known: Latents | None
    window: Window
    config: GenerationConfig
    arrangement: Latents | None = None
    """Latents to start from, as far as the config's strength leaves of them."""
    guides: Guides | None = None
    """The channels of `samuel.model.conditions` after the vocals', for a network that is told them."""

    def apart(self) -> "WindowTask":
        """With tensors of its own, so that another process is not sent the whole song's."""
        tensors = ("vocals", "known", "arrangement", "guides")
        own = {name: getattr(self, name) for name in tensors}
        return replace(self, **{name: one.clone() for name, one in own.items() if one is not None})


@dataclass(frozen=True)
class Material:
    """A song as the network is given it, whole."""

    vocals: Latents
    arrangement: Latents | None = None
    guides: Guides | None = None

    def task(self, canvas: Latents, window: Window, config: GenerationConfig) -> WindowTask:
        """The task of a window, with the latents made so far in `canvas`."""
        place = slice(window.start, window.stop)
        arrangement, guides = (
            None if whole is None else whole[:, place] for whole in (self.arrangement, self.guides)
        )
        return WindowTask(self.vocals[:, place], canvas[:, place], window, config, arrangement, guides)


class Schedule:
    """`latents`: those of a song of which only `region` is made anew; else all of it is.

    `reach`: how many frames away a latent still changes the sound. `complete`: makes the material what it is up to a
    frame, where it is still in the making; it is asked before each window.
    """

    def __init__(
        self,
        material: Material,
        config: GenerationConfig,
        samples: int,
        reach: int,
        latents: Latents | None = None,
        region: Region | None = None,
        complete: Callable[[int], None] | None = None,
    ) -> None:
        self.material, self.config, self.reach, self.complete = material, config, reach, complete
        self.latents = torch.zeros_like(material.vocals) if latents is None else latents
        self.windows = plan_windows(self.latents.shape[-1], region.frames if region else None)
        self.pieces = pieces(samples)
        self.placed = 0
        """How many windows are made."""

    def task(self) -> WindowTask | None:
        """The next window; None where all are made."""
        if self.placed == len(self.windows):
            return None
        self.get_ready()
        return self.material.task(self.latents, self.windows[self.placed], self.config)

    def get_ready(self) -> None:
        """What `task` waits for: the material up to the next window's end."""
        if self.complete and self.placed < len(self.windows):
            self.complete(self.windows[self.placed].stop)

    def place(self, made: Latents) -> None:
        """The latents of the window that `task` asked for."""
        window = self.windows[self.placed]
        self.latents[:, window.start : window.stop] = made
        self.placed += 1

    def finished(self) -> Iterator[tuple[int, int]]:
        """The frames, first and past the last, of each piece that is final by now and was not yielded before."""
        last = self.windows[self.placed - 1]
        sure = last.stop - last.held_after - self.reach
        while self.pieces and (self.placed == len(self.windows) or self.pieces[0][1] <= sure):
            yield self.pieces.pop(0)

    def share(self, of_window: float = 0.0) -> float:
        """Of the windows that are made, in [0, 1], with this share of the one in the works."""
        return (self.placed + of_window) / len(self.windows)


def pieces(samples: int) -> list[tuple[int, int]]:
    """The frames, first and past the last, that are decoded at a time for so many samples.

    Wherever it is made, a song is decoded in these pieces: its bits depend on nothing else.
    """
    frames = -(-samples // FRAME_SAMPLES)
    return [(start, min(start + PIECE_FRAMES, frames)) for start in range(0, frames, PIECE_FRAMES)]
