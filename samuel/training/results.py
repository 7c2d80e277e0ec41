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
from samuel.model.conditions import VOCALS
from samuel.storage import Location, as_path, write_atomic
from samuel.training import plots
from samuel.training.objective import ValidationMetrics, ValidationSet
from samuel.training.statistics import Statistics


def write_results(
    run: Location,
    model: SamuelUNet,
    validation_set: ValidationSet | None,
    metrics: dict[str, ValidationMetrics],
    statistics: Statistics,
    history: dict[str, plots.Losses],
    decode: Callable[[Tensor], Tensor] | None,
) -> None:
    """Write all of the above into the folder of a run; without a validation_set, the losses alone.

    `model` is the averaged one, `metrics` its own with the vocals "matched", "mismatched" with another song's, and "unconditional".
    """
    rows = [(kind, *row) for kind in ("training", "validation") for row in history[kind]]
    files = {"curves.png": plots.curves(history), "curves.csv": _csv(("kind", "step", "loss"), rows)}
    if validation_set:
        files |= metric_files(model, validation_set, metrics, statistics, decode)
    for name, data in files.items():
        write_atomic(as_path(run) / name, data)


def metric_files(
    model: SamuelUNet,
    validation_set: ValidationSet,
    metrics: dict[str, ValidationMetrics],
    statistics: Statistics,
    decode: Callable[[Tensor], Tensor] | None,
) -> dict[str, bytes]:
    """Files by name: errors by noise level, and a sample to look at and, with `decode`, to listen to."""
    generated = accompany(model, validation_set.conditions[:1])
    pictures = {
        "vocals": validation_set.conditions[0, VOCALS],
        "true accompaniment": validation_set.accompaniment[0],
        "generated accompaniment": generated[0],
    }
    files = {
        "noise_levels.png": plots.noise_levels(metrics),
        "noise_levels.csv": _csv(LEVEL_COLUMNS, level_rows(metrics)),
        "sample.png": plots.latents(pictures),
    }
    if decode:
        audio = decode(statistics.denormalize(validation_set.conditions[:1, VOCALS], "vocals"))
        audio = audio + decode(statistics.denormalize(generated, "accompaniment"))
        files["sample.wav"] = _wav(audio[0])
    return files


LEVEL_COLUMNS = ("first_timestep", "matched", "mismatched", "unconditional", "v_deviation", "x0_deviation")


def level_rows(metrics: dict[str, ValidationMetrics]) -> list[tuple[float | int, ...]]:
    """One row a band of noise: the error of x0 with each vocals, then the deviations with the right ones."""
    columns = [metrics[vocals].by_level("x0_error") for vocals in ("matched", "mismatched", "unconditional")]
    columns += [metrics["matched"].by_level(name) for name in ("v_deviation", "x0_deviation")]
    width = len(cosine_schedule()) // len(columns[0])
    return [(band * width, *values) for band, values in enumerate(zip(*columns, strict=True))]


def accompany(model: SamuelUNet, conditions: Tensor) -> Tensor:
    """Normalized accompaniment for what is given, in 25 steps, always from the same noise."""
    shape = (len(conditions), model.config.latent_channels, conditions.shape[-1])
    noise = seeded_noise(shape, seed=0, device=conditions.device)
    return sample(guided(model, conditions, Guidance()), noise, cosine_schedule(), steps=25)


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
