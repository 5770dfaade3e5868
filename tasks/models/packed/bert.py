"""BERT-type encoders over sequences laid end to end: nothing is padded, and nothing is computed that nobody reads.

The numbers are those of transformers to rounding; what differs is how they come about. All tokens of a batch, which on
CPUs is one sequence, go through the matrix products as one long row of tokens. Where only the first token's state is
read, as a cross-encoder's head does, the last layer is computed for the first tokens alone. On CPUs the weights are
laid out once as oneDNN's kernels like them, which also add residuals and apply the activation while results are in
cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch.nn import functional

from nightrank.tasks.models.packed.distilbert import as_bert
from nightrank.tasks.models.packed.linear import FusedLinear
from nightrank.tasks.models.packed.sequences import Sequences, attends_varying, on_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

    from nightrank.tasks.models.tokens import PackedTokens

# Encoders whose layers are BERT's, by class name, and how far their positions are from 0.
_BERT, _ROBERTA = {"BertModel", "DistilBertModel"}, {"RobertaModel", "XLMRobertaModel"}
KNOWN = _BERT | _ROBERTA


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


class PackedBert:
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
        self._attends_varying = attends_varying(weight, head_size=config.hidden_size // config.num_attention_heads)

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

    def _embedded(self, tokens: PackedTokens) -> tuple[Tensor, Sequences]:
        """The tokens' embeddings, (n_tokens, dim), and where the sequences are."""
        places = tokens.positions + self._first_position
        ids, types, positions = on_device(np.stack([tokens.ids, tokens.types, places]), self._device)
        sequences = Sequences.of(tokens, self._device, attends_varying=self._attends_varying)
        table = self._embeddings
        states = functional.embedding(ids, table.word_embeddings.weight)
        states += functional.embedding(types, table.token_type_embeddings.weight)
        states += functional.embedding(positions, table.position_embeddings.weight)
        return table.LayerNorm(states), sequences

    def _through(self, layer: _Layer, states: Tensor, sequences: Sequences) -> Tensor:
        """States after a layer, (n_tokens, dim)."""
        query, key, value = layer.key_value(states).view(states.shape[0], 3, layer.heads, -1).unbind(1)
        return layer.after_attention(sequences.attend(query, key, value), states)

    def _through_to_first(self, layer: _Layer, states: Tensor, sequences: Sequences) -> Tensor:
        """First tokens' states after a layer, (n, dim)."""
        assert layer.asked is not None  # it asks apart
        first = states[sequences.starts]
        key, value = layer.key_value(states).view(states.shape[0], 2, layer.heads, -1).unbind(1)
        asked = layer.asked(first).view(first.shape[0], layer.heads, -1)
        return layer.after_attention(sequences.attend_from_first(asked, key, value), first)
