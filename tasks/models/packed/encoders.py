"""Encoders of the types that are known, each by its network's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nightrank.tasks.models.packed.bert import PackedBert
from nightrank.tasks.models.packed.modernbert import KNOWN as MODERN
from nightrank.tasks.models.packed.modernbert import PackedModernBert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nightrank.tasks.models.tokens import PackedTokens


class PackedEncoder(Protocol):
    """An encoder over packed tokens."""

    def states(self, batches: Sequence[PackedTokens]) -> list[Tensor]:
        """The last states of batches, which meet nowhere.

        Args:
            batches: Of one sequence or more each.

        Returns:
            Of each batch, on the device, (n_tokens, dim), or (n, dim) where only first tokens' states are wanted.
        """
        ...


def packed_encoder(network: Any, *, first_only: bool) -> PackedEncoder:  # noqa: ANN401 (transformers leaves it untyped)
    """An encoder of transformers over packed tokens.

    Args:
        network: On its device, in its precision.
        first_only: Whether only the states of first tokens are wanted.

    Raises:
        ValueError: It is of a type that is not known.
    """
    kind = PackedModernBert if type(network).__name__ in MODERN else PackedBert
    return kind(network, first_only=first_only)
