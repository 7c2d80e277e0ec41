"""How well a checkpoint removes noise, beside Wiener and linear filters. Run `python jobs/benchmarks/bench_denoising.py --help`."""

from typing import Annotated

import typer

from jobs.benchmarks.page import Record, app_of, publish


def main(
    data: Annotated[str, typer.Option(help="A POPDB: filters are fitted on its training songs.")],
    checkpoint: Annotated[
        str | None, typer.Option(help="A run or a checkpoint. Default: the one in the package.")
    ] = None,
    split: Annotated[str, typer.Option(help="Songs to judge on: validation or test.")] = "test",
    songs: Annotated[int, typer.Option(min=2, help="So many of them.")] = 12,
    fitted: Annotated[int, typer.Option(min=2, help="So many training songs for the filters.")] = 60,
    record: Record = False,
) -> None:
    """Print a Markdown table: relative error of x0 by noise level and group of latents, on songs held out."""
    import torch
    from tabulate import tabulate

    from samuel.evaluation import denoising
    from samuel.generation import PRETRAINED
    from samuel.popdb import read_pairs
    from samuel.training import load_for_generation
    from samuel.training.data import checked

    torch.set_num_threads(1)
    trained = load_for_generation(checkpoint or PRETRAINED)
    guided = trained.model.config.plays_lead_sheets
    held, training = (checked(read_pairs(data, name), name, guided) for name in (split, "train"))
    index = torch.arange(min(songs, len(held)))
    held = held.chosen(index)
    statistics = trained.statistics
    judged = denoising.HeldOut(
        statistics.normalize(held.accompaniment, "accompaniment"),
        statistics.conditions(held.vocals, held.guides),
    )
    clean = statistics.normalize(training.accompaniment[:fitted], "accompaniment")
    rows = {"Wiener": denoising.wiener(clean, judged)}
    for context in denoising.CONTEXTS:
        rows[f"linear, {context} frames"] = denoising.linear(clean, judged, context)
    for name, errors in denoising.network(trained.model, judged):
        rows[f"network, {name}"] = errors
    header = ["", *(f"t {t}: {group}" for t in denoising.TIMESTEPS for group in denoising.LATENT_GROUPS)]
    table = [[name, *(f"{e[t][g]:.3f}" for t in e for g in e[t])] for name, e in rows.items()]
    publish(tabulate(table, header, tablefmt="pipe", disable_numparse=True), record=record)


if __name__ == "__main__":
    app_of(main)()
