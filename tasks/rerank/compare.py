"""Rerankers side by side on the same pairs: how fast each is, and how much they agree."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from nightrank.tasks.rerank.cross_encoder import about_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.release import StoredRelease
    from nightrank.tasks.rerank.scorer import Scorer


class Agreement(NamedTuple):
    """How much two rerankers agree on the same pairs.

    Attributes:
        correlation: Of their scores (Pearson's).
        top: Mean share of the queries' best that both have among theirs.
        first: Share of queries whose best passage is the same.
    """

    correlation: float
    top: float
    first: float


class Beside(NamedTuple):
    """What one of several rerankers made of the pairs.

    Attributes:
        scores: float32 (n,), the pairs in the queries' order.
        pairs_per_second: The median over the queries.
    """

    scores: NDArray[np.float32]
    pairs_per_second: float


def score_beside(
    scorers: Sequence[Scorer], pairs: Sequence[QueryPairs], *, clock: Callable[[], float] = time.perf_counter
) -> list[Beside]:
    """Have each reranker score all pairs, query by query, taking turns, so that a busy machine is busy for all.

    Args:
        scorers: The rerankers.
        pairs: At least one query's; the first is scored once more before, because first calls are slow.
        clock: Seconds.
    """
    scores: list[list[NDArray[np.float32]]] = [[] for _ in scorers]
    rates: list[list[float]] = [[] for _ in scorers]
    for scorer in scorers:
        _score(scorer, pairs[0])
    for turn, group in enumerate(pairs):
        places = range(len(scorers))
        for place in places if turn % 2 else reversed(places):
            start = clock()
            scores[place].append(_score(scorers[place], group))
            rates[place].append(len(group.texts) / max(clock() - start, 1e-9))
    return [Beside(np.concatenate(own), median(rate)) for own, rate in zip(scores, rates, strict=True)]


def agreement(
    before: NDArray[np.floating], after: NDArray[np.floating], *, queries: NDArray[np.integer], depth: int = 10
) -> Agreement:
    """How much two rerankers' scores agree, query by query.

    Args:
        before: float (n,).
        after: float (n,), of the same pairs.
        queries: int (n,), whose pairs they are.
        depth: Of the best that are compared.

    >>> scores = np.array([2.0, 1.0, 1.0, -1.0])
    >>> agreement(scores, scores[::-1], queries=np.zeros(4, int), depth=2).top
    0.5
    """
    shared, same = [], []
    for query in np.unique(queries):
        rows = queries == query
        best = [np.argsort(-scores[rows], kind="stable")[:depth].tolist() for scores in (before, after)]
        shared.append(len(set(best[0]) & set(best[1])) / len(best[0]))
        same.append(best[0][0] == best[1][0])
    return Agreement(float(np.corrcoef(before, after)[0, 1]), float(np.mean(shared)), float(np.mean(same)))


def query_numbers(pairs: Sequence[QueryPairs]) -> NDArray[np.intp]:
    """Int (n,), whose pair each score of ``Beside.scores`` is."""
    return np.repeat(np.arange(len(pairs)), [len(group.texts) for group in pairs])


def _score(scorer: Scorer, group: QueryPairs) -> NDArray[np.float32]:
    return scorer.score([group.query] * len(group.texts), group.texts, about_tokens(group.texts))


class QueryPairs(NamedTuple):
    """A query and the texts of its first candidates, in the fused order."""

    query: str
    texts: list[str]


def draw_pairs(release: StoredRelease, *, queries: int, depth: int, generator: np.random.Generator) -> list[QueryPairs]:
    """The pairs of some queries of a release.

    To be read while ``storage.workspace.folder.reading`` is held.

    Args:
        release: The release.
        queries: How many are drawn, at most.
        depth: Candidates of each.
        generator: Draws them.

    Returns:
        Those of them that have candidates, in the order in which they were drawn.
    """
    known = release.files.queries.read(["query_key", "text"])
    drawn = known.take(generator.permutation(known.num_rows)[:queries])
    candidates = release.candidates(drawn).filter(pc.field("fused_rank") <= depth)
    candidates = candidates.select(["query_key", "chunk_hash", "fused_rank"]).sort_by("fused_rank")
    rows = release.chunk_table().rows(pc.unique(candidates.column("chunk_hash")), ["text"])
    says = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
    texts: dict[str, list[str]] = {key: [] for key in drawn.column("query_key").to_pylist()}
    for row in candidates.to_pylist():
        texts[row["query_key"]].append(says[row["chunk_hash"]])
    named = zip(drawn.column("text").to_pylist(), texts.values(), strict=True)
    return [QueryPairs(query, found) for query, found in named if found]
