"""What a run leaves to look at and listen to, beside its checkpoints.

curves.png, curves.csv    losses over steps
noise_levels.png, .csv    by noise level: the paper's Fig. 3, and the error of x0 with the right vocals,
                          with those of another song, and with none
sample.png, sample.wav    an accompaniment for held-out vocals (the sound has both), beside the true one
"""

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from samuel.config import SAMPLE_RATE
from samuel.diffusion import Guidance, cosine_schedule, guided, sample, seeded_noise
from samuel.model import SamuelUNet
from samuel.storage import Location, as_path, write_atomic
from samuel.training import plots
from samuel.training.objective import Answers, Probe, ask
from samuel.training.statistics import Statistics


def write_results(
    run: Location,
    model: SamuelUNet,
    probe: Probe,
    statistics: Statistics,
    history: dict[str, plots.Losses],
    decode: Callable[[Tensor], Tensor] | None,
) -> None:
    """Write all of the above into the folder of a run. `model` is the averaged one."""
    answers = {vocals: ask(model, probe, vocals) for vocals in ("right", "other", "dropped")}
    rows = [(kind, *row) for kind in ("training", "validation") for row in history[kind]]
    generated = accompany(model, probe.vocals[:1])
    pictures = {
        "vocals": probe.vocals[0],
        "true accompaniment": probe.accompaniment[0],
        "generated accompaniment": generated[0],
    }
    files = {
        "curves.png": plots.curves(history),
        "curves.csv": _csv(("kind", "step", "loss"), rows),
        "noise_levels.png": plots.noise_levels(answers),
        "noise_levels.csv": _csv(LEVEL_COLUMNS, level_rows(answers)),
        "sample.png": plots.latents(pictures),
    }
    if decode:
        audio = decode(statistics.denormalize(probe.vocals[:1], "vocals"))
        audio = audio + decode(statistics.denormalize(generated, "accompaniment"))
        files["sample.wav"] = _wav(audio[0])
    for name, data in files.items():
        write_atomic(as_path(run) / name, data)


LEVEL_COLUMNS = ("first_timestep", "right", "other", "dropped", "v_deviation", "x0_deviation")


def level_rows(answers: dict[str, Answers]) -> list[tuple[float | int, ...]]:
    """One row a band of noise: the error of x0 with each vocals, then the deviations with the right ones."""
    columns = [answers[vocals].by_level("x0_error") for vocals in ("right", "other", "dropped")]
    columns += [answers["right"].by_level(name) for name in ("v_deviation", "x0_deviation")]
    width = len(cosine_schedule()) // len(columns[0])
    return [(band * width, *values) for band, values in enumerate(zip(*columns, strict=True))]


def accompany(model: SamuelUNet, vocals: Tensor) -> Tensor:
    """Normalized accompaniment for normalized vocals, in 25 steps, always from the same noise."""
    noise = seeded_noise(tuple(vocals.shape), seed=0, device=vocals.device)
    return sample(guided(model, vocals, Guidance()), noise, cosine_schedule(), steps=25)


def _csv(header: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _wav(audio: Tensor) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio.clamp(-1, 1).T.float().cpu().numpy(), SAMPLE_RATE, format="WAV")
    return buffer.getvalue()
