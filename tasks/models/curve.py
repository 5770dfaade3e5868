"""The loss curve of a training as a picture: the loss of each update, and the held-out figure where it was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

LOSSES = pa.schema(
    [
        pa.field("step", pa.int32(), nullable=False),
        pa.field("loss", pa.float64()),
        pa.field("learning_rate", pa.float64()),
        pa.field("held_out", pa.float64()),  # the figure of the watched held-out queries, where they were looked at
    ]
)


def draw_losses(losses: pa.Table, path: Path, *, held_out: str) -> None:
    """Draw the curve as SVG.

    Args:
        losses: Schema LOSSES.
        path: The file.
        held_out: What the held-out figure is.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "nightrank", "svg.fonttype": "none"}):  # the same curve, the same file
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        plot_losses(figure.add_subplot(), losses, held_out=held_out, colours=("#9db8d2", "#1f5a91", "#b3541e"))
        figure.savefig(path, format="svg", metadata={"Date": None})


def plot_losses(left: Axes, losses: pa.Table, *, held_out: str, colours: tuple[str, str, str]) -> None:
    """Plot the loss of each update, its running mean, and on an axis at the right the held-out figure.

    Args:
        left: Where.
        losses: Schema LOSSES.
        held_out: What the held-out figure is.
        colours: Of the three lines.
    """
    each, mean, watched = colours
    steps, values = _known(losses, "loss")
    left.plot(steps, values, color=each, linewidth=0.8)
    left.plot(*_running_mean(steps, values, max(1, values.size // 20)), color=mean, linewidth=1.6)
    left.set_xlabel("update")
    left.set_ylabel("loss", color=mean)
    right = left.twinx()
    right.plot(*_known(losses, "held_out"), color=watched, marker="o", markersize=3.5, linewidth=1.2)
    right.set_ylabel(held_out, color=watched)
    right.grid(visible=False)


def _known(losses: pa.Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = losses.filter(pc.is_valid(losses.column(name)))
    return rows.column("step").to_numpy().astype(np.float64), rows.column(name).to_numpy()


def _running_mean(
    steps: NDArray[np.float64], values: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    means = np.convolve(values, np.ones(window) / window, mode="valid")
    return steps[window - 1 :], means
