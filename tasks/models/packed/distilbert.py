"""DistilBERT's encoder under the names that BERT's has: it computes the same, without types of tokens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch


def as_bert(network: Any) -> Any:  # noqa: ANN401 (transformers leaves both untyped)
    """A view of transformers' ``DistilBertModel`` as a ``BertModel``, over the same weights.

    Args:
        network: On its device, in its precision.
    """
    config, table = network.config, network.embeddings
    weight = table.word_embeddings.weight
    return SimpleNamespace(
        config=SimpleNamespace(
            hidden_act=config.activation, hidden_size=config.dim, num_attention_heads=config.n_heads, is_decoder=False
        ),
        embeddings=SimpleNamespace(
            word_embeddings=table.word_embeddings,
            position_embeddings=table.position_embeddings,
            token_type_embeddings=SimpleNamespace(weight=torch.zeros(2, config.dim).to(weight)),
            LayerNorm=table.LayerNorm,
        ),
        encoder=SimpleNamespace(layer=[_layer(layer, heads=config.n_heads) for layer in network.transformer.layer]),
    )


def _layer(layer: Any, *, heads: int) -> SimpleNamespace:  # noqa: ANN401
    attention = layer.attention
    return SimpleNamespace(
        attention=SimpleNamespace(
            self=SimpleNamespace(
                num_attention_heads=heads, query=attention.q_lin, key=attention.k_lin, value=attention.v_lin
            ),
            output=SimpleNamespace(dense=attention.out_lin, LayerNorm=layer.sa_layer_norm),
        ),
        intermediate=SimpleNamespace(dense=layer.ffn.lin1),
        output=SimpleNamespace(dense=layer.ffn.lin2, LayerNorm=layer.output_layer_norm),
    )
