"""Positions as turns of queries and keys by pairs of numbers: as complex ones, of which a turn is one product.

So that pairs lie side by side, the rows of the weights that make them are put in another order, which no product of a
query with a key can tell.

Turned positions: Su et al., 2021, arXiv:2104.09864.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nightrank.tasks.models.packed.linear import with_weights

if TYPE_CHECKING:
    from collections.abc import Sequence


def turned(states: Tensor, turns: Tensor) -> Tensor:
    """Queries or keys, (n_tokens, ..., size), turned by complex numbers (n_tokens, 1..., size / 2)."""
    pairs = torch.view_as_complex(states.float().view(*states.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).to(states.dtype)


def turns_of(angles: Sequence[Tensor]) -> Tensor:
    """Turns, complex (n_tokens, size / 2), of cosines and sines, (1, n_tokens, size), as transformers rounds them."""
    cosines, sines = angles
    half = cosines.shape[-1] // 2  # the second half is the first once more
    return torch.complex(cosines[0, :, :half].float(), sines[0, :, :half].float())


def in_pairs(layer: nn.Linear, *, size: int) -> nn.Linear:
    """A layer that makes queries or keys, of heads of one size, with the two numbers of each pair side by side."""
    starts = torch.arange(0, layer.out_features, size)
    rows = (starts[:, None] + _order(size)).flatten().to(layer.weight.device)
    return with_weights(layer, layer.weight[rows], None if layer.bias is None else layer.bias[rows])


def norm_in_pairs(norm: Any, *, size: int) -> Any:  # noqa: ANN401 (transformers leaves it untyped)
    """A norm of single heads' queries or keys, for what ``in_pairs`` makes."""
    changed = deepcopy(norm)
    changed.weight = nn.Parameter(norm.weight.detach()[_order(size).to(norm.weight.device)], requires_grad=False)
    return changed


def _order(size: int) -> Tensor:
    """Where the numbers of a head come from, int64 (size,).

    >>> _order(6).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    return torch.arange(size).view(2, size // 2).T.flatten()
