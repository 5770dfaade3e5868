"""The loss curve of a training as a picture: the loss of each update, and the held-out figure where it was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pathlib import Path

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
        left = figure.add_subplot()
        steps, values = _known(losses, "loss")
        left.plot(steps, values, color="#9db8d2", linewidth=0.8)
        window = max(1, values.size // 20)
        left.plot(*_running_mean(steps, values, window), color="#1f5a91", linewidth=1.6, label="loss")
        left.set_xlabel("update")
        left.set_ylabel("loss", color="#1f5a91")
        right = left.twinx()
        right.plot(*_known(losses, "held_out"), color="#b3541e", marker="o", markersize=3.5, linewidth=1.2)
        right.set_ylabel(held_out, color="#b3541e")
        figure.savefig(path, format="svg", metadata={"Date": None})


def _known(losses: pa.Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = losses.filter(pc.is_valid(losses.column(name)))
    return rows.column("step").to_numpy().astype(np.float64), rows.column(name).to_numpy()


def _running_mean(
    steps: NDArray[np.float64], values: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    means = np.convolve(values, np.ones(window) / window, mode="valid")
    return steps[window - 1 :], means
