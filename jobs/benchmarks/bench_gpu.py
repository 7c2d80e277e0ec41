"""Generation on a GPU: one song and many at once, with `mini` and with a decoder of Stable Audio Open's size. No Ray.

    python jobs/benchmarks/bench_gpu.py --record

On a CPU it is a rehearsal: `--device cpu --seconds 4 --together 2 --small` goes through all of it.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.benchmarks.bench_generation import EXAMPLE, repeated
from jobs.benchmarks.page import Out, Record, publish

if TYPE_CHECKING:
    from samuel.codec import Codec
    from samuel.generation import Generator

STABLE_AUDIO_REACH = 10
"""Frames: 16060 samples on either side by its convolutions' arithmetic are eight."""


def main(
    out: Out = None,
    record: Record = False,
    device: Annotated[str, typer.Option(help="cuda, or cpu for a rehearsal.")] = "cuda",
    seconds: Annotated[float, typer.Option(help="Of each song.")] = 47.55,
    together: Annotated[int, typer.Option(min=1, help="Songs at once, beside one alone.")] = 32,
    repetitions: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
    small: Annotated[
        bool, typer.Option("--small", help="Stable Audio Open's decoder with a thirtieth of its channels.")
    ] = False,
) -> None:
    """Write a table: seconds from vocals, lead sheet and arrangement in memory to the band, and what they are spent on.

    Products are in half precision on a GPU, as they always are there. "compiled": the network's
    steps, and Stable Audio Open's decoder, by `torch.compile`, which replays CUDA graphs; compiling is not counted. Stable Audio Open's decoder has random weights:
    what it gives is noise, and takes as long as music.
    """
    import torch
    from tabulate import tabulate

    from samuel.generation import PRETRAINED, Direction, Director, GenerationConfig, Generator

    vocals = repeated(EXAMPLE, seconds)
    director = Director(Direction())
    directed = director.direct(vocals)
    assert directed.arrangement
    arrangement = director.play(directed.arrangement, vocals.shape[-1])
    config = GenerationConfig()

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    rows = []
    for name in ("mini", "Stable Audio Open"):
        generator = Generator.load(PRETRAINED, device=device)
        if name != "mini":
            generator.codec = stable_audio(generator.codec, small)
        for how in ("as it is", "compiled"):
            if how == "compiled":
                compile_parts(generator)
            for count in dict.fromkeys((1, together)):

                def play(generator: "Generator" = generator, count: int = count) -> None:
                    songs, sheets = [vocals] * count, [directed.sheet] * count
                    generator.accompany_all(
                        songs, config, list(sheets), [arrangement] * count, [directed.voice] * count
                    )

                play()  # compiles, and warms up
                best = min((timed(generator, play, wait) for _ in range(repetitions)), key=lambda t: t["all"])
                peak = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0
                rows.append(
                    {"decoder": name, "": how, "songs": count}
                    | best
                    | {"x real time": count * seconds / best["all"], "peak GPU MB": peak}
                )
    where = torch.cuda.get_device_name() if device == "cuda" else "a CPU: a rehearsal"
    publish(
        f"{seconds:g} s of audio a song, on {where}:\n\n{tabulate(rows, 'keys', 'github', '.3f')}",
        out,
        record,
    )


def timed(generator: "Generator", play: Callable[[], None], wait: Callable[[], None]) -> dict[str, float]:
    """Seconds of all, and of its parts."""
    spent: dict[str, float] = {}

    def measured(name: str, part: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            wait()
            began = time.perf_counter()
            result = part(*arguments)
            wait()
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
            return result

        return call

    parts = {name: getattr(generator, name) for name in ("prepare", "sample", "decode")}
    for name, part in parts.items():
        setattr(generator, name, measured(name, part))
    try:
        began = time.perf_counter()
        play()
        wait()
        return {"all": time.perf_counter() - began, **spent}
    finally:
        for name in parts:
            delattr(generator, name)


def compile_parts(generator: "Generator") -> None:
    """The network's steps, and a decoder that is a network alone, with CUDA graphs where there is CUDA."""
    import torch

    mode = "reduce-overhead" if generator.device.type == "cuda" else "default"
    model, codec = generator.trained.model, generator.codec

    def apart(part: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:  # a graph writes its next result over its last one
            torch.compiler.cudagraph_mark_step_begin()
            return part(*arguments).clone()

        return call

    vars(model)["denoise"] = apart(torch.compile(model.denoise, mode=mode))
    if not codec.counts_frames:  # `mini` is mostly Fourier transforms, which are not compiled
        codec.decoder = apart(torch.compile(codec.decoder, mode=mode))


def stable_audio(mini: "Codec", small: bool) -> "Codec":
    """`mini`'s encoder, so that the network is told what it knows, before Stable Audio Open's decoder, untrained."""
    import torch
    from stable_audio_tools.models.autoencoders import OobleckDecoder

    from samuel.codec import Codec

    torch.manual_seed(0)
    decoder = OobleckDecoder(
        out_channels=2,
        channels=4 if small else 128,
        latent_dim=64,
        c_mults=[1, 2, 4, 8, 16],
        strides=[2, 4, 4, 8, 8],
        use_snake=True,
        final_tanh=False,
    )
    for one in decoder.modules():
        if hasattr(one, "weight_g"):
            torch.nn.utils.remove_weight_norm(one)
    return Codec(
        mini.encoder,
        decoder.eval().requires_grad_(False).to(mini.device),
        mini.identity,
        mini.device,
        reach={"encoder": mini.encoder_reach, "decoder": STABLE_AUDIO_REACH},
    )


if __name__ == "__main__":
    typer.run(main)
