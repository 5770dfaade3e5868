"""What a query costs online, rung by rung: judged queries through the online path, one at a time.

The dense and BM25 legs are timed as live search runs them, exact and from the stores of the release. Static embeddings
are served by nobody here, so their rung is the embedding of the query and an exact scan of static vectors held in
memory: those of a sample of the collection where it is large, the scan's time scaled up to all of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from nightrank.tasks.dense.retrieve import retrieve_dense

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from nightrank.tasks.dense.retrieve import Block
    from nightrank.tasks.online.search import LiveSearch
    from nightrank.tasks.evaluate.token_vectors import StaticEmbedder
    from nightrank.tasks.dense.texts import Texts

TEXTS_SAMPLED = 10_000  # whose static vectors are scanned: 15 MB of 384 dimensions


@dataclass(frozen=True, slots=True, eq=False)
class StaticScan:
    """Static vectors in memory, to be scanned; made by ``of``.

    Attributes:
        embedder: Of texts and queries.
        texts: The collection.
        block: Numbers and vectors of those texts that are scanned.
        depth: Chunks that are wanted.
    """

    embedder: StaticEmbedder
    texts: Texts
    block: Block
    depth: int

    @classmethod
    def of(cls, embedder: StaticEmbedder, live: LiveSearch, *, generator: np.random.Generator) -> Self:
        """A sample of the texts that live search looks through; all of them where they are few."""
        sample = live.table.sample(TEXTS_SAMPLED, ["text"], generator=generator)
        numbers = live.texts.numbers_of(sample.column("chunk_hash"))
        known = numbers >= 0
        vectors = embedder.embed(sample.column("text").filter(pa.array(known)).to_pylist())
        return cls(embedder, live.texts, (numbers[known], vectors), live.settings.retrieval.candidate_depth)

    @property
    def scale(self) -> float:
        """By how much the collection is larger than what is scanned."""
        return len(self.texts) / max(1, self.block[0].size)


def time_rungs(
    live: LiveSearch,
    static: StaticScan | None,
    queries: Sequence[str],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median milliseconds of a query, by stage; each holds what its own answer needs, from the query's text on.

    Args:
        live: The online path; without a reranker ``reranked`` is not timed.
        static: None where there are no static embeddings.
        queries: Normalised, at least one.
        clock: Seconds.
    """
    _time_query(live, static, queries[0], clock)  # a model's first call sets up what later ones share
    timed = [_time_query(live, static, query, clock) for query in queries]
    return {stage: 1000.0 * median(seconds[stage] for seconds in timed) for stage in timed[0]}


def _time_query(
    live: LiveSearch, static: StaticScan | None, query: str, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds by stage."""
    seconds: dict[str, float] = {}
    if static is not None:
        start = clock()
        vectors = static.embedder.embed([query])
        embedded = clock()
        retrieve_dense(vectors, [static.block], static.texts, depth=static.depth)
        seconds["static"] = embedded - start + static.scale * (clock() - embedded)
    start = clock()
    bm25 = live.bm25(query)
    seconds["bm25"] = clock() - start
    start = clock()
    dense = live.dense(query)
    seconds["dense"] = clock() - start
    start = clock()
    fused = live.fused(bm25, dense)
    seconds["fused"] = seconds["bm25"] + seconds["dense"] + clock() - start
    if live.reranker is not None:
        start = clock()
        live.reranked(query, fused)
        seconds["reranked"] = seconds["fused"] + clock() - start
    return seconds
