"""ModernBERT's encoder over sequences laid end to end: what ettin, gte-modernbert and others are made of.

Layers see their whole sequence or, most of them, 64 tokens on either side. Positions are turns of queries and keys by
pairs of numbers: as complex ones, of which a turn is one product. So that pairs lie side by side, the rows of the
weights that make them are put in another order, which no product of a query with a key can tell.

ModernBERT: Warner et al., 2024, arXiv:2412.13663. Turned positions: Su et al., 2021, arXiv:2104.09864.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nightrank.tasks.models.packed.linear import FusedLinear
from nightrank.tasks.models.packed.sequences import Sequences, attends_varying, on_device

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        self.heads, self.kind, self.first_only = heads, layer.attention_type, first_only
        self.window = window if layer.attention_type == LOCAL else None
        self.norm = layer.attn_norm
        self.projected = FusedLinear([_in_pairs(layer.attn.Wqkv, heads=heads)])
        self._attended = FusedLinear([layer.attn.Wo])
        self._mlp_norm = layer.mlp_norm
        wide, gate = _halves(layer.mlp.Wi)
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
        self._turns = {kind: _turns_of(turns, kind, places, weight) for kind in set(config.layer_types)}

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
    projected = layer.projected(layer.norm(states)).view(states.shape[0], 3, layer.heads, -1)
    turned, value = _turned(projected[:, :2], turns), projected[:, 2]
    if layer.first_only:
        found = sequences.attend_from_first(turned[sequences.starts, 0], turned[:, 1], value, window=layer.window)
        return layer.after_attention(found, states[sequences.starts])
    found = sequences.attend(turned[:, 0], turned[:, 1], value, window=layer.window)
    return layer.after_attention(found, states)


def _turned(states: Tensor, turns: Tensor) -> Tensor:
    """Queries and keys, (n_tokens, 2, heads, size), turned by complex (n_tokens, 1, 1, size / 2)."""
    pairs = torch.view_as_complex(states.float().view(*states.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).to(states.dtype)


def _turns_of(turns: Any, kind: str, places: Tensor, weight: Tensor) -> Tensor:  # noqa: ANN401
    """A kind of layer's turns by position, rounded as transformers rounds them: complex (n, 1, 1, size / 2)."""
    cosines, sines = turns(weight[:1], places[None], kind)
    half = cosines.shape[-1] // 2  # the second half is the first once more
    return torch.complex(cosines[0, :, :half].float(), sines[0, :, :half].float())[:, None, None]


def _in_pairs(layer: nn.Linear, *, heads: int) -> nn.Linear:
    """A layer that makes queries, keys and values, with the two numbers side by side of queries' and keys' pairs."""
    size = layer.out_features // (3 * heads)
    in_pairs = torch.arange(size).view(2, size // 2).T.flatten()
    each = torch.stack([in_pairs, in_pairs, torch.arange(size)])
    rows = (torch.arange(3 * heads).view(3, heads, 1) * size + each[:, None]).flatten().to(layer.weight.device)
    return _with(layer, layer.weight[rows], None if layer.bias is None else layer.bias[rows])


def _halves(layer: nn.Linear) -> list[nn.Linear]:
    """The two layers whose outputs lie side by side in one's."""
    biases = (None, None) if layer.bias is None else layer.bias.chunk(2)
    return [_with(layer, weight, bias) for weight, bias in zip(layer.weight.chunk(2), biases, strict=True)]


def _with(layer: nn.Linear, weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A layer like another with other weights."""
    made = nn.Linear(layer.in_features, weight.shape[0], bias=bias is not None, device="meta")
    made.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return made
