"""How long texts are that models race on, and how much arithmetic that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def operations(lengths: NDArray[np.integer | np.floating], network: Any, *, first_only: bool) -> float:  # noqa: ANN401 (transformers leaves it untyped)
    """Multiplications and additions that an encoder takes for sequences without padding, all of them attended to.

    Args:
        lengths: (n,), their tokens.
        network: Of transformers.
        first_only: Whether the last layer is computed for the first token alone.
    """
    config = network.config
    width, inner, layers = int(config.hidden_size), int(config.intermediate_size), int(config.num_hidden_layers)
    tokens, squares = float(lengths.sum()), float((lengths.astype(np.float64) ** 2).sum())
    matrices = 3 if config.model_type == "modernbert" else 2  # of the feed-forward part; 3 are gated
    whole = tokens * (8 * width**2 + 2 * matrices * width * inner) + squares * 4 * width
    if not first_only:
        return layers * whole
    last = tokens * (4 * width**2 + 4 * width) + len(lengths) * (4 * width**2 + 2 * matrices * width * inner)
    return (layers - 1) * whole + last


def described(lengths: Sequence[int] | NDArray[np.integer]) -> str:
    """How long sequences are, in words."""
    low, middle, high = np.percentile(lengths, [10, 50, 90])
    return f"{low:.0f}, {middle:.0f} and {high:.0f} tokens at the 10th, 50th and 90th percentile"
