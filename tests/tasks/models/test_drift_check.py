from __future__ import annotations

import numpy as np
import pytest

from nightrank.storage.errors import MachineError
from nightrank.tasks.models.drift_check import TOLERANCES, compare_with_stored
from nightrank.tasks.settings.quality import DriftCheckSettings

STORED = np.array([[1.0, -2.0], [3.0, 4.0]], dtype=np.float32)


def compare(fresh: np.ndarray, *, tolerance: float | None = None, precision: str = "float32") -> None:
    compare_with_stored(
        "embeddings", STORED, fresh, settings=DriftCheckSettings(tolerance=tolerance), precision=precision
    )


@pytest.mark.parametrize("precision", TOLERANCES)
def test_rounding_passes_and_more_than_that_does_not(precision: str) -> None:
    allowed = TOLERANCES[precision]
    compare(STORED + np.float32(allowed / 2), precision=precision)
    moved = STORED.copy()
    moved[1, 0] -= 2 * allowed
    with pytest.raises(MachineError, match="1 of 2 stored embeddings") as error:
        compare(moved, precision=precision)
    assert "drift_check.tolerance" in (error.value.remedy or "")


def test_the_settings_may_allow_more_or_less() -> None:
    compare(STORED + np.float32(0.5), tolerance=1.0)
    with pytest.raises(MachineError, match="2 of 2"):
        compare(STORED + np.float32(1e-5), tolerance=1e-6)


def test_what_is_not_a_number_never_agrees() -> None:
    fresh = STORED.copy()
    fresh[0, 1] = np.nan
    with pytest.raises(MachineError, match="1 of 2"):
        compare(fresh, tolerance=10.0)


def test_a_single_score_is_compared_like_a_vector() -> None:
    compare_with_stored("pair scores", STORED[:, 0], STORED[:, 0], settings=DriftCheckSettings(), precision="float32")
    with pytest.raises(MachineError, match="2 of 2 stored pair scores"):
        compare_with_stored(
            "pair scores", STORED[:, 0], STORED[:, 1], settings=DriftCheckSettings(), precision="float32"
        )
