"""What a delta keeps, what it costs, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from nightrank.storage.errors import InputError
from nightrank.tasks.models.delta import apply_delta, quantise_rows, save_delta

if TYPE_CHECKING:
    from pathlib import Path

BASE = {
    "matrix": torch.tensor([[1.0, -1.0], [2.0, 2.0], [0.5, 0.5]]),
    "vector": torch.tensor([1.0, 2.0]),
    "frozen": torch.tensor([[3.0, 4.0]]),
}
TUNED = {
    # The rows change by (1.27, -0.50), by nothing, and by (-2.54, 0.03).
    "matrix": torch.tensor([[2.27, -1.50], [2.0, 2.0], [-2.04, 0.53]]),
    "vector": torch.tensor([1.5, 2.0]),
    "frozen": torch.tensor([[3.0, 4.0]]),
    "classifier": torch.tensor([[0.1, -0.2]]),
}


def saved(folder: Path) -> Path:
    path = folder / "delta.safetensors"
    save_delta(path, BASE, TUNED)
    return path


def test_a_matrix_comes_back_to_half_a_step_of_its_row(tmp_path: Path) -> None:
    # Steps are 1.27 / 127 = 0.01 and 2.54 / 127 = 0.02: 0.03 lies between one step and two.
    back = apply_delta(BASE, saved(tmp_path))["matrix"]
    assert back[0].tolist() == pytest.approx([2.27, -1.50], abs=1e-6)
    assert back[1].tolist() == [2.0, 2.0]
    assert back[2, 0].item() == pytest.approx(-2.04, abs=1e-6)
    assert abs(back[2, 1].item() - 0.53) <= 0.01 + 1e-6


def test_vectors_and_what_the_base_lacks_come_back_exactly(tmp_path: Path) -> None:
    back = apply_delta(BASE, saved(tmp_path))
    assert torch.equal(back["vector"], TUNED["vector"])
    assert torch.equal(back["classifier"], TUNED["classifier"])


def test_what_training_left_alone_takes_no_room(tmp_path: Path) -> None:
    stored = load_file(saved(tmp_path))
    assert sorted(stored) == ["classifier.whole", "matrix.delta_int8", "matrix.delta_scale", "vector.whole"]
    assert stored["matrix.delta_int8"].dtype == torch.int8


def test_the_base_is_not_changed(tmp_path: Path) -> None:
    apply_delta(BASE, saved(tmp_path))
    assert BASE["matrix"][0].tolist() == [1.0, -1.0]


def test_the_largest_change_of_a_row_uses_the_whole_range() -> None:
    values, scales = quantise_rows(torch.tensor([[-5.08, 2.54]]))
    assert values.tolist() == [[-127, 64]]  # 63.5 steps, rounded to even
    assert scales.tolist() == pytest.approx([0.04])


def test_another_shape_than_the_base_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vector has the shape \(3,\), in the base model \(2,\)"):
        save_delta(tmp_path / "delta.safetensors", BASE, {"vector": torch.zeros(3)})


def test_a_change_of_what_the_base_does_not_have_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with pytest.raises(InputError, match="changes matrix"):
        apply_delta({"vector": BASE["vector"]}, path)


def test_a_file_that_is_no_delta_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(InputError, match="cannot be read as model weights"):
        apply_delta(BASE, tmp_path / "text")
    save_file({"matrix": BASE["matrix"]}, tmp_path / "plain")
    with pytest.raises(InputError, match="matrix, which is no part of a delta"):
        apply_delta(BASE, tmp_path / "plain")
