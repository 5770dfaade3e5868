"""Where relevant documents went, as the report tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nightrank.tasks.evaluate.diagnosis import totals, worst_queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

WORST = 12  # queries whose relevant documents are followed through the stages


class Loss(NamedTuple):
    """A relevant document of a query and its rank after each stage, from 1; None where it was not found."""

    query_id: str
    document_id: str
    grade: int
    outcome: str
    bm25_rank: int | None
    dense_rank: int | None
    fused_rank: int | None
    reranked_rank: int | None
    result_rank: int | None


class Followed(NamedTuple):
    """A query that fares badly, and all its relevant documents; ``text`` is None where it is not answered."""

    query_id: str
    text: str | None
    documents: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """Every relevant document, how many met which fate, and the queries that fared worst."""

    documents: tuple[Loss, ...]
    totals: Mapping[str, int]
    worst: tuple[Followed, ...]


def follow_documents(diagnosis: pa.Table, evaluation: pa.Table, *, measure: str, texts: Mapping[str, str]) -> Losses:
    """The fates of all relevant documents.

    Args:
        diagnosis: Schema DIAGNOSIS.
        evaluation: Schema EVALUATION.
        measure: By which the worst queries are found.
        texts: Of the judged queries that the release answers, by id.
    """
    documents = tuple(Loss(**row) for row in diagnosis.to_pylist())
    by_query: dict[str, list[Loss]] = {}
    for loss in documents:
        by_query.setdefault(loss.query_id, []).append(loss)
    worst = worst_queries(diagnosis, evaluation, measure=measure, count=WORST)
    return Losses(
        documents=documents,
        totals=totals(diagnosis),
        worst=tuple(Followed(query_id, texts.get(query_id), tuple(by_query[query_id])) for query_id in worst),
    )
