"""Slow drift: a release against the best of some days, where many nights each lose less than a night may.

Quality is measured anew, from the rankings that are kept of each release, by today's judgments of documents that are
still there: figures of other nights were made by other judgments, and of other collections. Rankings are compared on
the documents that have not changed since, in the order that the new release has them among its candidates. So documents
that come, go or are edited are no drift, however many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from nightrank.storage.records import kind_of
from nightrank.storage.release.manifest import Gate
from nightrank.tasks.evaluate.significance import TIE, lower_bound
from nightrank.tasks.gates.quality import named_losses, ranking_values
from nightrank.tasks.gates.rank_biased_overlap import rank_biased_overlap
from nightrank.tasks.gates.rules import Incomparable
from nightrank.tasks.names import judged_queries

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.judged import JudgedBy
    from nightrank.storage.records import Judgment
    from nightrank.tasks.gates.past import Past

QUALITY, OVERLAP, TOP1 = "quality_drift", "overlap_drift", "top1_drift"
COMPARABLE = 0.5  # of a release's queries that are asked today: with fewer too little of it is left to go by


class QualityDrift(NamedTuple):
    """What a measure lost against the release that was best.

    Attributes:
        release_id: That release.
        measure: Its name.
        queries: Judged ones that are compared.
        before: Mean of that release.
        after: Mean of the new one.
        certain: Whether the loss is more than chance: the bootstrap interval of the mean loss is above 0. One query
            alone proves nothing.
        worst: Names of the queries that lost most, the worst first.
        kind: What the judgments rest on.
    """

    release_id: str
    measure: str
    queries: int
    before: float
    after: float
    certain: bool
    worst: Sequence[str]
    kind: JudgedBy = "people"


class RankingDrift(NamedTuple):
    """How far rankings have moved from a release's.

    Attributes:
        release_id: That release.
        queries: Compared ones: those that both answer, with a document that has not changed since.
        overlap: The mean of their rank-biased overlaps on such documents.
        top1_changed: Those whose first such document is another one.
    """

    release_id: str
    queries: int
    overlap: float
    top1_changed: int


def quality_drift(
    past: Past,
    after: Mapping[str, Sequence[str]],
    judgments: Sequence[Judgment],
    *,
    documents: Container[str],
    measure: str,
    confidence: float,
    ignore_identical_ids: bool,
    generator: np.random.Generator,
) -> QualityDrift | Incomparable:
    """The past release that the new one is worst against, each on the judged queries that are kept of it.

    Args:
        past: Releases of the last days.
        after: What the new release answers judged queries with, by query id.
        judgments: The qrels of today.
        documents: Ids of today's collection, of all that are judged or ranked in the past. Others are left out: what
            was removed over many days is no drift.
        measure: As ir_measures writes it.
        confidence: Of the interval of the mean loss.
        ignore_identical_ids: Leave out the document that has the query's own id.
        generator: Of the bootstrap.
    """
    judgments = [judgment for judgment in judgments if judgment.document_id in documents]
    judged = {judgment.query_id for judgment in judgments}
    then: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in past.rankings.select(["release_id", "query_ids", "document_ids"]).to_pylist():
        for query_id in judged.intersection(row["query_ids"]):
            left = tuple(document_id for document_id in row["document_ids"] if document_id in documents)
            then.setdefault(row["release_id"], {})[query_id] = left
    if not then:
        return Incomparable("no judged query of a release of the last days is judged today")
    now = {query_id: tuple(after.get(query_id, ())) for of in then.values() for query_id in of}
    wanted = {pair for of in (*then.values(), now) for pair in of.items()}
    values = ranking_values(wanted, judgments, measure=measure, ignore_identical_ids=ignore_identical_ids)
    compared: list[tuple[float, str, list[str], NDArray[np.float64], NDArray[np.float64]]] = []
    for release_id, of in then.items():
        ids = sorted(of)
        before = np.array([values[query_id, of[query_id]] for query_id in ids])
        made = np.array([values[query_id, now[query_id]] for query_id in ids])
        compared.append((float((made - before).mean()), release_id, ids, before, made))
    _, release_id, ids, before, made = min(compared, key=lambda found: found[:2])
    losses = sorted(zip((made - before).tolist(), ids, strict=True))
    return QualityDrift(
        release_id=release_id,
        measure=measure,
        queries=len(ids),
        before=float(before.mean()),
        after=float(made.mean()),
        certain=len(ids) > 1 and lower_bound(made, before, generator=generator, confidence=confidence) > 0.0,
        worst=named_losses(losses),
        kind=kind_of(judgments) or "people",
    )


def ranking_drifts(
    past: Past, now: Mapping[str, Sequence[str]], digests: Mapping[str, str], *, persistence: float
) -> list[RankingDrift]:
    """How far rankings have moved from those of each past release that enough is left of.

    Args:
        past: Releases of the last days.
        now: All candidates of the new release in their order, published ones first, by query key.
        digests: Of the contents of documents of today, by id.
        persistence: p of the rank-biased overlap.
    """
    drifts = []
    for release_id, rows in _by_release(past):
        asked = [row for row in rows if row.query_key in now and row.document_ids]
        overlaps: list[float] = []
        top1_changed = 0
        for row in asked:
            found = zip(row.document_ids, row.content_digests, strict=True)
            before = [document_id for document_id, digest in found if digests.get(document_id) == digest]
            if not before:
                continue
            places = {document_id: place for place, document_id in enumerate(now[row.query_key])}
            after = sorted((document_id for document_id in before if document_id in places), key=places.__getitem__)
            top1_changed += before[:1] != after[:1]
            overlaps.append(_overlap(before, after, persistence=persistence))
        if overlaps and len(overlaps) >= COMPARABLE * len(asked):
            drifts.append(RankingDrift(release_id, len(overlaps), float(np.mean(overlaps)), top1_changed))
    return drifts


def quality_drift_gate(drift: QualityDrift | Incomparable, *, days: int | None, max_drift: float) -> Gate:
    """Fails where quality fell by too much since the best release of the last days, beyond chance.

    Args:
        drift: Against that release.
        days: How many days.
        max_drift: What the mean may lose.
    """
    if isinstance(drift, Incomparable):
        return Gate.not_compared(QUALITY, drift.reason, value=0.0, threshold=-max_drift)
    difference = drift.after - drift.before
    value = 0.0 if abs(difference) <= TIE else difference
    is_large = value < -max_drift - TIE
    passed = not (is_large and drift.certain)
    reason = (
        f"{drift.measure} on {drift.queries} {judged_queries(drift.kind)}: {drift.before:.4f} in "
        f"{drift.release_id}, the best of the last {days} days, {drift.after:.4f} now ({value:+.4f}); up to "
        f"{max_drift:g} may be lost over that time"
    )
    if is_large and not drift.certain:
        reason += "; so few queries lost that it may be chance"
    if drift.worst:
        reason += f"; lost most: {', '.join(drift.worst)}"
    return Gate(name=QUALITY, passed=passed, value=value, threshold=-max_drift, reason=reason)


def overlap_drift_gate(drifts: Sequence[RankingDrift], *, days: int | None, min_overlap: float) -> Gate:
    """Passes where rankings are enough like those of every release of the last days, on documents that are the same.

    Args:
        drifts: From each of them that can be compared.
        days: How many days.
        min_overlap: What the mean rank-biased overlap must be at least.
    """
    if not drifts:
        return Gate.not_compared(OVERLAP, _too_little(days), value=1.0, threshold=min_overlap)
    least = min(drifts, key=lambda drift: (drift.overlap, drift.release_id))
    reason = (
        f"mean rank-biased overlap {least.overlap:.4f} with {least.release_id}, the least alike of the last {days} "
        f"days, over {least.queries} queries and the documents that are the same, at least {min_overlap:g} is asked"
    )
    passed = least.overlap >= min_overlap
    return Gate(name=OVERLAP, passed=passed, value=least.overlap, threshold=min_overlap, reason=reason)


def top1_drift_gate(drifts: Sequence[RankingDrift], *, days: int | None, max_top1_changed: float) -> Gate:
    """Passes where few enough queries have another first document than in any release of the last days.

    Args:
        drifts: From each of them that can be compared.
        days: How many days.
        max_top1_changed: The share that may.
    """
    if not drifts:
        return Gate.not_compared(TOP1, _too_little(days), value=0.0, threshold=max_top1_changed)
    most = max(drifts, key=lambda drift: (drift.top1_changed / drift.queries, drift.release_id))
    share = most.top1_changed / most.queries
    reason = (
        f"{most.top1_changed} of {most.queries} queries have another first document than in {most.release_id} "
        f"({share:.1%}), the most of the last {days} days, among the documents that are the same; up to "
        f"{max_top1_changed:.1%} may"
    )
    return Gate(name=TOP1, passed=share <= max_top1_changed, value=share, threshold=max_top1_changed, reason=reason)


def _overlap(before: Sequence[str], after: Sequence[str], *, persistence: float) -> float:
    """What is no longer found counts as another document: a ranking and its beginning are alike as far as they go."""
    others = [f"\0{place}" for place in range(len(before) - len(after))]
    return 1.0 if before == after else rank_biased_overlap(before, [*after, *others], persistence=persistence)


class _Kept(NamedTuple):
    """What a past release answered a query with: documents and their digests, best first."""

    query_key: str
    document_ids: list[str]
    content_digests: list[str]


def _by_release(past: Past) -> Iterator[tuple[str, list[_Kept]]]:
    rankings = past.rankings.select(["release_id", *_Kept._fields])
    for release in past.releases:  # one in memory at a time
        rows = rankings.filter(pc.field("release_id") == release.release_id).drop_columns("release_id")
        yield release.release_id, [_Kept(**row) for row in rows.to_pylist()]


def _too_little(days: int | None) -> str:
    if days is None:
        return "no days are asked for"
    return f"no release of the last {days} days has enough documents that are the same"
