"""BERT-type encoders over sequences laid end to end: nothing is padded, and nothing is computed that nobody reads.

The numbers are those of transformers to rounding; what differs is how they come about. All tokens of a batch, which on
CPUs is one sequence, go through the matrix products as one long row of tokens; attention sees sequences of equal length
together, or, in half precision on a GPU, all of them at once by a kernel for lengths that vary. Where only the first
token's state is read, as a cross-encoder's head does, the last layer is computed for the first tokens alone. On CPUs
the weights are laid out once as oneDNN's kernels like them, which also add residuals and apply the activation while
results are in cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nightrank.tasks.models.distilbert import as_bert
from nightrank.tasks.models.linear import FusedLinear

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.tokens import PackedTokens

# Encoders whose layers are BERT's, by class name, and how far their positions are from 0.
_BERT, _ROBERTA = {"BertModel", "DistilBertModel"}, {"RobertaModel", "XLMRobertaModel"}
KNOWN = _BERT | _ROBERTA
VARLEN_CAPABILITY = (8, 0)  # of GPUs that the kernel for varying lengths runs on


@dataclass(frozen=True, slots=True)
class _Block:
    """Sequences of equal length that lie side by side: where the first starts, which it is, how many, how long."""

    start: int
    first: int
    count: int
    length: int


@dataclass(frozen=True, slots=True)
class _Sequences:
    """Where the sequences of a batch are.

    Attributes:
        blocks: Of equal length.
        starts: int64 (n,), on the device.
        bounds: int32 (n + 1,), on the device, for the kernel for varying lengths; None where it is not used.
        longest: Tokens.
    """

    blocks: tuple[_Block, ...]
    starts: Tensor
    bounds: Tensor | None
    longest: int


class _Layer:
    """One layer's weights, as they are used here.

    Args:
        layer: Of transformers.
        asks_apart: Whether queries come from fewer tokens than keys and values.
    """

    def __init__(self, layer: Any, *, asks_apart: bool) -> None:  # noqa: ANN401 (transformers leaves it untyped)
        attention = layer.attention.self
        self.heads: int = attention.num_attention_heads
        asked = [attention.query]
        key_value = [attention.key, attention.value]
        self.asked = FusedLinear(asked) if asks_apart else None
        self.key_value = FusedLinear(key_value if asks_apart else [*asked, *key_value])
        self._attended = FusedLinear([layer.attention.output.dense])
        self._attended_norm = layer.attention.output.LayerNorm
        self._widened = FusedLinear([layer.intermediate.dense], activation="gelu")
        self._narrowed = FusedLinear([layer.output.dense])
        self._norm = layer.output.LayerNorm

    def after_attention(self, attention: Tensor, states: Tensor) -> Tensor:
        """What comes out of the layer, (n, dim), of what attention found, (n, dim), and what went in, (n, dim)."""
        attended = self._attended_norm(self._attended(attention, states))
        normed: Tensor = self._norm(self._narrowed(self._widened(attended), attended))
        return normed


class PackedEncoder:
    """An encoder of transformers, run over packed tokens.

    Args:
        network: On its device, in its precision; its class is one of ``KNOWN``.
        first_only: Whether only the states of first tokens are wanted.

    Raises:
        ValueError: It is no encoder of a known type.
    """

    def __init__(self, network: Any, *, first_only: bool) -> None:  # noqa: ANN401 (transformers leaves it untyped)
        kind = type(network).__name__
        if kind == "DistilBertModel":
            network = as_bert(network)
        config = network.config
        if kind not in KNOWN or config.hidden_act != "gelu" or getattr(config, "is_decoder", False):
            raise ValueError(f"{kind} is no encoder of a known type.")
        self._embeddings = network.embeddings
        self._first_position = 0 if kind in _BERT else config.pad_token_id + 1
        layers = list(network.encoder.layer)
        self._layers = [_Layer(layer, asks_apart=first_only and layer is layers[-1]) for layer in layers]
        weight = network.embeddings.word_embeddings.weight
        self._device: torch.device = weight.device
        self._attends_varying = _attends_varying(weight, head_size=config.hidden_size // config.num_attention_heads)

    def states(self, batches: Sequence[PackedTokens]) -> list[Tensor]:
        """The last states of batches, which meet nowhere: each goes through its own products, of its own shape.

        All pass a layer before the next one is begun, so that its weights are read from memory once.

        Args:
            batches: Of one sequence or more each.

        Returns:
            Of each batch, on the device, (n_tokens, dim), or (n, dim) where only first tokens' states are wanted.
        """
        through = [self._embedded(tokens) for tokens in batches]
        for layer in self._layers:
            step = self._through if layer.asked is None else self._through_to_first
            through = [(step(layer, states, sequences), sequences) for states, sequences in through]
        return [states for states, _ in through]

    def _embedded(self, tokens: PackedTokens) -> tuple[Tensor, _Sequences]:
        """The tokens' embeddings, (n_tokens, dim), and where the sequences are."""
        places = tokens.positions + self._first_position
        ids, types, positions = self._sent(np.stack([tokens.ids, tokens.types, places]))
        bounds = np.append(tokens.starts, tokens.ids.size)
        sent = self._sent(bounds)
        sequences = _Sequences(
            _blocks_of(tokens.lengths),
            sent[:-1],
            sent.to(torch.int32) if self._attends_varying else None,
            int(tokens.lengths.max()),
        )
        table = self._embeddings
        states = functional.embedding(ids, table.word_embeddings.weight)
        states += functional.embedding(types, table.token_type_embeddings.weight)
        states += functional.embedding(positions, table.position_embeddings.weight)
        return table.LayerNorm(states), sequences

    def _sent(self, values: NDArray[np.int64]) -> Tensor:
        """An array on the device; the host goes on while it travels."""
        tensor = torch.from_numpy(values)
        if self._device.type != "cuda":
            return tensor.to(self._device)
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _through(self, layer: _Layer, states: Tensor, sequences: _Sequences) -> Tensor:
        """States after a layer, (n_tokens, dim)."""
        projected = layer.key_value(states).view(states.shape[0], 3, layer.heads, -1)
        if sequences.bounds is not None:
            found = _attend_varying(projected.unbind(1), sequences.bounds, sequences)
        else:
            found = _by_blocks(
                sequences.blocks,
                lambda block: (
                    projected[block.start : block.start + block.count * block.length]
                    .view(block.count, block.length, 3, layer.heads, -1)
                    .permute(2, 0, 3, 1, 4)
                    .unbind(0)
                ),
            )
        return layer.after_attention(found, states)

    def _through_to_first(self, layer: _Layer, states: Tensor, sequences: _Sequences) -> Tensor:
        """First tokens' states after a layer, (n, dim)."""
        assert layer.asked is not None  # it asks apart
        first = states[sequences.starts]
        key_value = layer.key_value(states).view(states.shape[0], 2, layer.heads, -1)
        asked = layer.asked(first).view(first.shape[0], layer.heads, -1)
        if sequences.bounds is not None:
            each = torch.arange(sequences.bounds.numel(), dtype=torch.int32, device=self._device)
            found = _attend_varying((asked, *key_value.unbind(1)), each, sequences)
        else:

            def of(block: _Block) -> tuple[Tensor, ...]:
                part = key_value[block.start : block.start + block.count * block.length]
                key, value = part.view(block.count, block.length, 2, layer.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
                return asked[block.first : block.first + block.count].unsqueeze(2), key, value

            found = _by_blocks(sequences.blocks, of)
        return layer.after_attention(found, first)


def _blocks_of(lengths: NDArray[np.int64]) -> tuple[_Block, ...]:
    blocks: list[_Block] = []
    start = first = 0
    for length, same in groupby(lengths.tolist()):
        count = sum(1 for _ in same)
        blocks.append(_Block(start, first, count, length))
        start, first = start + count * length, first + count
    return tuple(blocks)


def _by_blocks(blocks: Sequence[_Block], of: Callable[[_Block], tuple[Tensor, ...]]) -> Tensor:
    """Attention block by block: of queries, keys and values (count, heads, length, size), (n_rows, heads * size)."""
    found = []
    for block in blocks:
        query, key, value = of(block)
        attended = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        found.append(attended.reshape(attended.shape[0] * attended.shape[1], -1))
    return found[0] if len(found) == 1 else torch.cat(found)


def _attends_varying(weight: Tensor, *, head_size: int) -> bool:
    """Whether the device has the kernel for sequences of varying lengths."""
    if weight.device.type != "cuda" or weight.dtype not in (torch.float16, torch.bfloat16) or head_size % 8:
        return False
    return torch.cuda.get_device_capability(weight.device) >= VARLEN_CAPABILITY


def _attend_varying(projected: tuple[Tensor, ...], query_bounds: Tensor, sequences: _Sequences) -> Tensor:
    """Attention of all sequences at once: queries, keys and values (n_rows, heads, size), (n_queries, heads * size)."""
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = projected
    longest = sequences.longest if query.shape[0] == key.shape[0] else 1
    found = varlen_attn(query, key, value, query_bounds, sequences.bounds, longest, sequences.longest)
    assert isinstance(found, Tensor)  # nothing else was asked for
    return found.flatten(1)


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
    found = [
        reduce(states[block.start : block.start + block.count * block.length].view(block.count, block.length, -1))
        for block in _blocks_of(lengths)
    ]
    return found[0] if len(found) == 1 else torch.cat(found)
