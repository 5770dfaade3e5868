"""The loss curve as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pyarrow as pa

from nightrank.tasks.models.curve import LOSSES, draw_losses

if TYPE_CHECKING:
    from pathlib import Path


def test_the_same_curve_is_the_same_picture(tmp_path: Path) -> None:
    rows = [
        {"step": step, "loss": 3.0 / step, "learning_rate": 0.1, "held_out": 0.5 if step % 10 == 0 else None}
        for step in range(1, 41)
    ]
    losses = pa.Table.from_pylist(rows, schema=LOSSES)

    for name in ("first.svg", "second.svg"):
        draw_losses(losses, tmp_path / name, held_out="nDCG@10")

    text = (tmp_path / "first.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "second.svg").read_text(encoding="utf-8")
    assert "nDCG@10" in text
    assert ElementTree.fromstring(text).tag.endswith("svg")


def test_a_training_of_one_update_has_a_picture_too(tmp_path: Path) -> None:
    losses = pa.Table.from_pylist([{"step": 1, "loss": 1.0, "learning_rate": 0.0, "held_out": 0.25}], schema=LOSSES)

    draw_losses(losses, tmp_path / "losses.svg", held_out="nDCG@10")

    assert (tmp_path / "losses.svg").stat().st_size > 1000
