"""SPLADE encoders over packed tokens: the maximum over tokens is taken before the logarithm, of one value a word.

weight(word) = log(1 + max(0, max over tokens of logit(token, word)))

which is the maximum of the logarithms, as both grow with the logit. Of a text of a hundred tokens that is a hundredth
of the logarithms; and no token is padding, so none has its tens of thousands of logits computed for nothing. The words
go through in blocks whose logits stay in a processor's cache.

SPLADE: Formal et al., 2021, arXiv:2109.10086. The second logarithm of ``log1p_relu``: Shen et al., 2025, 2504.14839.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nightrank.storage.memo.sparse_vectors import SparseVectors, largest_difference
from nightrank.tasks.models.packed.encoders import packed_encoder
from nightrank.tasks.models.packed.linear import FusedLinear
from nightrank.tasks.models.packed.probes import EXPECTED, FAR_PROBE, LONG_PROBE, PROBES, TOLERANCE, tell
from nightrank.tasks.models.packed.sequences import highest_of_each
from nightrank.tasks.models.plain import PlainSparse, entries_of
from nightrank.tasks.models.tokens import RowTokenizer, fast_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.tokens import PackedTokens

# Networks by class name, and what they are made of: the encoder, and the head's two layers with a norm between them.
_PARTS: dict[str, Callable[[Any], tuple[Any, Any, Any, Any]]] = {
    "BertForMaskedLM": lambda network: (
        network.bert,
        network.cls.predictions.transform.dense,
        network.cls.predictions.transform.LayerNorm,
        network.cls.predictions.decoder,
    ),
    "DistilBertForMaskedLM": lambda network: (
        network.distilbert,
        network.vocab_transform,
        network.vocab_layer_norm,
        network.vocab_projector,
    ),
    **dict.fromkeys(
        ("RobertaForMaskedLM", "XLMRobertaForMaskedLM"),
        lambda network: (network.roberta, network.lm_head.dense, network.lm_head.layer_norm, network.lm_head.decoder),
    ),
    "ModernBertForMaskedLM": lambda network: (
        network.model,
        network.head.dense,
        network.head.norm,
        network.decoder,
    ),
}
WORDS_AT_ONCE = 2048  # of the vocabulary: with 256 tokens 2 MB of logits


class PackedSplade:
    """An encoder of BERT's type (BERT, RoBERTa, DistilBERT, ModernBERT) with a masked language model's head.

    Args:
        parts: A transformer and a SPLADE pooling of sentence-transformers, on their device, in their precision.
        execution: How texts are computed.
        min_weight: Entries below it are dropped.

    Raises:
        ValueError: The parts are of other types than are known.
    """

    def __init__(self, parts: Sequence[Any], execution: Execution, *, min_weight: float) -> None:
        kinds = [type(part).__name__ for part in parts]
        if kinds not in (["Transformer", "SpladePooling"], ["MLMTransformer", "SpladePooling"]):
            raise ValueError(f"It is made of {', '.join(kinds)}.")
        transformer, pooling = parts
        network = transformer.model
        kind = type(network).__name__
        if kind not in _PARTS or pooling.pooling_strategy != "max":
            raise ValueError(f"{kind} with {pooling.pooling_strategy} is no encoder of a known type.")
        encoder, *head = _PARTS[kind](network)
        if transformer.max_seq_length is None:
            raise ValueError("It does not say how long its sequences may be.")
        self._encoder = packed_encoder(encoder, first_only=False)
        self._head = _Head(*head)
        self._has_second_logarithm = pooling.activation_function == "log1p_relu"
        self.tokenizer = RowTokenizer(fast_tokenizer(transformer.tokenizer), max_tokens=transformer.max_seq_length)
        self._execution = execution
        self._min_weight = min_weight

    def encode(self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None) -> SparseVectors:
        """The vectors of texts (n,).

        Args:
            texts: (n,).
            on_batch: Called with how many texts were done.
        """
        rows = self.tokenizer.texts(texts)
        places, found = [np.zeros(0, np.intp)], []
        for part, vectors in self._execution.run(
            rows.lengths, lambda batches: self._vectors([rows.packed(batch) for batch in batches])
        ):
            places.append(part)
            found.append(vectors)
            on_batch(part.size)
        return SparseVectors.joined(found).take(np.argsort(np.concatenate(places)))

    @torch.inference_mode()
    def _vectors(self, batches: Sequence[PackedTokens]) -> SparseVectors:
        found = []
        for tokens, states in zip(batches, self._encoder.states(batches), strict=True):
            values = self._head.highest(states, tokens.lengths).float().relu_().log1p_()
            if self._has_second_logarithm:
                values = values.log1p_()
            found.append(entries_of(values, min_weight=self._min_weight))
        return SparseVectors.joined(found)


def packed_splade(parts: Sequence[Any], plain: PlainSparse, execution: Execution) -> PackedSplade | None:
    """A SPLADE encoder over packed tokens; None where it must be left to sentence-transformers.

    Args:
        parts: Of the model, or of the route that the texts take through it.
        plain: The same, by the library's own ``encode``.
        execution: How texts are computed.
    """
    try:
        packed = PackedSplade(parts, execution, min_weight=plain.min_weight)
        probes = [*PROBES, FAR_PROBE]
        texts = [*probes, "table " * min(parts[0].max_seq_length, LONG_PROBE)]
        features = parts[0].preprocess(texts)
        ids = features["input_ids"][features["attention_mask"].bool()]
        if not np.array_equal(packed.tokenizer.texts(texts).packed(np.arange(len(texts))).ids, ids.numpy()):
            raise ValueError("Its tokens are others.")
        precision = next(parts[0].parameters()).dtype
        _require_same(packed.encode(probes), plain.encode(probes), plain.min_weight, tolerance=TOLERANCE[precision])
    except EXPECTED as error:
        tell("Texts are encoded by sentence-transformers' own encode", error)
        return None
    return packed


class _Rows(NamedTuple):
    """Some of a linear layer's outputs."""

    weight: Tensor
    bias: Tensor


class _Head:
    """A masked language model's head.

    Args:
        transform: Its first layer, a GELU behind it.
        norm: What comes then.
        decoder: The layer that gives each word's logit.
    """

    def __init__(self, transform: Any, norm: Any, decoder: Any) -> None:  # noqa: ANN401 (transformers leaves them untyped)
        weight, bias = decoder.weight.detach(), decoder.bias.detach()
        self._transform = FusedLinear([transform], activation="gelu")
        self._norm = norm
        starts = range(0, weight.shape[0], WORDS_AT_ONCE)
        parts = [slice(start, start + WORDS_AT_ONCE) for start in starts]
        self._blocks = [FusedLinear([_Rows(weight[part].contiguous(), bias[part])]) for part in parts]

    def highest(self, states: Tensor, lengths: NDArray[np.int64]) -> Tensor:
        """The highest logit of each word over each sequence's tokens, (n, vocabulary)."""
        transformed = self._norm(self._transform(states))
        return torch.cat([highest_of_each(block(transformed), lengths) for block in self._blocks], dim=1)


def _require_same(one: SparseVectors, other: SparseVectors, min_weight: float, *, tolerance: float) -> None:
    """Raise ValueError unless probes came out as sentence-transformers has them."""
    scale = max(1.0, float(other.weights.max(initial=0.0)))
    difference = float(largest_difference(one, other, min_weight=min_weight).max())
    if not difference <= tolerance * scale:
        raise ValueError(f"Probes differ by {difference:.2g}, more than {tolerance * scale:.2g}.")
