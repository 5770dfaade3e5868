"""The pair scores that variants of the settings need, one reranker beside the other: looked up, or scored together.

A release's candidates hold the scores of its own reranker. What they lack is taken from the workspace's memo, and what
that lacks is scored and kept there, so that the next night knows it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.errors import InputError
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.wide import first_of_each, rows_at
from nightrank.tasks.rank.candidate_grams import PAIR_GRAMS, texts_by_key, with_grams
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.rerank.pairs import DriftCheck, PairsScored, PairTexts, score_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.legs.texts import Texts
    from nightrank.tasks.rerank.hosted.plan import HostedPlan
    from nightrank.tasks.rerank.hosted.spending import SpendingBySection
    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.whole import Settings


class KnownPairs:
    """Pair scores of one reranker, by query number and text.

    Args:
        queries: Schema QUERIES, by query number.
        texts: What chunks say.
    """

    def __init__(self, queries: pa.Table, texts: Texts) -> None:
        self._query_keys = queries.column("query_key").combine_chunks()
        self._texts = texts
        self._pairs = np.zeros(0, dtype=np.int64)
        self._scores = np.zeros(0, dtype=np.float32)

    def add(self, pairs: pa.Table, scores: NDArray[np.float32]) -> None:
        """Note the scores of pairs, ``query_key`` and ``chunk_hash`` (n,); float32 (n,)."""
        numbers = np.concatenate([self._pairs, self._numbers(pairs)])
        self._pairs, first = np.unique(numbers, return_index=True)
        self._scores = np.concatenate([self._scores, scores])[first]

    def scores_of(self, pairs: pa.Table) -> NDArray[np.float32]:
        """Float32 (n,), the scores of pairs; NaN of those that are not known."""
        wanted = self._numbers(pairs)
        if self._pairs.size == 0:
            return np.full(wanted.size, np.nan, dtype=np.float32)
        places = np.minimum(np.searchsorted(self._pairs, wanted), self._pairs.size - 1)
        return np.where(self._pairs[places] == wanted, self._scores[places], np.float32(np.nan))

    def _numbers(self, pairs: pa.Table) -> NDArray[np.int64]:
        """One number for each pair."""
        queries = pc.index_in(pairs.column("query_key"), value_set=self._query_keys)
        texts = self._texts.numbers_of(pairs.column("chunk_hash"))
        numbers: NDArray[np.int64] = (queries.to_numpy().astype(np.int64) << 32) | texts
        return numbers


class KnownGrams:
    """The grams of pairs, looked for once.

    Args:
        queries: Schema QUERIES.
        table: Texts of chunks.
        candidates: Schema CANDIDATES, of a release, which has those of its own pairs; an older one has none.
    """

    def __init__(self, queries: pa.Table, table: ChunkTable, candidates: pa.Table) -> None:
        self._texts = texts_by_key(queries)
        self._table = table
        has_grams = "grams" in candidates.column_names
        self._known = candidates.select(PAIR_GRAMS.names) if has_grams else PAIR_GRAMS.empty_table()

    def beside(self, pairs: pa.Table) -> pa.Table:
        """Pairs, ``query_key`` and ``chunk_hash`` at least, with their ``grams``."""
        found = with_grams(pairs, self._texts, self._table, known=self._known)
        every = pa.concat_tables([found.select(PAIR_GRAMS.names).cast(PAIR_GRAMS), self._known])
        self._known = rows_at(every, first_of_each(every.column("query_key"), every.column("chunk_hash")))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PairScoring:
    """How pairs that nobody has scored yet are scored, while the workspace's writer is held.

    Attributes:
        workspace: Whose memo it is.
        settings: Where a reranker runs, and how it is watched.
        queries: Schema QUERIES.
        table: Texts of chunks.
        generator: Draws the drift check's sample.
        spending: What the run spent so far on hosted rerankers.
    """

    workspace: Workspace
    settings: Settings
    queries: pa.Table
    table: ChunkTable
    generator: np.random.Generator
    spending: SpendingBySection

    def score(self, pairs: pa.Table, plan: RerankerPlan | HostedPlan) -> tuple[NDArray[np.float32], PairsScored]:
        """The scores of pairs, ``query_key`` and ``chunk_hash`` (n,), from the memo or the reranker: float32 (n,).

        Raises:
            MachineError: The reranker does not say again what the memo holds.
            InputError: A spending cap leaves pairs without a score, so that variants could not be compared.
        """
        texts = PairTexts.of(self.queries, self.table)
        drift_check = DriftCheck(self.settings.drift_check, plan.precision, self.generator)
        with PairMemo(self.workspace.memo, reranker=plan.fingerprint) as memo:
            scores, done = score_pairs(
                pairs,
                memo,
                texts,
                load=LazyReranker(plan, self.settings, spending=self.spending).load,
                drift_check=drift_check,
            )
        if done.left:
            message = f"The spending cap leaves {done.left:,} pairs of {done.queries_left:,} queries without a score."
            remedy = "Run again, what was paid for is kept; or raise `max_pairs`, `max_searches` in [reranker.hosted]."
            raise InputError(message, remedy=remedy)
        return scores, done


def stored_scores(candidates: pa.Table) -> tuple[pa.Table, NDArray[np.float32]]:
    """The pairs of a release's candidates that were scored, and their scores, float32 (n,).

    Args:
        candidates: Schema CANDIDATES.
    """
    scored = candidates.filter(pc.is_valid(pc.field("pair_score")))
    return scored.select(["query_key", "chunk_hash"]), scored.column("pair_score").to_numpy()
