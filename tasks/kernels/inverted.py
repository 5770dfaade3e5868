"""Rows of tokens turned into the rows of each token, compiled: what the loops of retrieval run over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.kernels.compiled import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@compiled
def invert_rows(
    row_bounds: NDArray[np.int64],
    tokens: NDArray[np.int32],
    weights: NDArray[np.float32],
    bounds: NDArray[np.int32],
    columns: NDArray[np.uint16],
    values: NDArray[np.float32],
) -> None:
    """Turn rows of tokens and weights, a sparse matrix by row, into one by token.

    Args:
        row_bounds: int64 (n_rows + 1,), where each row begins and ends in the two that follow; 65,536 rows at most.
        tokens: int32 (n,).
        weights: float32 (n,).
        bounds: int32 (vocabulary, 2) of zeros, where each token begins and ends in the two that follow; written.
            Tokens beyond are left out.
        columns: uint16 (n,), rows that have a token, ascending; written.
        values: float32 (n,), their weights; written.
    """
    vocabulary = bounds.shape[0]
    for place in range(tokens.size):
        if tokens[place] < vocabulary:
            bounds[tokens[place], 1] += 1
    start = 0
    for token in range(vocabulary):
        count = bounds[token, 1]
        bounds[token, 0] = bounds[token, 1] = start
        start += count
    for row in range(row_bounds.size - 1):
        for place in range(row_bounds[row], row_bounds[row + 1]):
            if tokens[place] < vocabulary:
                at = bounds[tokens[place], 1]
                columns[at], values[at] = row, weights[place]
                bounds[tokens[place], 1] = at + 1
