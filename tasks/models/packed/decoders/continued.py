"""Sequences that go on where others end: passages behind what all of a query's passages share.

Of a decoder, in which a token sees what is before it alone, keys and values of the shared part are the same whatever
follows. They are computed once, and each sequence sees them before its own. The shared part is always computed by
itself, also where one sequence alone goes on from it, so that no number depends on who else does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nightrank.tasks.models.packed.sequences import attend_varying, on_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.models.tokens import PackedTokens

CAUSAL, ALL = (-1, 0), (-1, -1)  # tokens before and behind that a token sees, as the kernel for varying lengths has it


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """What sequences go on from.

    Attributes:
        keys: Of each layer, (length, heads of keys, size).
        values: Of each layer, the same.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        """Its tokens."""
        return self.keys[0].shape[0]


@dataclass(frozen=True, slots=True)
class Continued:
    """The sequences of a batch, each of which goes on from a prefix, or from nothing.

    Attributes:
        lengths: Of each sequence, its own tokens, and those that its last token sees.
        prefixes: Each once.
        order: int64 (n_seen,), on the device: where what sequences see, one after the other, lies among the prefixes'
            tokens and the batch's own behind them; None where it lies like this.
        ends: int64 (n,), on the device, of the sequences' last tokens.
        bounds: int32 (n + 1,), on the device, of the sequences' own tokens and of what they see, for the kernel for
            varying lengths; None where it is not used.
    """

    lengths: tuple[tuple[int, int], ...]
    prefixes: tuple[Prefix, ...]
    order: Tensor | None
    ends: Tensor
    bounds: tuple[Tensor, Tensor] | None

    @classmethod
    def of(
        cls, tokens: PackedTokens, behind: Sequence[Prefix | None], device: torch.device, *, attends_varying: bool
    ) -> Continued:
        """Those of a batch.

        Args:
            tokens: Of the batch.
            behind: (n,), what each sequence goes on from.
            device: Of the model.
            attends_varying: Whether the kernel for varying lengths is used.
        """
        prefixes = tuple(dict.fromkeys(prefix for prefix in behind if prefix is not None))
        before = np.array([0 if prefix is None else prefix.length for prefix in behind], dtype=np.int64)
        own = tokens.lengths
        order = None
        if len(behind) > 1 and prefixes:
            starts = np.cumsum([0, *(prefix.length for prefix in prefixes)])
            place = {prefix: int(start) for prefix, start in zip(prefixes, starts[:-1], strict=True)}
            order = np.concatenate(
                [
                    part
                    for prefix, start, length in zip(behind, tokens.starts, own, strict=True)
                    for part in (
                        *([] if prefix is None else [place[prefix] + np.arange(prefix.length)]),
                        starts[-1] + start + np.arange(length),
                    )
                ]
            )
        ends = np.cumsum(own)
        bounds = None
        if attends_varying:
            sent = on_device(np.stack([np.append(0, ends), np.append(0, np.cumsum(own + before))]), device)
            bounds = (sent[0].to(torch.int32), sent[1].to(torch.int32))
        return cls(
            tuple(zip(own.tolist(), (own + before).tolist(), strict=True)),
            prefixes,
            None if order is None else on_device(order, device),
            on_device(ends - 1, device),
            bounds,
        )

    def seen(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values that sequences see at a layer, one sequence after the other.

        Args:
            layer: Its number.
            key: (n_tokens, heads, size), the batch's own.
            value: The same.

        Returns:
            (n_seen, heads, size), of either.
        """
        if not self.prefixes:
            return key, value
        keys = torch.cat([*(prefix.keys[layer] for prefix in self.prefixes), key])
        values = torch.cat([*(prefix.values[layer] for prefix in self.prefixes), value])
        return (keys, values) if self.order is None else (keys[self.order], values[self.order])

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What each token finds up to itself.

        Args:
            query: (n_tokens, heads, size).
            key: (n_seen, heads of keys, size), as ``seen`` has them.
            value: The same.

        Returns:
            (n_tokens, heads * size).
        """
        if self.bounds is not None:
            return attend_varying((query, key, value), self.bounds, self._longest(), CAUSAL)
        asked = torch.split(query, [own for own, _ in self.lengths])
        return self._one_by_one(asked, key, value)

    def attend_from_last(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What last tokens find in their sequences.

        Args:
            query: (n, heads, size), of the last tokens.
            key: (n_seen, heads of keys, size).
            value: The same.

        Returns:
            (n, heads * size).
        """
        if self.bounds is not None:
            each = torch.arange(query.shape[0] + 1, dtype=torch.int32, device=query.device)
            return attend_varying((query, key, value), (each, self.bounds[1]), (1, self._longest()[1]), ALL)
        return self._one_by_one(torch.split(query, 1), key, value)

    def _longest(self) -> tuple[int, int]:
        return max(own for own, _ in self.lengths), max(seen for _, seen in self.lengths)

    def _one_by_one(self, asked: Sequence[Tensor], key: Tensor, value: Tensor) -> Tensor:
        """What the last tokens of sequences, (m, heads, size) of each, find up to themselves."""
        sizes = [seen for _, seen in self.lengths]
        found = []
        for query, keys, values in zip(asked, torch.split(key, sizes), torch.split(value, sizes), strict=True):
            own, seen = query.shape[0], keys.shape[0]
            attended = functional.scaled_dot_product_attention(
                query.transpose(0, 1)[None],
                keys.transpose(0, 1)[None],
                values.transpose(0, 1)[None],
                attn_mask=None if own in (1, seen) else _up_to_itself(own, seen, query.device),
                is_causal=own == seen > 1,
                enable_gqa=query.shape[1] != keys.shape[1],
            )
            found.append(attended[0].transpose(0, 1).flatten(1))
        return found[0] if len(found) == 1 else torch.cat(found)


def _up_to_itself(own: int, seen: int, device: torch.device) -> Tensor:
    """Bool (own, seen), what each of the last tokens of a sequence sees.

    >>> _up_to_itself(2, 3, torch.device("cpu")).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(own, seen, dtype=torch.bool, device=device).tril(seen - own)
