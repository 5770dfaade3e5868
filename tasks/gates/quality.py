"""What published rankings are worth on judged queries, by the same judgments for both releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.storage.records import Judgment, kind_of
from nightrank.tasks.evaluate.measures import evaluate_run
from nightrank.tasks.evaluate.significance import TIE, lower_bound
from nightrank.tasks.gates.query_names import plain_name
from nightrank.tasks.gates.rules import Incomparable, QualityChange
from nightrank.tasks.trec.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.judged import JudgedBy
    from nightrank.storage.release.compare import RankingPair

NAMED = 3  # queries that a reason names


class JudgedRankings(NamedTuple):
    """What two releases answer judged queries with, by query id; what a release does not answer is not there."""

    before: Mapping[str, Sequence[str]]
    after: Mapping[str, Sequence[str]]


def judged_rankings(*found: tuple[Iterable[RankingPair], Mapping[str, Sequence[str]]]) -> JudgedRankings:
    """Rankings by query id, from pairs by query key.

    Args:
        found: Pairs of judged queries, and the ids of judged queries by query key. Where the same id comes again, what
            came first counts: queries as they are called today go before those of the release that is live.
    """
    before: dict[str, Sequence[str]] = {}
    after: dict[str, Sequence[str]] = {}
    for pairs, ids_by_key in found:
        for pair in pairs:
            for query_id in ids_by_key[pair.query_key]:
                if pair.before is not None:
                    before.setdefault(query_id, pair.before)
                if pair.after is not None:
                    after.setdefault(query_id, pair.after)
    return JudgedRankings(before, after)


def quality_change(
    rankings: JudgedRankings,
    judgments: Sequence[Judgment],
    *,
    measure: str,
    confidence: float,
    ignore_identical_ids: bool,
    generator: np.random.Generator,
    judged_by: str = "",
) -> QualityChange | Incomparable:
    """Measure both releases on the judged queries that the live one answers; what the new one lacks scores 0 there.

    A judged query that only the new release answers is left out: its gain would hide what others lose.

    Args:
        rankings: Of judged queries.
        judgments: The qrels.
        measure: As ir_measures writes it.
        confidence: Of the one-sided interval of the mean difference.
        ignore_identical_ids: Leave out the document that has the query's own id.
        generator: Of the bootstrap.
        judged_by: Whose judgments they are, in words, where they are not those of today.
    """
    if not judgments:
        return Incomparable("nothing is judged")
    ids = rankings.before.keys() & {judgment.query_id for judgment in judgments}
    if not ids:
        return Incomparable("the current release holds none of the judged queries")
    of_these = [judgment for judgment in judgments if judgment.query_id in ids]

    def measured(run: Mapping[str, Sequence[str]]) -> list[tuple[str, str, float]]:
        return evaluate_run(_entries(run, ignore_identical_ids=ignore_identical_ids), of_these, [measure])

    live = measured({key: rankings.before[key] for key in ids})
    made = measured({key: rankings.after.get(key, []) for key in ids})
    return change_of_values(
        np.array([value for _, _, value in live]),
        np.array([value for _, _, value in made]),
        names=[query_id for query_id, _, _ in live],
        measure=measure,
        confidence=confidence,
        generator=generator,
        judged_by=judged_by,
        kind=kind_of(judgments) or "people",
    )


def change_of_values(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    names: Sequence[str],
    measure: str,
    confidence: float,
    generator: np.random.Generator,
    kind: JudgedBy,
    judged_by: str = "",
) -> QualityChange:
    """The change of a measure, query by query.

    Args:
        before: float64 (n,), of the live release.
        after: float64 (n,), of the new one, by the same queries.
        names: Of the queries (n,), as a reason names them.
        measure: As ir_measures writes it.
        confidence: Of the one-sided interval of the mean difference.
        generator: Of the bootstrap.
        kind: What the judgments rest on.
        judged_by: Whose they are, in words, where they are not those of today.
    """
    losses = sorted(zip((after - before).tolist(), names, strict=True))
    difference = float((after - before).mean())
    return QualityChange(
        measure=measure,
        queries=len(names),
        before=float(before.mean()),
        after=float(after.mean()),
        difference=0.0 if abs(difference) <= TIE else difference,
        low=lower_bound(before, after, generator=generator, confidence=confidence),
        worst=named_losses(losses),
        judged_by=judged_by,
        kind=kind,
    )


def named_losses(losses: Sequence[tuple[float, str]]) -> tuple[str, ...]:
    """The queries that lost most, as a reason names them; a change that is none but for rounding is no loss.

    Args:
        losses: Changes and names, the lowest first.
    """
    return tuple(f"{plain_name(name)} ({loss:+.3f})" for loss, name in losses[:NAMED] if loss < -TIE)


def worse_of(today: QualityChange | Incomparable, live: QualityChange | Incomparable) -> QualityChange | Incomparable:
    """The change that is worse, by judgments of today and by those of the live release; today's where they are equal.

    Judgments that were lost, or given to many queries that lose nothing, hide no loss on the others.
    """
    if isinstance(live, Incomparable):
        return today
    if isinstance(today, Incomparable):
        return live
    return live if _fallen(live) < _fallen(today) else today


def ranking_values(
    rankings: Collection[tuple[str, tuple[str, ...]]],
    judgments: Sequence[Judgment],
    *,
    measure: str,
    ignore_identical_ids: bool,
) -> dict[tuple[str, tuple[str, ...]], float]:
    """What rankings are worth, several of a query among them.

    Args:
        rankings: Each a judged query's id and document ids, best first.
        judgments: The qrels.
        measure: As ir_measures writes it.
        ignore_identical_ids: Leave out the document that has the query's own id.
    """
    by_query: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        by_query.setdefault(judgment.query_id, []).append(judgment)
    numbered = {str(number): ranking for number, ranking in enumerate(sorted(rankings))}
    run = (
        Entry(number, document_id, -float(place))
        for number, (query_id, document_ids) in numbered.items()
        for place, document_id in enumerate(document_ids)
        if not (ignore_identical_ids and document_id == query_id)
    )
    copied = [
        Judgment(number, judgment.document_id, judgment.grade)
        for number, (query_id, _) in numbered.items()
        for judgment in by_query[query_id]
    ]
    return {numbered[number]: value for number, _, value in evaluate_run(run, copied, [measure])}


def judged_share(
    rankings: Mapping[str, Sequence[str]], judgments: Sequence[Judgment], *, ignore_identical_ids: bool
) -> float:
    """Mean Judged@10 of a release over all judged queries, those that it does not hold included; 0 without any.

    Args:
        rankings: Of judged queries, by query id.
        judgments: The qrels of today.
        ignore_identical_ids: Leave out the document that has the query's own id.
    """
    if not judgments:
        return 0.0
    run = _entries(rankings, ignore_identical_ids=ignore_identical_ids)
    return float(np.mean([value for _, _, value in evaluate_run(run, judgments, ["Judged@10"])]))


def _fallen(change: QualityChange) -> tuple[bool, float]:
    """First what fell, then by how low the difference may be; a mean that did not fall passes whatever that is."""
    return change.difference >= 0.0, change.low


def _entries(rankings: Mapping[str, Sequence[str]], *, ignore_identical_ids: bool) -> Iterator[Entry]:
    """Scored by falling ranks, so that the order is ours alone."""
    for query_id, document_ids in rankings.items():
        for place, document_id in enumerate(document_ids):
            if not (ignore_identical_ids and document_id == query_id):
                yield Entry(query_id, document_id, -float(place))
