"""Pictures of a run, as PNG bytes. Drawn without a display; pyplot and its global state are not used."""

import io

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from samuel.training.objective import NOISE_LEVELS, ValidationMetrics

Losses = list[list[float | int]]
"""Rows of (step, loss)."""


def curves(history: dict[str, Losses]) -> bytes:
    """Training and validation loss over steps."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(*_columns(history["training"]), label="training", linewidth=0.7, alpha=0.6)
    axes.plot(*_columns(history["validation"]), label="validation (averaged weights)", marker=".")
    axes.set(xlabel="step", ylabel="weighted error of v", yscale="log")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    return _png(figure)


def noise_levels(metrics: dict[str, ValidationMetrics]) -> bytes:
    """Left: the paper's Fig. 3, the deviation of the prediction over timesteps. Right: the error of x0.

    `metrics`: keyed by whose vocals were given: "matched", "mismatched", "unconditional".
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    deviation, error = figure.subplots(1, 2)
    steps = [(band + 0.5) / NOISE_LEVELS * 800 for band in range(NOISE_LEVELS)]
    deviation.plot(steps, metrics["matched"].by_level("v_deviation"), label="v", marker=".")
    deviation.plot(steps, metrics["matched"].by_level("x0_deviation"), label="x0 found from it", marker=".")
    deviation.set(xlabel="timestep (799: noise alone)", ylabel="standard deviation", title="prediction")
    for vocals, one in metrics.items():
        error.plot(steps, one.by_level("x0_error"), label=f"{vocals} vocals", marker=".")
    error.set(xlabel="timestep (799: noise alone)", ylabel="mean squared error", title="x0 of held-out songs")
    for axes in (deviation, error):
        axes.grid(alpha=0.3)
        axes.legend()
    return _png(figure)


def latents(pictures: dict[str, Float[Tensor, "channel frame"]]) -> bytes:
    """Normalized latents one below the other, with equal colours."""
    figure = Figure(figsize=(10, 2.2 * len(pictures)), layout="constrained")
    for axes, (title, picture) in zip(
        figure.subplots(len(pictures), squeeze=False)[:, 0], pictures.items(), strict=True
    ):
        axes.imshow(
            picture.float().cpu().numpy(), aspect="auto", origin="lower", vmin=-3, vmax=3, cmap="RdBu_r"
        )
        axes.set(title=title, ylabel="channel")
    axes.set(xlabel="frame")
    return _png(figure)


def _columns(rows: Losses) -> tuple[list[float | int], list[float | int]]:
    return [row[0] for row in rows], [row[1] for row in rows]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
