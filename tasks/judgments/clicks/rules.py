"""How clicks become judgments: what the command is told, apart from what computes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from nightrank.tasks.judgments.clicks.models import ClickModel

LEAST_LOOKS = 10.0  # at a document, for its clicks to say something


@dataclass(frozen=True, slots=True)
class ClickRules:
    """How clicks become judgments.

    Attributes:
        model: Which.
        least_looks: At a document, as far as propensities tell, for it to be judged.
        propensities: Of a look at each rank, where they are known; None: they are estimated.

    Raises:
        InputError: Numbers are none that looks or chances can be, or propensities are given to a model that asks for
            none.
    """

    model: ClickModel = "position"
    least_looks: float = LEAST_LOOKS
    propensities: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.least_looks < math.inf:
            raise InputError(f"--least-looks {self.least_looks:g} is no number of looks.", remedy="Give one above 0.")
        for value in self.propensities or ():
            if not 0.0 < value <= 1.0:
                message = f"--propensity {value:g} is no chance of a look."
                raise InputError(message, remedy="Give numbers above 0 and up to 1, the first rank's first.")
        if self.propensities is not None and self.model != "position":
            message = f"--propensity says nothing to the click model {self.model!r}."
            raise InputError(message, remedy="Leave it out, or take --click-model position.")
