"""What a release is worth, as its report says: what stands beside the ladder, coverage, the comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.compute as pc

from nightrank.tasks.evaluate.diagnosis import totals, worst_queries
from nightrank.tasks.evaluate.ladder import LadderStage
from nightrank.tasks.names import STAGE_NAMES
from nightrank.tasks.query_log.dropped import Dropped

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

REASONS = 12  # kinds of bad rows that are told one by one


WORST = 12  # queries whose relevant documents are followed through the stages


BESIDE = ("reranker", "results")  # measured, and no stages of the ladder
SIGNIFICANT = 0.05


class CoveragePoint(NamedTuple):
    """What share of a later day's traffic a budget of queries answers, and for how many new pairs."""

    strategy: str
    queries: int
    pairs: int
    share: float


@dataclass(frozen=True, slots=True)
class ContentGap:
    """A query that nothing answered well.

    Attributes:
        text: Normalised.
        filter: Its filter's canonical text.
        count: Searches.
        reasons: Why, of ``tasks.evaluate.gaps.REASONS``.
        results: How many it has.
        signal: What the score is; None without results.
        score: Of the best result.
        searches: That would have shown clicks; None where none would.
        clicks: After them.
    """

    text: str
    filter: str | None
    count: int
    reasons: list[str]
    results: int
    signal: str | None
    score: float | None
    searches: int | None
    clicks: int | None


class Compared(NamedTuple):
    """One stage and measure, now and before, on the same judged queries."""

    stage: str
    name: str
    measure: str
    queries: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p_value: float
    p_holm: float
    wins: int
    ties: int
    losses: int

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the corrected test says so, else ``no evidence``."""
        if self.p_holm >= SIGNIFICANT or self.difference == 0:
            return "no evidence"
        return "better" if self.difference > 0 else "worse"


def stages_beside(means: Mapping[str, Mapping[str, float]]) -> list[LadderStage]:
    """What is measured beside the ladder's stages: the reranker alone, and the results as published."""
    return [LadderStage(stage, STAGE_NAMES[stage], means[stage], None) for stage in BESIDE if stage in means]


def content_gaps(gaps: pa.Table) -> list[ContentGap]:
    """The gaps of a release, those most in demand first.

    Args:
        gaps: Schema GAPS.
    """
    return [ContentGap(**row) for row in gaps.to_pylist()]


def coverage_points(coverage: pa.Table) -> list[CoveragePoint]:
    """The rows of a table of schema COVERAGE, by strategy, smallest budget first."""
    return sorted(CoveragePoint(**row) for row in coverage.to_pylist())


def comparison_rows(comparison: pa.Table) -> list[Compared]:
    """The rows of a table of schema COMPARISON, in the ladder's order of stages."""
    order = list(STAGE_NAMES)
    rows = [Compared(name=STAGE_NAMES.get(row["stage"], row["stage"]), **row) for row in comparison.to_pylist()]
    return sorted(rows, key=lambda row: order.index(row.stage) if row.stage in order else len(order))


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
    sparse_rank: int | None = None  # releases of earlier versions say nothing of it


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


class StageSeconds(NamedTuple):
    """How long a stage took, its share of the longest stage's time, and how long it took the night before."""

    name: str
    seconds: float
    share: float
    before: float | None


class BadRows(NamedTuple):
    """Rows with one fault, and where the first of them is; the last record may stand for all further reasons."""

    reason: str
    rows: int
    first: str


def stage_seconds(seconds: Mapping[str, float], before: Mapping[str, float]) -> list[StageSeconds]:
    """The stages in their order, without the total.

    >>> [(stage.name, stage.share) for stage in stage_seconds({"total": 9.0, "read": 1.0, "embed": 4.0}, {})]
    [('read', 0.25), ('embed', 1.0)]
    """
    stages = {name: value for name, value in seconds.items() if name != "total"}
    longest = max(stages.values(), default=0.0) or 1.0
    return [StageSeconds(name, value, value / longest, before.get(name)) for name, value in stages.items()]


def dropped(table: pa.Table) -> list[Dropped]:
    """The rows of a table of schema DROPPED, most traffic first."""
    return sorted((Dropped(**row) for row in table.to_pylist()), key=lambda drop: (-drop.traffic, drop.reason))


def bad_rows(table: pa.Table) -> list[BadRows]:
    """Bad rows by reason, most frequent first; beyond a dozen reasons the others are one entry.

    Args:
        table: Schema BAD_ROWS.
    """
    groups = table.group_by("reason", use_threads=False)  # with threads there is no first one
    counted = groups.aggregate([([], "count_all"), ("file", "first"), ("row", "first")])
    ordered = counted.sort_by([("count_all", "descending"), ("reason", "ascending")])
    told = [
        BadRows(row["reason"], row["count_all"], f"{row['file_first']}, row {row['row_first']}")
        for row in ordered.slice(0, REASONS + 1).to_pylist()
    ]
    if len(told) > REASONS:
        others = ordered.slice(REASONS)
        rows = pc.sum(others.column("count_all")).as_py()
        told[REASONS] = BadRows(f"{len(others)} other reasons", rows, told[REASONS].first)
    return told
