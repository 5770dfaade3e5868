"""Models of sentence-transformers whose encoder is of a known type, run over packed tokens.

A model is taken over only where it computes what sentence-transformers computes: its parts are of known types, and a
few probes come out the same at loading. Any other model is left to the library's own ``predict`` and ``encode``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nightrank.tasks.models.packed_encoder import PackedEncoder, mean_of_each
from nightrank.tasks.models.plain import unit
from nightrank.tasks.models.tokens import RowTokenizer, fast_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.tokens import PackedTokens, TokenRows

logger = logging.getLogger(__name__)

PROBES = ("", "a", "how a lock file keeps a second run away, and why")
LONG_PROBE = 4096  # words at most, that show how what is too long is cut
# By precision, of scores and of vectors, in relation to the largest.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
# What a model of a type that only looks known may raise.
EXPECTED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


class PackedScorer:
    """A cross-encoder of one raw score a pair.

    Args:
        model: A cross-encoder of sentence-transformers, on its device, in its precision.
        execution: How pairs are computed.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        if len(model) != 1:
            raise ValueError("It has more parts than a transformer.")
        network = model[0].model
        kind = type(network).__name__
        if kind == "BertForSequenceClassification":
            self._encoder = PackedEncoder(network.bert, first_only=True)
            self._head: Callable[[Tensor], Tensor] = lambda states: network.classifier(network.bert.pooler(states))
        elif kind in {"RobertaForSequenceClassification", "XLMRobertaForSequenceClassification"}:
            self._encoder = PackedEncoder(network.roberta, first_only=True)
            self._head = network.classifier
        else:
            raise ValueError(f"{kind} is no cross-encoder of a known type.")
        self._tokenizer = _row_tokenizer(model)
        self._execution = execution

    def tokens_of(self, pairs: Sequence[tuple[str, str]]) -> TokenRows:
        """Rows of pairs (n,)."""
        return self._tokenizer.pairs([query for query, _ in pairs], [text for _, text in pairs])

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,)."""
        rows = self._tokenizer.pairs(queries, texts)
        scores = np.empty(len(queries), dtype=np.float32)
        # Nothing is fetched before all is asked for: the next batch is made while the device computes.
        asked = list(self._execution.run(rows.lengths, lambda batches: self._scores(_packed(rows, batches))))
        for places, found in asked:
            scores[places] = found.cpu().numpy()
        return scores

    @torch.inference_mode()
    def _scores(self, batches: Sequence[PackedTokens]) -> Tensor:
        """Float32 (n,), on the device."""
        return torch.cat([self._head(states.unsqueeze(1))[:, 0].float() for states in self._encoder.states(batches)])


class PackedEmbedder:
    """A dual encoder that takes the mean of its tokens' states, or the first.

    Args:
        model: A dual encoder of sentence-transformers, on its device, in its precision.
        execution: How texts are computed.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        kinds = [type(part).__name__ for part in model]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            raise ValueError(f"It is made of {', '.join(kinds)}.")
        if model[1].pooling_mode not in ("mean", "cls"):
            raise ValueError(f"It pools by {model[1].pooling_mode}.")
        self._takes_first = model[1].pooling_mode == "cls"
        self._encoder = PackedEncoder(model[0].model, first_only=self._takes_first)
        self._tokenizer = _row_tokenizer(model)
        self._execution = execution

    def tokens_of(self, texts: Sequence[str]) -> TokenRows:
        """Rows of texts (n,)."""
        return self._tokenizer.texts(texts)

    def embed(
        self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Unit vectors of texts, of any length.

        Args:
            texts: (n,).
            on_batch: Called with how many texts were done.

        Yields:
            Which texts, int (m,), and their vectors, float32 (m, dim).
        """
        rows = self._tokenizer.texts(texts)
        asked = []
        for places, found in self._execution.run(rows.lengths, lambda batches: self._vectors(_packed(rows, batches))):
            asked.append((places, found))
            on_batch(places.size)
        for places, found in asked:
            yield places, found.cpu().numpy()

    @torch.inference_mode()
    def _vectors(self, batches: Sequence[PackedTokens]) -> Tensor:
        """Float32 (n, dim), on the device."""
        found = []
        for tokens, states in zip(batches, self._encoder.states(batches), strict=True):
            pooled = states.float() if self._takes_first else mean_of_each(states, tokens.lengths)
            # Here and not in the model, whose half precision leaves lengths between 0.997 and 1.003.
            found.append(functional.normalize(pooled, dim=1))
        return torch.cat(found)


def packed_scorer(model: Any, execution: Execution) -> PackedScorer | None:  # noqa: ANN401
    """A cross-encoder over packed tokens; None where it must be left to sentence-transformers."""
    pairs = [(query, text) for query in PROBES for text in PROBES]
    try:
        scorer = PackedScorer(model, execution)
        _require_same_tokens(model, scorer.tokens_of, [*pairs, (PROBES[-1], _long(model)), (_long(model), PROBES[-1])])
        found = scorer.score([query for query, _ in pairs], [text for _, text in pairs])
        _require_same(model, found, model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False))
    except EXPECTED as error:
        logger.info("Scored by sentence-transformers' own predict: %s", error)
        return None
    return scorer


def packed_embedder(model: Any, execution: Execution) -> PackedEmbedder | None:  # noqa: ANN401
    """A dual encoder over packed tokens; None where it must be left to sentence-transformers."""
    try:
        embedder = PackedEmbedder(model, execution)
        _require_same_tokens(model, embedder.tokens_of, [*PROBES, _long(model)])
        expected = model.encode(list(PROBES), show_progress_bar=False).astype(np.float32)
        found = np.empty_like(expected)
        for places, vectors in embedder.embed(PROBES):
            found[places] = vectors
        # Some models make their vectors unit ones themselves; ours always are.
        _require_same(model, found, unit(expected))
    except EXPECTED as error:
        logger.info("Embedded by sentence-transformers' own encode: %s", error)
        return None
    return embedder


def _row_tokenizer(model: Any) -> RowTokenizer:  # noqa: ANN401
    if model.max_seq_length is None:
        raise ValueError("It does not say how long its sequences may be.")
    return RowTokenizer(fast_tokenizer(model.tokenizer), max_tokens=model.max_seq_length)


def _long(model: Any) -> str:  # noqa: ANN401
    words: int = min(model.max_seq_length, LONG_PROBE)
    return "table " * words


def _require_same_tokens(model: Any, tokens_of: Callable[[Any], TokenRows], inputs: Sequence[Any]) -> None:  # noqa: ANN401
    """Raise ValueError unless tokens are those that sentence-transformers gives a model."""
    features = model.preprocess(list(inputs))
    ids = features["input_ids"][features["attention_mask"].bool()]
    if not np.array_equal(tokens_of(inputs).packed(np.arange(len(inputs))).ids, ids.numpy()):
        raise ValueError("Its tokens are others.")


def _require_same(model: Any, found: NDArray[np.float32], expected: NDArray[np.floating]) -> None:  # noqa: ANN401
    """Raise ValueError unless probes came out as sentence-transformers has them."""
    tolerance = TOLERANCE[next(model.parameters()).dtype] * max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(found - expected).max())
    if difference > tolerance or not np.isfinite(difference):
        raise ValueError(f"Probes differ by {difference:.2g}, more than {tolerance:.2g}.")


def _packed(rows: TokenRows, batches: Sequence[NDArray[np.intp]]) -> list[PackedTokens]:
    return [rows.packed(places) for places in batches]
