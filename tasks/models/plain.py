"""Models of any type, run by sentence-transformers' own ``predict`` and ``encode``."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from nightrank.storage.memo.sparse_vectors import SparseVectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.execution import Execution


class PlainScorer:
    """A cross-encoder of one raw score a pair.

    Args:
        model: A cross-encoder of sentence-transformers, on its device, in its precision.
        execution: How pairs are computed.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        self._model = _tokenising_in_turn(model)
        self._execution = execution
        self._identity = torch.nn.Identity()

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,), which have about so many tokens, int (n,)."""

        def scores_of(batches: Sequence[NDArray[np.intp]]) -> NDArray[np.float32]:
            return np.concatenate([self._predict([(queries[row], texts[row]) for row in rows]) for rows in batches])

        scores = np.empty(len(queries), dtype=np.float32)
        for rows, found in self._execution.run(lengths, scores_of):
            scores[rows] = found
        return scores

    def _predict(self, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._model.predict(
            pairs,
            batch_size=len(pairs),
            activation_fn=self._identity,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return scores.astype(np.float32, copy=False)


class PlainEmbedder:
    """A dual encoder.

    Args:
        model: A dual encoder of sentence-transformers, on its device, in its precision.
        execution: How texts are computed.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        self._model = _tokenising_in_turn(model)
        self._execution = execution

    def embed(
        self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Unit vectors of texts.

        Args:
            texts: (n,).
            on_batch: Called with how many texts were done.

        Yields:
            Which texts, int (m,), and their vectors, float32 (m, dim).
        """
        # A character count orders texts well enough; four characters make about one token.
        lengths = np.array([len(text) // 4 + 2 for text in texts], dtype=np.int64)
        if self._model.max_seq_length is not None:
            lengths = np.minimum(lengths, self._model.max_seq_length)

        def vectors_of(batches: Sequence[NDArray[np.intp]]) -> NDArray[np.float32]:
            return np.concatenate([self._encode([texts[row] for row in rows]) for rows in batches])

        for rows, found in self._execution.run(lengths, vectors_of):
            yield rows, found
            on_batch(rows.size)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        encoded: NDArray[np.floating] = self._model.encode(
            texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True
        )
        return unit(encoded.astype(np.float32, copy=False))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (n, dim) of length 1.

    >>> unit(np.array([[-3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).round(2).tolist()
    [[-0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return made


def _tokenising_in_turn(model: Any) -> Any:  # noqa: ANN401
    """The model, whose tokenizer, which serves one thread at a time, is asked by one thread at a time."""
    preprocess, turn = model.preprocess, Lock()

    def preprocess_in_turn(*inputs: object, **options: object) -> object:
        with turn:
            return preprocess(*inputs, **options)

    model.preprocess = preprocess_in_turn
    return model


class PlainSparse:
    """A learned sparse encoder, for texts or for queries.

    Args:
        model: A sparse encoder of sentence-transformers, on its device, in its precision.
        execution: How texts are computed.
        task: Which route texts take, where queries have another than documents.
        min_weight: Entries below it are dropped.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 (its type differs from model to model)
        execution: Execution,
        *,
        task: Literal["query", "document"],
        min_weight: float,
    ) -> None:
        self._model = _tokenising_in_turn(model)
        self._execution = execution
        self._task = task
        self.min_weight = min_weight

    def encode(self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None) -> SparseVectors:
        """The vectors of texts (n,).

        Args:
            texts: (n,).
            on_batch: Called with how many texts were done.
        """
        lengths = np.array([len(text) // 4 + 2 for text in texts], dtype=np.int64)
        if self._model.max_seq_length is not None:
            lengths = np.minimum(lengths, self._model.max_seq_length)
        places, found = [np.zeros(0, np.intp)], []
        for part, vectors in self._execution.run(
            lengths,
            lambda batches: SparseVectors.joined([self._vectors([texts[row] for row in rows]) for rows in batches]),
        ):
            places.append(part)
            found.append(vectors)
            on_batch(part.size)
        return SparseVectors.joined(found).take(np.argsort(np.concatenate(places)))

    @torch.inference_mode()
    def _vectors(self, texts: list[str]) -> SparseVectors:
        values = self._model.encode(
            texts,
            prompt="",  # none that it may have by default: texts come with theirs
            task=self._task,
            batch_size=len(texts),
            show_progress_bar=False,
            convert_to_sparse_tensor=False,
        )
        return entries_of(values.float(), min_weight=self.min_weight)


def entries_of(values: torch.Tensor, *, min_weight: float) -> SparseVectors:
    """The entries of vectors that are not below a weight.

    Args:
        values: float32 (n, vocabulary).
        min_weight: Above 0.

    >>> entries = entries_of(torch.tensor([[0.5, 0.0, -2.0, 0.25], [0.0, 0.125, 0.0, 0.0]]), min_weight=0.25)
    >>> entries.bounds.tolist(), entries.tokens.tolist(), entries.weights.tolist()
    ([0, 2, 2], [0, 3], [0.5, 0.25])
    """
    kept = ~(values < min_weight)  # what is not a number stays, and is refused where it would be remembered
    rows, tokens = kept.nonzero(as_tuple=True)
    bounds = np.append(0, np.cumsum(kept.sum(dim=1).cpu().numpy())).astype(np.int64)
    return SparseVectors(bounds, tokens.to(torch.int32).cpu().numpy(), values[rows, tokens].cpu().numpy())
