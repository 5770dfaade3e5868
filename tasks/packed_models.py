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

from tasks.batching import batches_by_budget, halving_on_memory
from tasks.packed_encoder import PackedEncoder, mean_of_each
from tasks.token_rows import RowTokenizer, fast_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tasks.token_rows import PackedTokens, TokenRows

logger = logging.getLogger(__name__)

# Their longest is cut by all models but those for very long texts, and one is without a word.
PROBES = ("", "a", "how a lock file keeps a second run away, and why", "Read and write tables. " * 120)
# By precision, of scores and of what vectors are made of, against the size of the largest.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}


class PackedScorer:
    """A cross-encoder of one raw score a pair.

    Args:
        model: A cross-encoder of sentence-transformers, on its device, in its precision.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 (its network's type differs from model to model)
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
        self._tokenizer = RowTokenizer(fast_tokenizer(model.tokenizer), max_tokens=model.max_seq_length)

    def score(self, queries: Sequence[str], texts: Sequence[str], *, batch_tokens: int) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,)."""
        rows = self._tokenizer.pairs(queries, texts)
        scores = np.empty(len(queries), dtype=np.float32)
        # Nothing is fetched before all is asked for: the next batch is made while the device computes.
        asked = list(_batches(rows, self._scores, batch_tokens=batch_tokens))
        for places, found in asked:
            scores[places] = found.cpu().numpy()
        return scores

    @torch.inference_mode()
    def _scores(self, tokens: PackedTokens) -> Tensor:
        """float32 (n,), on the device."""
        return self._head(self._encoder.states(tokens).unsqueeze(1))[:, 0].float()


class PackedEmbedder:
    """A dual encoder that takes the mean of its tokens' states, or the first.

    Args:
        model: A dual encoder of sentence-transformers, on its device, in its precision.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 (its network's type differs from model to model)
        kinds = [type(part).__name__ for part in model]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            raise ValueError(f"It is made of {', '.join(kinds)}.")
        if model[1].pooling_mode not in ("mean", "cls"):
            raise ValueError(f"It pools by {model[1].pooling_mode}.")
        self._takes_first = model[1].pooling_mode == "cls"
        self._encoder = PackedEncoder(model[0].model, first_only=self._takes_first)
        self._tokenizer = RowTokenizer(fast_tokenizer(model.tokenizer), max_tokens=model.max_seq_length)

    def embed(
        self, texts: Sequence[str], *, batch_tokens: int, on_batch: Callable[[int], None] = lambda _done: None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Vectors of texts, of any length.

        Args:
            texts: (n,).
            batch_tokens: Token budget of a batch.
            on_batch: Told of each batch how many texts it has.

        Yields:
            Which texts, int (m,), and their vectors, float32 (m, dim).
        """
        rows = self._tokenizer.texts(texts)
        asked = []
        for places, found in _batches(rows, self._vectors, batch_tokens=batch_tokens):
            asked.append((places, found))
            on_batch(places.size)
        for places, found in asked:
            yield places, found.cpu().numpy()

    @torch.inference_mode()
    def _vectors(self, tokens: PackedTokens) -> Tensor:
        """float32 (n, dim), on the device."""
        states = self._encoder.states(tokens)
        return states.float() if self._takes_first else mean_of_each(states, tokens.lengths)


def packed_scorer(model: Any, *, batch_tokens: int) -> PackedScorer | None:  # noqa: ANN401
    """A cross-encoder over packed tokens; None where it must be left to sentence-transformers."""
    pairs = [(query, text) for query in PROBES for text in PROBES]
    queries, texts = [query for query, _ in pairs], [text for _, text in pairs]
    try:
        scorer = PackedScorer(model)
        found = scorer.score(queries, texts, batch_tokens=batch_tokens)
    except (ValueError, AttributeError, RuntimeError) as error:
        logger.info("Scored by sentence-transformers' own predict: %s", error)
        return None
    expected = model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False, convert_to_numpy=True)
    return scorer if _agree(found, expected, model) else None


def packed_embedder(model: Any, *, batch_tokens: int) -> PackedEmbedder | None:  # noqa: ANN401
    """A dual encoder over packed tokens; None where it must be left to sentence-transformers."""
    expected = model.encode(list(PROBES), show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True)
    found = np.empty_like(expected, dtype=np.float32)
    try:
        embedder = PackedEmbedder(model)
        for places, vectors in embedder.embed(PROBES, batch_tokens=batch_tokens):
            found[places] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    except (ValueError, AttributeError, RuntimeError) as error:
        logger.info("Embedded by sentence-transformers' own encode: %s", error)
        return None
    return embedder if _agree(found, expected, model) else None


def _agree(found: NDArray[np.float32], expected: NDArray[np.floating], model: Any) -> bool:  # noqa: ANN401
    """Whether probes came out as sentence-transformers has them."""
    tolerance = TOLERANCE[next(model.parameters()).dtype] * max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(found - expected).max())
    if difference <= tolerance:
        return True
    logger.warning("Left to sentence-transformers: probes differ by %.2g, more than %.2g.", difference, tolerance)
    return False


def _batches(
    rows: TokenRows, run: Callable[[PackedTokens], Tensor], *, batch_tokens: int
) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
    """Rows in batches of like lengths, and what came of them, on the device."""
    for batch in batches_by_budget(rows.lengths, budget=batch_tokens):
        yield from halving_on_memory(lambda places: run(rows.packed(places)), batch)
