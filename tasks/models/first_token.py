"""A last layer of BERT's kind that is computed for the first token alone, where nothing else of it is read.

Such is a cross-encoder's: its head reads the first token's state. Keys and values still come from all tokens; what
follows attention is left out for the others. The scores are the same, for about an eighth less work in six layers.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


class FirstTokenLayer(nn.Module):
    """A layer that gives only the first token's state.

    Args:
        layer: Of transformers' BERT or RoBERTa, an encoder's last.
    """

    def __init__(self, layer: Any) -> None:  # noqa: ANN401 (transformers leaves it untyped)
        super().__init__()
        self.layer = layer

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        *_others: object,
        **_more: object,
    ) -> Tensor:
        """States (n, length, dim) in, (n, 1, dim) out."""
        attention = self.layer.attention.self
        first = hidden_states[:, :1]

        def heads(states: Tensor) -> Tensor:
            return states.view(states.shape[0], -1, attention.num_attention_heads, size).transpose(1, 2)

        size: int = attention.attention_head_size
        found = functional.scaled_dot_product_attention(
            heads(attention.query(first)),
            heads(attention.key(hidden_states)),
            heads(attention.value(hidden_states)),
            attn_mask=None if attention_mask is None else attention_mask[:, :, :1],
        )
        attended = self.layer.attention.output(found.transpose(1, 2).flatten(2), first)
        output: Tensor = self.layer.feed_forward_chunk(attended)
        return output


def read_first_tokens_only(network: Any) -> bool:  # noqa: ANN401 (transformers leaves it untyped)
    """Put such a layer into a cross-encoder of a known type, in place of its last; whether it is of one."""
    kind = type(network).__name__
    if kind == "BertForSequenceClassification":
        layers = network.bert.encoder.layer
    elif kind in {"RobertaForSequenceClassification", "XLMRobertaForSequenceClassification"}:
        layers = network.roberta.encoder.layer
    else:
        return False
    layers[-1] = FirstTokenLayer(layers[-1])
    return True
