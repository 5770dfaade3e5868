"""ModernBERT's encoder over sequences laid end to end: what ettin, gte-modernbert and others are made of.

Layers see their whole sequence or, most of them, 64 tokens on either side; positions are turns of queries and keys.

ModernBERT: Warner et al., 2024, arXiv:2412.13663.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from nightrank.tasks.models.packed.linear import FusedLinear, parted
from nightrank.tasks.models.packed.rotary import in_pairs, turned, turns_of
from nightrank.tasks.models.packed.sequences import Sequences, attends_varying, on_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nightrank.tasks.models.tokens import PackedTokens

KNOWN = {"ModernBertModel"}
LOCAL = "sliding_attention"


class _Layer:
    """One layer's weights, as they are used here.

    Args:
        layer: Of transformers.
        heads: Of attention.
        window: Tokens on either side that a token of a local layer sees.
        first_only: Whether only first tokens' states are wanted of it.
    """

    def __init__(self, layer: Any, *, heads: int, window: int, first_only: bool) -> None:  # noqa: ANN401
        self.heads, self.kind = heads, layer.attention_type
        self.window = window if layer.attention_type == LOCAL else None
        self.norm = layer.attn_norm
        query, key, value = parted(layer.attn.Wqkv, 3)
        size = query.out_features // heads
        asked, seen = [in_pairs(query, size=size)], [in_pairs(key, size=size), value]
        self.asked = FusedLinear(asked) if first_only else None
        self.projected = FusedLinear(seen if first_only else [*asked, *seen])
        self._attended = FusedLinear([layer.attn.Wo])
        self._mlp_norm = layer.mlp_norm
        wide, gate = parted(layer.mlp.Wi, 2)
        self._widened, self._gate = FusedLinear([wide], activation="gelu"), FusedLinear([gate])
        self._narrowed = FusedLinear([layer.mlp.Wo])

    def after_attention(self, attention: Tensor, states: Tensor) -> Tensor:
        """What comes out of the layer, (n, dim), of what attention found, (n, dim), and what went in, (n, dim)."""
        attended = self._attended(attention, states)
        normed = self._mlp_norm(attended)
        return self._narrowed(self._widened(normed).mul_(self._gate(normed)), attended)


class PackedModernBert:
    """An encoder of transformers, run over packed tokens.

    Args:
        network: On its device, in its precision.
        first_only: Whether only the states of first tokens are wanted.

    Raises:
        ValueError: It is another network, or one with parts that are not known.
    """

    def __init__(self, network: Any, *, first_only: bool) -> None:  # noqa: ANN401 (transformers leaves it untyped)
        config = network.config
        if type(network).__name__ not in KNOWN or config.hidden_activation != "gelu":
            raise ValueError(f"{type(network).__name__} is no encoder of a known type.")
        turns = network.rotary_emb
        if {turns.rope_type.get(kind) for kind in set(config.layer_types)} != {"default"}:
            raise ValueError("Its positions are scaled.")
        self._embeddings, self._final_norm = network.embeddings, network.final_norm
        layers = list(network.layers)
        heads, window = config.num_attention_heads, config.sliding_window
        self._layers = [
            _Layer(layer, heads=heads, window=window, first_only=first_only and layer is layers[-1]) for layer in layers
        ]
        weight = network.embeddings.tok_embeddings.weight
        self._device: torch.device = weight.device
        self._attends_varying = attends_varying(weight, head_size=config.hidden_size // heads)
        places = torch.arange(config.max_position_embeddings, device=self._device)
        self._turns = {
            kind: turns_of(turns(weight[:1], places[None], kind))[:, None, None] for kind in set(config.layer_types)
        }

    def states(self, batches: Sequence[PackedTokens]) -> list[Tensor]:
        """The last states of batches, which meet nowhere; as ``tasks.models.packed.bert`` has them.

        Args:
            batches: Of one sequence or more each.

        Returns:
            Of each batch, on the device, (n_tokens, dim), or (n, dim) where only first tokens' states are wanted.
        """
        through = []
        for tokens in batches:
            ids, positions = on_device(np.stack([tokens.ids, tokens.positions]), self._device)
            sequences = Sequences.of(tokens, self._device, attends_varying=self._attends_varying)
            states = self._embeddings.norm(functional.embedding(ids, self._embeddings.tok_embeddings.weight))
            through.append((states, sequences, {kind: turns[positions] for kind, turns in self._turns.items()}))
        for layer in self._layers:
            through = [
                (_through(layer, states, sequences, turns[layer.kind]), sequences, turns)
                for states, sequences, turns in through
            ]
        return [self._final_norm(states) for states, _, _ in through]


def _through(layer: _Layer, states: Tensor, sequences: Sequences, turns: Tensor) -> Tensor:
    """States after a layer, (n_tokens, dim), or first tokens' alone, (n, dim)."""
    normed = layer.norm(states)
    projected = layer.projected(normed).view(states.shape[0], -1, layer.heads, normed.shape[1] // layer.heads)
    found, value = turned(projected[:, :-1], turns), projected[:, -1]
    if layer.asked is None:
        attended = sequences.attend(found[:, 0], found[:, 1], value, window=layer.window)
        return layer.after_attention(attended, states)
    first = sequences.starts
    query = layer.asked(normed[first]).view(first.shape[0], layer.heads, -1)
    attended = sequences.attend_from_first(turned(query, turns[first, 0]), found[:, 0], value, window=layer.window)
    return layer.after_attention(attended, states[first])
