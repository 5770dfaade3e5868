"""Decoders over sequences laid end to end: what Qwen3-Reranker, mxbai-rerank, bge-reranker-v2-gemma and others are.

Their layers are alike: a norm, attention of each token to those before it, by heads that share keys and values, a norm,
a gated feed-forward part; positions are turns of queries and keys. Nothing is computed that nobody reads: of what
sequences share, keys and values once; of the last layer, the last tokens alone.

Qwen3: 2025, arXiv:2505.09388. Shared keys and values: Ainslie et al., 2023, arXiv:2305.13245.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nightrank.tasks.models.packed.decoders.continued import Continued, Prefix
from nightrank.tasks.models.packed.linear import FusedLinear
from nightrank.tasks.models.packed.rotary import in_pairs, norm_in_pairs, turned, turns_of
from nightrank.tasks.models.packed.sequences import attends_varying, on_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from nightrank.tasks.models.packed.linear import Activation
    from nightrank.tasks.models.tokens import PackedTokens

KNOWN = {"Qwen2Model", "Qwen3Model", "LlamaModel", "MistralModel", "GemmaModel"}
_ACTIVATIONS: dict[str, Activation] = {"silu": "silu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh"}
LOCAL = "sliding_attention"
_STEADY = {"default", "linear", "llama3", "yarn"}  # positions whose turns do not depend on how long a sequence is


class _Layer:
    """One layer's weights, as they are used here.

    Args:
        layer: Of transformers.
        activation: Of its gate.
        is_last: Whether only last tokens' states are wanted of it.
    """

    def __init__(self, layer: Any, *, activation: Activation, is_last: bool) -> None:  # noqa: ANN401
        attention, mlp = layer.self_attn, layer.mlp
        size: int = attention.head_dim
        if not attention.is_causal or not np.isclose(attention.scaling, size**-0.5):
            raise ValueError("Its attention is not known.")
        self.size, self.heads = size, attention.q_proj.out_features // size
        self.key_heads: int = attention.k_proj.out_features // size
        self.norm = layer.input_layernorm
        normed = hasattr(attention, "q_norm")
        self.query_norm = norm_in_pairs(attention.q_norm, size=size) if normed else torch.nn.Identity()
        self.key_norm = norm_in_pairs(attention.k_norm, size=size) if normed else torch.nn.Identity()
        asked = [in_pairs(attention.q_proj, size=size)]
        seen = [in_pairs(attention.k_proj, size=size), attention.v_proj]
        self.asked = FusedLinear(asked) if is_last else None
        self.projected = FusedLinear(seen if is_last else [*asked, *seen])
        self._attended = FusedLinear([attention.o_proj])
        self._mlp_norm = layer.post_attention_layernorm
        self._gate = FusedLinear([mlp.gate_proj], activation=activation)
        self._widened = FusedLinear([mlp.up_proj])
        self._narrowed = FusedLinear([mlp.down_proj])

    def after_attention(self, attention: Tensor, states: Tensor) -> Tensor:
        """What comes out of the layer, (n, dim), of what attention found, (n, ...), and what went in, (n, dim)."""
        attended = self._attended(attention, states)
        normed = self._mlp_norm(attended)
        return self._narrowed(self._gate(normed).mul_(self._widened(normed)), attended)


class PackedDecoder:
    """A decoder of transformers, run over packed tokens.

    Args:
        network: Without its head, on its device, in its precision.
        longest: Tokens of a sequence.

    Raises:
        ValueError: It is another network, or one with parts that are not known.
    """

    def __init__(self, network: Any, *, longest: int) -> None:  # noqa: ANN401 (transformers leaves it untyped)
        config = network.config
        if type(network).__name__ not in KNOWN or config.hidden_act not in _ACTIVATIONS:
            raise ValueError(f"{type(network).__name__} with {config.hidden_act} is no decoder of a known type.")
        if network.rotary_emb.rope_type not in _STEADY:
            raise ValueError(f"Its positions are of the type {network.rotary_emb.rope_type}.")
        window = getattr(config, "sliding_window", None)
        if window is not None and window < longest and LOCAL in getattr(config, "layer_types", [LOCAL]):
            raise ValueError("Its layers see less than a sequence.")
        layers = list(network.layers)
        self._embeddings, self._final_norm, self._rotary = network.embed_tokens, network.norm, network.rotary_emb
        activation = _ACTIVATIONS[config.hidden_act]
        self._layers = [_Layer(layer, activation=activation, is_last=layer is layers[-1]) for layer in layers]
        weight = network.embed_tokens.weight
        self._device: torch.device = weight.device
        self._attends_varying = attends_varying(weight, head_size=self._layers[0].size)
        if self._device.type != "cpu" and not self._attends_varying:  # sequence by sequence it would wait for the host
            raise ValueError("The device attends to sequences of varying lengths in half precision alone, if at all.")
        #: Bytes that keys and values of a token take.
        self.bytes_per_token = 2 * sum(layer.key_heads * layer.size for layer in self._layers) * weight.element_size()

    def prefixes(self, batches: Sequence[PackedTokens]) -> list[Prefix]:
        """What other sequences go on from, of each sequence of batches, which meet nowhere, in their order."""
        alone = [[None] * tokens.lengths.size for tokens in batches]
        of_layers = [
            [(key, value.contiguous()) for _, key, value in found]  # without the queries that values lie beside
            for found in self._layer_by_layer(batches, alone)
        ]
        made = []
        for place, tokens in enumerate(batches):
            lengths = tokens.lengths.tolist()
            keys = [torch.split(found[place][0], lengths) for found in of_layers]
            values = [torch.split(found[place][1], lengths) for found in of_layers]
            made += [Prefix(*each) for each in zip(zip(*keys, strict=True), zip(*values, strict=True), strict=True)]
        return made

    def last_states(self, batches: Sequence[PackedTokens], behind: Sequence[Sequence[Prefix | None]]) -> list[Tensor]:
        """The last tokens' states of batches, which meet nowhere: each goes through its own products.

        All pass a layer before the next one is begun, so that its weights are read from memory once.

        Args:
            batches: Of one sequence or more each.
            behind: What each sequence of each batch goes on from.

        Returns:
            Of each batch, on the device, (n, dim).
        """
        [found] = deque(self._layer_by_layer(batches, behind), maxlen=1)
        return [self._final_norm(states) for states, _, _ in found]

    def _layer_by_layer(
        self, batches: Sequence[PackedTokens], behind: Sequence[Sequence[Prefix | None]]
    ) -> Iterator[list[tuple[Tensor, Tensor, Tensor]]]:
        """After each layer, of each batch: states, the tokens' own keys, and their values."""
        begun = [self._begun(tokens, prefixes) for tokens, prefixes in zip(batches, behind, strict=True)]
        states = [embedded for embedded, _, _ in begun]
        for number, layer in enumerate(self._layers):
            found = [
                _through(layer, number, one, sequences, turns)
                for one, (_, sequences, turns) in zip(states, begun, strict=True)
            ]
            states = [after for after, _, _ in found]
            yield found

    def _begun(self, tokens: PackedTokens, behind: Sequence[Prefix | None]) -> tuple[Tensor, Continued, Tensor]:
        """Embeddings, (n_tokens, dim), where the sequences are, and the tokens' turns, (n_tokens, 1, size / 2)."""
        before = np.array([0 if prefix is None else prefix.length for prefix in behind], dtype=np.int64)
        places = tokens.positions + np.repeat(before, tokens.lengths)
        ids, positions = on_device(np.stack([tokens.ids, places]), self._device)
        sequences = Continued.of(tokens, behind, self._device, attends_varying=self._attends_varying)
        states = self._embeddings(ids)
        return states, sequences, turns_of(self._rotary(states, positions[None]))[:, None]


def _through(
    layer: _Layer, number: int, states: Tensor, sequences: Continued, turns: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """States after a layer, (n_tokens, dim), or last tokens' alone, (n, dim), and the tokens' own keys and values."""
    normed = layer.norm(states)
    projected = layer.projected(normed).view(states.shape[0], -1, layer.size)
    value = projected[:, -layer.key_heads :]
    key = turned(layer.key_norm(projected[:, -2 * layer.key_heads : -layer.key_heads]), turns)
    keys, values = sequences.seen(number, key, value)
    if layer.asked is None:
        query = turned(layer.query_norm(projected[:, : layer.heads]), turns)
        return layer.after_attention(sequences.attend(query, keys, values), states), key, value
    last = sequences.ends
    query = turned(layer.query_norm(layer.asked(normed[last]).view(-1, layer.heads, layer.size)), turns[last])
    return layer.after_attention(sequences.attend_from_last(query, keys, values), states[last]), key, value
