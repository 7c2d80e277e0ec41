"""A codec and a folder of songs -> a table. Run `python jobs/measure_codec.py --help`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jobs.runtime.errors import user_errors

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    songs: Annotated[str, typer.Option(help="Folder of audio files that the codec was not trained on.")],
    codec: Annotated[str, typer.Option(help="mini, stable-audio-open, a folder or a checkpoint.")] = "mini",
    out: Annotated[Path | None, typer.Option(help="Also write the table to this Markdown file.")] = None,
    excerpts: Annotated[int, typer.Option(help="Excerpts of each song.")] = 3,
    seconds: Annotated[float, typer.Option(help="Length of an excerpt.")] = 10.0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Measure a codec on real songs, beside references that tell what the figures mean.

    ViSQOL and note F1 need `uv run --group measure`; without it their columns stay empty.

        uv run --group measure python jobs/measure_codec.py --songs held-out-songs --out table.md
    """
    import torch

    from samuel import audio
    from samuel.catalogue.songs import read_catalogue
    from samuel.codec import load_codec
    from samuel.codec.measuring import excerpts_of, table

    torch.set_num_threads(threads)
    with user_errors(Console()):
        found = [song for song in read_catalogue(songs).songs if song.kind == "audio"]
        by_song = [excerpts_of(audio.decode(song.source), excerpts, seconds) for song in found]
        alternating = [excerpt for group in zip(*by_song, strict=True) for excerpt in group]
        lines = [
            f"{len(alternating)} excerpts of {seconds:g} s: " + ", ".join(song.title for song in found),
            "",
        ]
        typer.echo("\n".join(lines))
        for line in table(load_codec(codec, device), alternating):
            typer.echo(line)
            lines.append(line)
        if out:
            out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    app()
