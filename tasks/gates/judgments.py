"""The gate that holds the judgments against those of the live release: evidence does not vanish overnight.

Quality is measured on judged queries, so a file of judgments that was cut off hides every loss on those that it lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.records import kind_of
from nightrank.storage.release.manifest import Gate
from nightrank.tasks.gates.rules import Incomparable
from nightrank.tasks.names import judged_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from nightrank.storage.records import Judgment

NAME = "judgments"


class JudgmentCounts(NamedTuple):
    """How much is judged.

    Attributes:
        queries: That a relevant document is known for.
        judgments: Pairs of query and document.
        relevant: Those of them with a grade over 0.
    """

    queries: int
    judgments: int
    relevant: int

    @classmethod
    def of(cls, judgments: Iterable[Judgment]) -> JudgmentCounts:
        """Of some judgments.

        >>> from nightrank.storage.records import Judgment
        >>> JudgmentCounts.of([Judgment("q1", "a", 2), Judgment("q1", "b", 0), Judgment("q2", "a", -1)])
        JudgmentCounts(queries=1, judgments=3, relevant=1)
        """
        pairs, relevant = _pairs(judgments)
        return cls(len({query_id for query_id, _ in relevant}), len(pairs), len(relevant))

    @classmethod
    def most(cls, counts: Collection[JudgmentCounts]) -> JudgmentCounts | None:
        """The highest of each; None of none."""
        return cls(*map(max, zip(*counts, strict=True))) if counts else None


def judgments_gate(
    now: Sequence[Judgment],
    live: Sequence[Judgment] | Incomparable,
    *,
    most: JudgmentCounts | None,
    days: int | None,
    max_lost: float,
) -> Gate:
    """Passes where not too much of what the live release was measured by is gone.

    Looked at are judged queries, all judgments, and those that call a document relevant; what is lost most decides. One
    whose grade fell to 0 is no longer one that calls it relevant.

    Args:
        now: The judgments of today.
        live: Those of the live release.
        most: The most that there were within some days; None where that is not known.
        days: How many.
        max_lost: The share that may be gone.
    """
    if isinstance(live, Incomparable) or not live or changed_kind(now, live):
        why = "nothing was judged"
        if isinstance(live, Incomparable):
            why = live.reason
        elif live:
            why = f"the live release was measured on {judged_queries(kind_of(live))}"
        return Gate.not_compared(NAME, why, value=0.0, threshold=max_lost)
    pairs, relevant = _pairs(now)
    live_pairs, live_relevant = _pairs(live)
    queries, live_queries = ({query_id for query_id, _ in found} for found in (relevant, live_relevant))
    kept = JudgmentCounts(len(live_queries & queries), len(live_pairs & pairs), len(live_relevant & relevant))
    names = "judged queries", "judgments", "relevant judgments"
    was = JudgmentCounts(len(live_queries), len(live_pairs), len(live_relevant))
    compared = [
        (_lost(before, after), f"{before:,} {name} live, {after:,} of them now")
        for name, before, after in zip(names, was, kept, strict=True)
    ]
    if most is not None:
        there = JudgmentCounts(len(queries), len(pairs), len(relevant))
        compared += [
            (_lost(before, after), f"{before:,} {name} within the last {days} days, {after:,} now")
            for name, before, after in zip(names, most, there, strict=True)
        ]
    lost, reason = max(compared, key=lambda found: found[0])
    if lost > 0:
        reason += f": {lost:.1%} are gone, up to {max_lost:.1%} may"
    passed = lost <= max_lost
    if not passed:
        reason += "; see whether [judgments].qrels was cut off"
    return Gate(name=NAME, passed=passed, value=lost, threshold=max_lost, reason=reason)


def changed_kind(now: Sequence[Judgment], live: Sequence[Judgment]) -> bool:
    """Whether judgments rest on something else than those of the live release did: then none of them is lost."""
    return bool(now) and bool(live) and kind_of(now) != kind_of(live)


def still_meant(
    live: Sequence[Judgment], now: Sequence[Judgment], *, answered: AbstractSet[str], documents: AbstractSet[str]
) -> list[Judgment]:
    """The judgments of the live release that still say something of today's.

    People's count whatever today's rest on: a night that they refused does not pass by other judgments. All others are
    left out where today's rest on something else. And those go that went with what they are about: of queries that are
    neither answered nor judged today, and of documents that are neither in the collection nor judged for that query
    today.

    Args:
        live: Its judgments.
        now: Those of today.
        answered: Ids of queries that the new release answers.
        documents: Ids of its documents.
    """
    if changed_kind(now, live) and kind_of(live) != "people":
        return []
    pairs, _ = _pairs(now)
    asked = answered | {query_id for query_id, _ in pairs}
    return [
        judgment
        for judgment in live
        if judgment.query_id in asked
        and (judgment.document_id in documents or (judgment.query_id, judgment.document_id) in pairs)
    ]


def _pairs(judgments: Iterable[Judgment]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The pairs of query and document that are judged, and those of them that are relevant."""
    judged = list(judgments)
    return (
        {(judgment.query_id, judgment.document_id) for judgment in judged},
        {(judgment.query_id, judgment.document_id) for judgment in judged if judgment.grade > 0},
    )


def _lost(before: int, after: int) -> float:
    return max((before - after) / before, 0.0) if before else 0.0
