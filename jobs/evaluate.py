"""Folders of tracks -> scores and a report. Run `python jobs/evaluate.py --help`."""

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.runtime.errors import user_errors
from jobs.runtime.options import Device, MaxMinutes, ModelWorkers

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from jobs.runtime.scoring import Records
    from jobs.runtime.worker_pool import WorkerPool
    from samuel.evaluation.samples import Folder, Sample
    from samuel.evaluation.scores import EvaluationRecords

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

GENERATE = "generate:"


def read_prompts(path: str) -> dict[str, str]:
    """Prompts by track, from a CSV with the columns track and prompt. Raises ValueError."""
    from samuel.storage import read_bytes

    rows = list(csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8-sig"))))
    if not rows or not {"track", "prompt"} <= rows[0].keys():
        found = list(rows[0]) if rows else []
        raise ValueError(f"expected a CSV with the columns track and prompt at {path}, found {found}")
    return {row["track"]: row["prompt"] for row in rows}


@app.command()
def main(
    samples: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=FOLDER ...",
            help="Systems: folders or s3:// prefixes of audio files, or NAME=generate:SYSTEM to make them first.",
        ),
    ],
    out: Annotated[str, typer.Option(help="Folder or s3:// prefix of the report.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="", hidden=True)] = None,  # --samples a=A b=B
    vocals: Annotated[
        str | None, typer.Option(help="Folder of the vocals, aligned by file name. Needed to generate.")
    ] = None,
    truth: Annotated[
        str | None, typer.Option(help="Folder of the true accompaniments. Default: the system named truth.")
    ] = None,
    aesthetics: Annotated[
        str, typer.Option(help="AudioBox-Aesthetics' weights: hub, a local checkpoint.pt, or none.")
    ] = "hub",
    prompts: Annotated[
        str | None, typer.Option(help="A CSV of track and prompt, for systems that are generated from text.")
    ] = None,
    device: Device = "auto",
    workers: ModelWorkers = None,
    examples: Annotated[
        int,
        typer.Option(min=0, help="So many of the best and of the worst tracks to listen to in the report."),
    ] = 3,
    max_minutes: MaxMinutes = 15.0,
) -> None:
    """Score the tracks of any number of systems, and write a report to look at.

    Each system is a folder; files of the same name are the same track. Run it again after a crash or with more
    files: only what was not heard yet, or has changed, is heard. A bad file is a row with its error.

    With --vocals the report says how well each system follows the singer, with --truth (or a system named truth)
    how near it comes to the real band, each beside what silence, noise, clicks and the wrong songs would get.

        python jobs/evaluate.py --samples samuel=ours truth=real --vocals voices --out report
        python jobs/evaluate.py --samples samuel=generate:samuel musicgen=generate:musicgen-melody --vocals voices --out report
        python jobs/evaluate.py --samples samuel=s3://bucket/ours jukebox=s3://bucket/jukebox --out s3://bucket/report

    SYSTEM is samuel, musicgen-small, -medium, -large, -melody or stable-audio-open, with its weights after an @ where
    they are not the hub's or the package's (samuel@runs/first). Generated systems are timed in each run (Table II).
    """
    from rich.console import Console
    from rich.markup import escape

    from jobs.runtime.baselines import produce
    from jobs.runtime.cluster import connect
    from jobs.runtime.costs import MachineHours
    from jobs.runtime.scoring import Records
    from jobs.runtime.worker_pool import choose_workers
    from samuel.evaluation.anchors import ANCHORS
    from samuel.evaluation.generators import check_name
    from samuel.evaluation.samples import Folder, Sample, missing_tracks, parse_systems, read_folder
    from samuel.storage import absolute, check_writable
    from samuel.storage.overwriting import refuse_within

    console = Console(soft_wrap=True, highlight=False)
    notices: list[str] = []

    def notice(text: str) -> None:
        notices.append(text)
        console.print(f"[yellow]{escape(text)}[/]")

    with user_errors(console):
        systems = parse_systems([*samples, *(more or [])])
        made = {
            name: spec.removeprefix(GENERATE) for name, spec in systems.items() if spec.startswith(GENERATE)
        }
        for spec in made.values():
            check_name(spec)
        if made and not vocals:
            raise ValueError(f"{', '.join(made)}: to generate, give the --vocals to accompany")
        texts = read_prompts(prompts) if prompts else {}
        voices = read_folder("vocals", vocals) if vocals else Folder({})
        folders = {name: read_folder(name, spec) for name, spec in systems.items() if name not in made}
        real = read_folder("truth", truth) if truth else folders.get("truth", Folder({}))
        read = {name: spec for name, spec in systems.items() if name not in made}
        read |= {name: one for name, one in (("vocals", vocals), ("truth", truth)) if one}
        refuse_within(out, {f"the folder of {name}": [spec] for name, spec in read.items()})
        check_writable(out)
        judge = judge_of(aesthetics, console, notice)
        chosen = choose_workers(connect(), device, workers)
        max_seconds = 60 * max_minutes
        timings = []
        with MachineHours(out, console):
            for name, spec in made.items():
                folders[name], timing = produce(
                    name, spec, out, voices.samples, texts, chosen, max_seconds, console, notice
                )
                timings += [timing] if timing else []
            folders = {name: folders[name] for name in systems}
            for folder in (*folders.values(), voices, real):
                for warning in folder.warnings:
                    notice(warning)
            everyone = folders | ({"vocals": voices} if vocals else {}) | ({"truth": real} if truth else {})
            for line in missing_tracks(everyone):
                notice(line)
            if not any(folder.samples for folder in folders.values()):
                raise ValueError("no system has a track: there is nothing to score")
            anchors = Folder({name: Sample("", name, f"anchor:{name}", "") for name in ANCHORS})
            wanted = [sample for folder in everyone.values() for sample in folder.samples.values()]
            records = Records(out, judge)
            present = records.present()
            console.print(
                f"{len(wanted)} files of {len(everyone)} folders, {sum(one.key in present for one in wanted)} heard before"
            )
            asked = {one.key: one for one in [*wanted, *anchors.samples.values()] if one.key not in present}
            reasons = measure(
                list(asked.values()),
                records,
                chosen,
                console,
                aesthetics="none" if judge == "none" else aesthetics,
                max_seconds=max_seconds,
            )
        evaluation = gathered(folders, voices, real, anchors, records, reasons, notice)
        with console.status("scoring and writing the report"):
            write_report(
                out,
                evaluation,
                folders,
                voices,
                examples,
                max_seconds,
                notices=notices,
                timings=timings,
                judge=judge,
            )
    console.print(f"report: {absolute(out)}/report.html (and report.md, scores.parquet, scores.csv)")


def judge_of(aesthetics: str, console: "Console", notice: "Callable[[str], None]") -> str:
    """Which weights judge how it sounds; "none", with a notice, where they cannot be had."""
    from samuel.evaluation.aesthetics import WeightsError, fetch_weights

    if aesthetics == "none":
        return "none"
    try:
        with console.status("looking for the weights of AudioBox-Aesthetics"):
            return fetch_weights(aesthetics)
    except WeightsError as error:
        notice(str(error))
        return "none"


def gathered(
    folders: dict[str, "Folder"],
    voices: "Folder",
    real: "Folder",
    anchors: "Folder",
    records: "Records",
    reasons: dict[str, str],
    notice: "Callable[[str], None]",
) -> "EvaluationRecords":
    """What was measured of all; a record of its error for what could not be, which `reasons` have by key."""
    from samuel.evaluation.record import failed
    from samuel.evaluation.scores import EvaluationRecords, uncompared

    def records_of(folder: "Folder") -> dict[str, Any]:
        return {
            track: failed(reasons[one.key]) if one.key in reasons else records.read(one.key)
            for track, one in folder.samples.items()
        }

    compared = {"vocals": records_of(voices), "truth": records_of(real), "anchors": records_of(anchors)}
    for line in uncompared(compared):
        notice(line)
    return EvaluationRecords(
        {name: records_of(folder) for name, folder in folders.items()},
        compared["vocals"],
        compared["truth"],
        {name: record for name, record in compared["anchors"].items() if not record.error},
        {(name, track): one.source for name, own in folders.items() for track, one in own.samples.items()},
    )


def write_report(
    out: str,
    evaluation: "EvaluationRecords",
    folders: dict[str, "Folder"],
    voices: "Folder",
    examples: int,
    max_seconds: float,
    *,
    notices: list[str],
    timings: list[Any],
    judge: str,
) -> None:
    """Score, and write all files of the report, with so many of the best and the worst tracks to listen to."""
    from samuel import __version__
    from samuel.evaluation.examples import make_examples
    from samuel.evaluation.musicnn import NAME
    from samuel.evaluation.report import Facts, best_and_worst, csv_of, html, markdown, parquet_of
    from samuel.evaluation.scores import frechet_distances, score
    from samuel.storage import join, write_atomic

    scores = score(evaluation)
    tracks = {**evaluation.systems, **evaluation.anchor_tracks()}
    frechet, vectors = frechet_distances(tracks, evaluation.reference)
    today = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    tools = [f"samuel {__version__}", f"{NAME} (in the package)", "librosa, mir_eval, FFmpeg's ebur128"]
    tools += [f"AudioBox-Aesthetics (weights {judge})"] if judge != "none" else []
    facts = Facts(today, notices, frechet, vectors, timings, tools)
    chosen = best_and_worst(scores, examples) if examples else []
    shown = make_examples(chosen, folders, voices, max_seconds)
    previews = {(name, track): one for name, own in evaluation.systems.items() for track, one in own.items()}
    for file, data in {
        "report.html": html(scores, facts, shown, previews).encode(),
        "report.md": markdown(scores, facts).encode(),
        "scores.parquet": parquet_of(scores),
        "scores.csv": csv_of(scores),
    }.items():
        write_atomic(join(out, file), data)


def measure(
    samples: list["Sample"], records: "Records", workers: "WorkerPool", console: "Console", **how: Any
) -> dict[str, str]:
    """Have the samples measured, their records kept; the reasons of those that could not be, by their keys."""
    from rich.markup import escape

    from jobs.runtime.progress import show_progress
    from jobs.runtime.scoring import extract_records

    reasons: dict[str, str] = {}
    with show_progress("heard", len(samples), console) as count:
        for row in extract_records(samples, records, workers, **how):
            count(row["seconds"])
            if row["error"]:
                console.print(f"[red]{escape(row['source'])}: {escape(row['error'])}[/]")
                reasons[row["key"]] = row["error"]
    return reasons


if __name__ == "__main__":
    app()
