"""The first stage over a small collection in memory, as training and validation of a reranker need it.

The same formulas as a release's (BM25 as Lucene has it, cosine, reciprocal rank fusion) and dense arrays of
scores, so for thousands of passages, not millions. A release's own first stage reads its stores instead.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from nightrank.tasks.bm25.analyser import ENGLISH_STOP_WORDS, Analyser
from nightrank.tasks.bm25.formulas import VARIANTS, length_norm
from nightrank.tasks.rank.fusion import reciprocal_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WORD = re.compile(r"\w\w+")


@dataclass(frozen=True, slots=True)
class FirstStage:
    """What the first stage found for one query.

    Attributes:
        candidates: int64 (n_candidates,), places of passages, best first.
        fused: float64 (n_candidates,), their fused scores.
        dense: float (n_passages,), cosines of all passages.
        bm25: float64 (n_passages,), scores of all passages.
    """

    candidates: NDArray[np.int64]
    fused: NDArray[np.float64]
    dense: NDArray[np.floating]
    bm25: NDArray[np.float64]


class Bm25Matrix:
    """BM25 scores of every passage for every query (Lucene's variant, English).

    Args:
        texts: (n_passages,) what the leg reads of each passage; at least one has a term.
        k1: Saturation of the term frequency.
        b: Strength of the length normalisation.
    """

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        self._analyse = Analyser("english", ENGLISH_STOP_WORDS)
        self._terms: dict[str, str | None] = {}
        self._numbers: dict[str, int] = {}
        counts = [self._count(text) for text in texts]
        for count in counts:
            for term in count:
                self._numbers.setdefault(term, len(self._numbers))
        rows, columns, frequencies = self._triples(counts)
        lengths = np.array([float(count.total()) for count in counts])
        chunk_counts = np.bincount(rows, minlength=len(self._numbers)).astype(np.float64)
        lucene = VARIANTS["lucene"]
        norms = length_norm(lengths, float(lengths.mean()), b=b)
        impacts = lucene.idf(chunk_counts, len(texts))[rows] * lucene.weight(frequencies, norms[columns], k1=k1)
        self._impacts = sparse.csr_matrix((impacts, (rows, columns)), shape=(len(self._numbers), len(texts)))

    def scores(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """Scores, float64 (n_queries, n_passages); 0 where no term is shared."""
        rows, columns, frequencies = self._triples([self._count(query) for query in queries])
        shape = (len(queries), len(self._numbers))
        wanted = sparse.csr_matrix((frequencies, (columns, rows)), shape=shape)
        scores: NDArray[np.float64] = (wanted @ self._impacts).toarray()
        return scores

    def _count(self, text: str) -> Counter[str]:
        words = _WORD.findall(text.casefold())
        fresh = [word for word in dict.fromkeys(words) if word not in self._terms]
        self._terms.update(zip(fresh, self._analyse(fresh), strict=True))
        return Counter(term for word in words if (term := self._terms[word]) is not None)

    def _triples(
        self, counts: Sequence[Counter[str]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Term numbers, places of the texts and frequencies, of the terms that have a number."""
        triples = [
            (self._numbers[term], place, frequency)
            for place, count in enumerate(counts)
            for term, frequency in count.items()
            if term in self._numbers
        ]
        columns = np.array(triples, dtype=np.int64).reshape(-1, 3).T
        return columns[0], columns[1], columns[2].astype(np.float64)


def fused_candidates(
    dense: NDArray[np.floating], bm25: NDArray[np.floating], *, depth: int, leg_depth: int = 100, k: int = 60
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best passages of a query by reciprocal rank fusion of both legs; ties by place.

    Args:
        dense: (n_passages,), cosines.
        bm25: (n_passages,), scores; a passage with 0 is none of the leg's.
        depth: Candidates at most.
        leg_depth: Passages a leg at most.
        k: Of the fusion.

    Returns:
        int64 (n_candidates,) places, best first, and their float64 scores.

    >>> places, scores = fused_candidates(np.array([-0.1, 0.9, 0.5]), np.array([2.0, 0.0, 2.0]), depth=3)
    >>> places.tolist(), scores.round(4).tolist()  # 1/63 + 1/61, 1/62 + 1/62, 1/61
    ([0, 2, 1], [0.0323, 0.0323, 0.0164])
    """
    fused = np.zeros(len(dense))
    for scores, found in ((dense, np.ones(len(dense), dtype=bool)), (bm25, bm25 > 0)):
        order = np.argsort(-scores, kind="stable")[:leg_depth]
        order = order[found[order]]
        fused[order] += reciprocal_rank(np.arange(1, len(order) + 1), k=k)
    best = np.argsort(-fused, kind="stable")[:depth]
    best = best[fused[best] > 0]
    return best.astype(np.int64), fused[best]
