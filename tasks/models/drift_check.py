"""Stored values held against fresh ones: has a driver, a library or a device changed what a model says?

A memo is worth its trust only while the model would say the same again. Whenever a run loads a model, it first computes
a random sample of what is stored once more, and stops before it adds anything where the two disagree: values of two
environments never meet in one memo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.tasks.settings.quality import DriftCheckSettings

# Another processor, and on a GPU another batch, moves a value by some 1e-6 in single precision, and by its last digits
# in half precision. The same processor says the same to the last bit.
TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 1e-1}


def compare_with_stored(
    what: str,
    stored: NDArray[np.float32],
    fresh: NDArray[np.float32],
    *,
    settings: DriftCheckSettings,
    precision: str,
) -> None:
    """Require that stored and fresh values agree.

    Args:
        what: The values' name for people, in the plural.
        stored: float32 (n,) or (n, dim).
        fresh: The same, computed now.
        settings: The tolerance.
        precision: Of the model.

    Raises:
        MachineError: One differs by more than the tolerance.
    """
    difference = np.abs(stored.astype(np.float64) - fresh).reshape(len(stored), -1).max(axis=1, initial=0.0)
    require_agreement(what, difference, settings=settings, precision=precision)


def require_agreement(
    what: str, difference: NDArray[np.float64], *, settings: DriftCheckSettings, precision: str
) -> None:
    """Require that fresh values agree with stored ones.

    Args:
        what: The values' name for people, in the plural.
        difference: float64 (n,), the largest of each value's.
        settings: The tolerance.
        precision: Of the model.

    Raises:
        MachineError: One differs by more than the tolerance.
    """
    tolerance = TOLERANCES[precision] if settings.tolerance is None else settings.tolerance
    # Written so that a fresh value that is not a number counts as wrong.
    wrong = np.count_nonzero(~(difference <= tolerance))
    if wrong:
        message = (
            f"{wrong} of {len(difference)} stored {what} are not what the model says now: they differ by up to "
            f"{np.max(difference):.3g}, and {tolerance:g} is allowed. Nothing was added to them."
        )
        remedy = (
            "A library, a driver or the device has changed. Go back to what computed them, or refresh into another "
            "`workspace`; where the difference is no matter, raise `drift_check.tolerance`."
        )
        raise MachineError(message, remedy=remedy)
