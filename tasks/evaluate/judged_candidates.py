"""What the legs found for the judged queries, as flat arrays over which any ranking is measured at once.

Rows are chunks, by judged query id, then chunk number. A release numbers chunks by document, so that the chunks of a
document are neighbours, and the order of chunk numbers is the one that decides between equal scores. Nothing is sorted
but documents, once a ranking: hundreds of rankings of hundreds of queries take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.storage.records import ranking_order, ranks_within
from nightrank.tasks.rank.fusion import LegUnion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import Judgment


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCandidates:
    """The rows of judged queries, the documents behind them, and which of these are relevant.

    Query ids are numbered from 0 in ascending order; those that the release answers come first, as the rows' groups.

    Attributes:
        query_ids: Of all judged queries (n_ids,), the answered ones first.
        query_of: int (n_answered,), the query number of each answered id.
        rows: int (n,), the row of the legs' pool behind each row.
        pool: The rows, with the places of the query ids for query numbers.
        starts: int (n_documents,), where the rows of each document of a query begin.
        groups: int (n_documents,), the query id of each of them.
        ignored: bool (n_documents,), documents that have the query's own id and are left out.
        relevant: int (n_relevant,), places of documents that are relevant.
        gains: float64 (n_relevant,), their grades.
        judged_gains: float64 (n_judged,), the grades of all relevant documents of all queries, found or not.
        judged_groups: int (n_judged,), their query ids.
    """

    query_ids: Sequence[str]
    query_of: NDArray[np.intp]
    rows: NDArray[np.intp]
    pool: LegUnion
    starts: NDArray[np.intp]
    groups: NDArray[np.intp]
    ignored: NDArray[np.bool_]
    relevant: NDArray[np.intp]
    gains: NDArray[np.float64]
    judged_gains: NDArray[np.float64]
    judged_groups: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        pool: LegUnion,
        documents: NDArray[np.integer],
        document_ids: Sequence[str],
        ids_by_query: Sequence[Sequence[str]],
        judgments: Sequence[Judgment],
        *,
        ignore_identical_ids: bool,
    ) -> Self:
        """The rows of the judged queries.

        Args:
            pool: Of the legs that are on.
            documents: int (n_chunks,), the number of the document of each chunk, ascending.
            document_ids: By document number.
            ids_by_query: The judged ids of each query, by query number.
            judgments: The qrels.
            ignore_identical_ids: Leave out the document that has the query's own id.
        """
        answered = sorted((query_id, number) for number, ids in enumerate(ids_by_query) for query_id in ids)
        known = {query_id for query_id, _ in answered}
        query_ids = [query_id for query_id, _ in answered]
        query_ids += sorted({judgment.query_id for judgment in judgments} - known)
        query_of = np.array([number for _, number in answered], dtype=np.intp)

        first = np.searchsorted(pool.queries, query_of, side="left")
        counts = np.searchsorted(pool.queries, query_of, side="right") - first
        of_row = np.repeat(np.arange(query_of.size), counts)
        rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[of_row]
        taken = LegUnion(
            of_row.astype(np.int32),
            pool.chunks[rows],
            pool.documents[rows],
            pool.places[rows],
            {leg: scores[rows] for leg, scores in pool.scores.items()},
            {leg: ranks[rows] for leg, ranks in pool.ranks.items()},
        )
        pairs = (of_row.astype(np.int64) << 32) | documents[taken.chunks]
        starts = np.flatnonzero(np.r_[True, pairs[1:] != pairs[:-1]]) if pairs.size else np.zeros(0, dtype=np.intp)

        number_of = {document_id: number for number, document_id in enumerate(document_ids)}
        places = {query_id: place for place, query_id in enumerate(query_ids)}
        own = [(place, number_of[query_id]) for query_id, place in places.items() if query_id in number_of]
        kept = [judgment for judgment in judgments if judgment.grade > 0]
        found = [(places[one.query_id], number_of.get(one.document_id, -1), one.grade) for one in kept]
        judged = np.array(found, dtype=np.int64).reshape(-1, 3)
        places_of_judged = _places(pairs[starts], judged[:, 0], judged[:, 1])
        in_pool = places_of_judged >= 0
        ignored = np.zeros(starts.size, dtype=np.bool_)
        if ignore_identical_ids and own:
            of_own = _places(pairs[starts], *np.array(own, dtype=np.int64).T)
            ignored[of_own[of_own >= 0]] = True
        return cls(
            query_ids=query_ids,
            query_of=query_of,
            rows=rows,
            pool=taken,
            starts=starts,
            groups=of_row[starts],
            ignored=ignored,
            relevant=places_of_judged[in_pool],
            gains=judged[in_pool, 2].astype(np.float64),
            judged_gains=judged[:, 2].astype(np.float64),
            judged_groups=judged[:, 0],
        )

    def ndcg(self, scores: NDArray[np.float32], among: NDArray[np.bool_], *, depth: int) -> NDArray[np.float64]:
        """The nDCG of each query id, float64 (n_ids,), of the documents that a ranking of chunks gives.

        A document stands where its best chunk stands; gains are grades, as trec_eval has it.

        Args:
            scores: float32 (n,), of the rows.
            among: bool (n,), the rows that the ranking has.
            depth: Documents that count.
        """
        ranks = self._ranks(scores, among)[self.relevant]
        counts = (ranks > 0) & (ranks <= depth)
        groups = self.groups[self.relevant[counts]]
        gained = np.bincount(groups, self.gains[counts] / np.log2(1.0 + ranks[counts]), len(self.query_ids))
        ideal = self._ideal(depth)
        return np.divide(gained, ideal, out=np.zeros(ideal.size), where=ideal > 0)

    def recall(self, among: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of its relevant documents that some rows hold, of each query id: float64 (n_ids,).

        Args:
            among: bool (n,), the rows.
        """
        there = np.logical_or.reduceat(among, self.starts) if self.starts.size else np.zeros(0, dtype=np.bool_)
        found = self.relevant[(there & ~self.ignored)[self.relevant]]
        count = len(self.query_ids)
        judged = np.bincount(self.judged_groups, minlength=count)
        return np.bincount(self.groups[found], minlength=count) / np.maximum(judged, 1)

    def row_gains(self, order: NDArray[np.intp]) -> NDArray[np.float64]:
        """What each row, taken in some order, is worth: float64 (n,).

        The first row of a relevant document has its grade, every other row 0; those of a document that is left out
        have NaN.

        Args:
            order: int (n,), of the rows, by query.
        """
        of_document = np.zeros(self.starts.size)
        of_document[self.relevant] = self.gains
        of_document[self.ignored] = np.nan
        documents = np.repeat(np.arange(self.starts.size), np.diff(np.append(self.starts, order.size)))[order]
        gains = of_document[documents]
        first = np.zeros(order.size, dtype=np.bool_)
        first[np.unique(documents, return_index=True)[1]] = True
        return np.where(first | np.isnan(gains), gains, 0.0)

    def _ranks(self, scores: NDArray[np.float32], among: NDArray[np.bool_]) -> NDArray[np.int32]:
        """int32 (n_documents,), the rank of each document of a query; 0 where it is not in the ranking."""
        if not self.starts.size:
            return np.zeros(0, dtype=np.int32)
        best = np.maximum.reduceat(np.where(among, scores, np.float32(-np.inf)), self.starts)
        there = np.flatnonzero((best > -np.inf) & ~self.ignored)
        order = ranking_order(self.groups[there], best[there], there)
        ranks = np.zeros(self.starts.size, dtype=np.int32)
        ranks[there[order]] = ranks_within(self.groups[there][order])
        return ranks

    def _ideal(self, depth: int) -> NDArray[np.float64]:
        """float64 (n_ids,), the gain of the best ranking there could be."""
        order = np.lexsort((-self.judged_gains, self.judged_groups))
        ranks = ranks_within(self.judged_groups[order])
        counts = ranks <= depth
        gains = self.judged_gains[order][counts] / np.log2(1.0 + ranks[counts])
        return np.bincount(self.judged_groups[order][counts], weights=gains, minlength=len(self.query_ids)).astype(
            np.float64
        )


def _places(pairs: NDArray[np.int64], groups: NDArray[np.int64], documents: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each (query id, document) stands among ascending pairs; -1 where it does not, or there is no document."""
    wanted = (groups << 32) | documents
    places = np.minimum(np.searchsorted(pairs, wanted), max(pairs.size - 1, 0))
    there = (documents >= 0) & (pairs[places] == wanted) if pairs.size else np.zeros(wanted.size, dtype=np.bool_)
    return np.where(there, places, -1)
