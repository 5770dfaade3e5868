"""The forward pass of training: logits of pairs, in the precision in which this processor is quickest.

transformers' network computes what is trained. Of a BERT on a CPU the same is computed here from the network's own
parameters, in less than half the time: queries, keys and values are one product, the last layer is computed for the
first token alone, and where the processor multiplies bfloat16, matrix products are in it. Attention stays in float32,
whose backward pass takes a quarter of the time of bfloat16's there; so do normalisation, loss, weights and optimiser.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    Forward = Callable[[dict[str, Tensor]], Tensor]

# Tokens of a forward pass, padding included: more do not fit into a core's cache, and fewer leave a GPU idle.
PIECE_TOKENS, GPU_PIECE_TOKENS = 2400, 65_536


class PairForward:
    """Logits of pairs, with gradients.

    Args:
        network: A sequence classifier of transformers with one logit, on its device.
        tokenizer: Its tokenizer.
        precision: Of matrix products; None: what this processor is quickest in.
        prompt: What is put before each query.
    """

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - transformers ships no types
        tokenizer: Any,  # noqa: ANN401
        *,
        precision: torch.dtype | None = None,
        prompt: str = "",
    ) -> None:
        self._tokenizer, self._prompt = tokenizer, prompt
        self._device = network.device
        self._precision = training_precision(self._device) if precision is None else precision
        self._piece_tokens = PIECE_TOKENS if self._device.type == "cpu" else GPU_PIECE_TOKENS
        self._forward: Forward
        if self._device.type == "cpu" and type(network).__name__ == "BertForSequenceClassification":
            self._forward = BertForward(network, self._precision)
        else:
            self._forward = lambda batch: network(**batch).logits[:, 0]

    def __call__(
        self, queries: Sequence[str], texts: Sequence[str], *, max_lengths: Sequence[int]
    ) -> tuple[Tensor, int]:
        """Logits, computed in batches of similar length.

        Args:
            queries: (n,).
            texts: (n,).
            max_lengths: (n,), tokens of each pair; the longer part of a longer one is cut.

        Returns:
            float32 (n,), in the order given, and the tokens that were read, padding not counted.
        """
        encoded = self._encoded(queries, texts, max_lengths)
        lengths = [len(pair["input_ids"]) for pair in encoded]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        logits: list[Tensor] = []
        for rows in _pieces(order, lengths, most=self._piece_tokens):
            batch = self._tokenizer.pad([encoded[row] for row in rows], return_tensors="pt").to(self._device)
            with self._autocast():
                logits.append(self._forward(dict(batch)).float())
        places = torch.tensor(order).argsort()
        return torch.cat(logits)[places.to(self._device)], sum(lengths)

    def _encoded(
        self, queries: Sequence[str], texts: Sequence[str], max_lengths: Sequence[int]
    ) -> list[dict[str, list[int]]]:
        """What the network reads of each pair."""
        encoded: list[dict[str, list[int]]] = [{} for _ in queries]
        for max_length in set(max_lengths):  # a tokenizer cuts all that it is given at once to the same length
            rows = [row for row, most in enumerate(max_lengths) if most == max_length]
            found = self._tokenizer(
                [self._prompt + queries[row] for row in rows],
                [texts[row] for row in rows],
                truncation="longest_first",
                max_length=max_length,
            )
            for place, row in enumerate(rows):
                encoded[row] = {name: values[place] for name, values in found.items()}
        return encoded

    def _autocast(self) -> AbstractContextManager[object]:
        if self._precision == torch.float32 or isinstance(self._forward, BertForward):
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._precision)


class BertForward:
    """A BERT of one logit, from the parameters of its network in transformers: without dropout, padded at the end.

    Args:
        network: ``BertForSequenceClassification``.
        precision: Of matrix products.
    """

    def __init__(self, network: Any, precision: torch.dtype) -> None:  # noqa: ANN401 - transformers ships no types
        self._network, self._precision = network, precision
        self._heads = network.config.num_attention_heads

    def __call__(self, batch: dict[str, Tensor]) -> Tensor:
        """Logits: float32 (n,).

        Args:
            batch: ``input_ids``, ``token_type_ids`` and ``attention_mask``, int64 (n, length).
        """
        bert, mask = self._network.bert, None
        states: Tensor = bert.embeddings(input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"])
        if not batch["attention_mask"].all():
            absent = batch["attention_mask"][:, None, None, :] == 0
            mask = torch.zeros(absent.shape).masked_fill_(absent, float("-inf"))
        for layer in bert.encoder.layer[:-1]:
            states = self._layer(layer, states, states, mask)
        states = self._layer(bert.encoder.layer[-1], states[:, :1], states, mask)
        logits: Tensor = self._network.classifier(bert.pooler(states))
        return logits[:, 0]

    def _layer(self, layer: Any, asking: Tensor, states: Tensor, mask: Tensor | None) -> Tensor:  # noqa: ANN401
        """The states of the tokens that ask, from those of all: float32 (n, asking, width)."""
        own, after = layer.attention.self, layer.attention.output
        if asking is states:
            query, key, value = self._product(states, own.query, own.key, own.value)
        else:
            (query,) = self._product(asking, own.query)
            key, value = self._product(states, own.key, own.value)
        attended = functional.scaled_dot_product_attention(
            self._by_head(query), self._by_head(key), self._by_head(value), attn_mask=mask
        )
        (attended,) = self._product(attended.transpose(1, 2).flatten(2), after.dense)
        asking = after.LayerNorm(asking + attended)
        (risen,) = self._product(asking, layer.intermediate.dense)
        (fallen,) = self._product(layer.intermediate.intermediate_act_fn(risen), layer.output.dense)
        normal: Tensor = layer.output.LayerNorm(asking + fallen)
        return normal

    def _by_head(self, states: Tensor) -> Tensor:
        """Float32 (n, heads, tokens, width / heads)."""
        count, tokens, width = states.shape
        return states.view(count, tokens, self._heads, width // self._heads).transpose(1, 2).float()

    def _product(self, states: Tensor, *parts: nn.Linear) -> Iterator[Tensor]:
        """What several linear parts make of states, as one product."""
        low = self._precision
        weight = torch.cat([part.weight.to(low) for part in parts])
        bias = torch.cat([part.bias.to(low) for part in parts])
        return iter(functional.linear(states.to(low), weight, bias).chunk(len(parts), dim=2))


def training_precision(device: torch.device) -> torch.dtype:
    """In which a training's matrix products are quickest: bfloat16 where the processor multiplies it, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    known = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return torch.bfloat16 if known.get("avx512_bf16") or known.get("amx_bf16") else torch.float32


def _pieces(order: Sequence[int], lengths: Sequence[int], *, most: int) -> Iterator[list[int]]:
    """Rows by rising length, in pieces that stay within so many tokens when they are padded."""
    piece: list[int] = []
    for row in order:
        if piece and lengths[row] * (len(piece) + 1) > most:
            yield piece
            piece = []
        piece.append(row)
    yield piece
