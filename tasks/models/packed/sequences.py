"""Sequences that lie end to end: where they are, and attention within each of them.

Attention sees sequences of equal length together, or, in half precision on a GPU, all of them at once by a kernel for
lengths that vary. Local attention, in which a token sees its neighbours alone, is the same with a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nightrank.tasks.models.tokens import PackedTokens

VARLEN_CAPABILITY = (8, 0)  # of GPUs that the kernel for varying lengths runs on


@dataclass(frozen=True, slots=True)
class Block:
    """Sequences of equal length that lie side by side: where the first starts, which it is, how many, how long."""

    start: int
    first: int
    count: int
    length: int

    def of_tokens(self, values: Tensor) -> Tensor:
        """What belongs to its tokens, (count, length, ...), of what belongs to all, (n_tokens, ...)."""
        part = values[self.start : self.start + self.count * self.length]
        return part.view(self.count, self.length, *values.shape[1:])


@dataclass(frozen=True, slots=True)
class Sequences:
    """Where the sequences of a batch are.

    Attributes:
        blocks: Of equal length.
        starts: int64 (n,), on the device.
        bounds: int32 (n + 1,), on the device, for the kernel for varying lengths; None where it is not used.
        longest: Tokens.
    """

    blocks: tuple[Block, ...]
    starts: Tensor
    bounds: Tensor | None
    longest: int

    @classmethod
    def of(cls, tokens: PackedTokens, device: torch.device, *, attends_varying: bool) -> Sequences:
        """Those of a batch.

        Args:
            tokens: Of the batch.
            device: Of the model.
            attends_varying: Whether the kernel for varying lengths is used.
        """
        sent = on_device(np.append(tokens.starts, tokens.ids.size), device)
        bounds = sent.to(torch.int32) if attends_varying else None
        return cls(blocks_of(tokens.lengths), sent[:-1], bounds, int(tokens.lengths.max()))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, window: int | None = None) -> Tensor:
        """What each token finds in its own sequence.

        Args:
            query: (n_tokens, heads, size).
            key: (n_tokens, heads, size).
            value: (n_tokens, heads, size).
            window: Tokens on either side that a token sees; None for all.

        Returns:
            (n_tokens, heads * size).
        """
        if self.bounds is not None:
            bounds, longest = (self.bounds, self.bounds), (self.longest, self.longest)
            return attend_varying((query, key, value), bounds, longest, _within(window))
        found = []
        for block in self.blocks:
            asked, seen, said = (block.of_tokens(values).transpose(1, 2) for values in (query, key, value))
            mask = _band(block.length, window, query.device)
            attended = functional.scaled_dot_product_attention(asked, seen, said, attn_mask=mask).transpose(1, 2)
            found.append(attended.reshape(block.count * block.length, -1))
        return found[0] if len(found) == 1 else torch.cat(found)

    def attend_from_first(self, query: Tensor, key: Tensor, value: Tensor, *, window: int | None = None) -> Tensor:
        """What first tokens find in their sequences.

        Args:
            query: (n, heads, size), of the first tokens.
            key: (n_tokens, heads, size).
            value: (n_tokens, heads, size).
            window: Tokens behind the first one that it sees; None for all.

        Returns:
            (n, heads * size).
        """
        if self.bounds is not None:
            each = torch.arange(self.bounds.numel(), dtype=torch.int32, device=query.device)
            return attend_varying((query, key, value), (each, self.bounds), (1, self.longest), _within(window))
        found = []
        for block in self.blocks:
            asked = query[block.first : block.first + block.count].unsqueeze(2)
            near = block.length if window is None else min(block.length, window + 1)
            seen, said = (block.of_tokens(values)[:, :near].transpose(1, 2) for values in (key, value))
            found.append(functional.scaled_dot_product_attention(asked, seen, said).flatten(1))
        return found[0] if len(found) == 1 else torch.cat(found)


def on_device(values: NDArray[np.int64], device: torch.device) -> Tensor:
    """An array on a device; the host goes on while it travels."""
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def blocks_of(lengths: NDArray[np.int64]) -> tuple[Block, ...]:
    """Sequences of equal length that lie side by side, of lengths int64 (n,)."""
    blocks: list[Block] = []
    start = first = 0
    for length, same in groupby(lengths.tolist()):
        count = sum(1 for _ in same)
        blocks.append(Block(start, first, count, length))
        start, first = start + count * length, first + count
    return tuple(blocks)


def attends_varying(weight: Tensor, *, head_size: int) -> bool:
    """Whether the device of a model's weights has the kernel for sequences of varying lengths."""
    if weight.device.type != "cuda" or weight.dtype not in (torch.float16, torch.bfloat16) or head_size % 8:
        return False
    return torch.cuda.get_device_capability(weight.device) >= VARLEN_CAPABILITY


def attend_varying(
    asked: tuple[Tensor, Tensor, Tensor],
    bounds: tuple[Tensor, Tensor],
    longest: tuple[int, int],
    within: tuple[int, int],
) -> Tensor:
    """Attention of all sequences at once.

    Args:
        asked: Queries (n_queries, heads, size), keys and values (n_seen, heads of keys, size).
        bounds: int32 (n + 1,), on the device, of the sequences among queries, and among what is seen.
        longest: Sequence, of both.
        within: Tokens before and behind that a token sees; -1 for all.

    Returns:
        (n_queries, heads * size).
    """
    from torch.nn.attention.varlen import varlen_attn

    in_groups = asked[0].shape[1] != asked[1].shape[1]
    found = varlen_attn(*asked, *bounds, *longest, window_size=within, enable_gqa=in_groups)
    assert isinstance(found, Tensor)  # nothing else was asked for
    return found.flatten(1)


def _within(window: int | None) -> tuple[int, int]:
    return (-1, -1) if window is None else (window, window)


def _band(length: int, window: int | None, device: torch.device) -> Tensor | None:
    """Bool (length, length), what each token sees through a window; None where that is all."""
    if window is None or length <= window + 1:
        return None
    places = torch.arange(length, device=device)
    return (places[:, None] - places[None, :]).abs() <= window


def mean_of_each(states: Tensor, lengths: NDArray[np.int64]) -> Tensor:
    """The mean of each sequence's states.

    Args:
        states: (n_tokens, dim), end to end.
        lengths: int64 (n,), tokens of each sequence.

    Returns:
        float32 (n, dim).

    >>> mean_of_each(torch.tensor([[1.0], [3.0], [-2.0]]), np.array([2, 1])).tolist()
    [[2.0], [-2.0]]
    """
    return _of_each(states, lengths, lambda same: same.mean(dim=1, dtype=torch.float32))


def highest_of_each(states: Tensor, lengths: NDArray[np.int64]) -> Tensor:
    """The highest value of each sequence, by column.

    Args:
        states: (n_tokens, dim), end to end.
        lengths: int64 (n,), tokens of each sequence.

    Returns:
        (n, dim).

    >>> highest_of_each(torch.tensor([[1.0, -5.0], [3.0, -6.0], [-2.0, 0.0]]), np.array([2, 1])).tolist()
    [[3.0, -5.0], [-2.0, 0.0]]
    """
    return _of_each(states, lengths, lambda same: same.amax(dim=1))


def _of_each(states: Tensor, lengths: NDArray[np.int64], reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """Of each sequence what ``reduce`` makes of those of equal length, (n, length, dim)."""
    found = [reduce(block.of_tokens(states)) for block in blocks_of(lengths)]
    return found[0] if len(found) == 1 else torch.cat(found)
