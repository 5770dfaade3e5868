"""What readers would see change: one pass over the rankings of the release that is live and of the one just made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.tasks.gates.rank_biased_overlap import rank_biased_overlap

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from nightrank.storage.release.compare import RankingPair

NAMED = 3  # queries that a reason names


@dataclass(frozen=True, slots=True)
class RankingChanges:
    """What was found. A query is named by its key, and answered where its ranking is not empty.

    Attributes:
        queries: Of the release that was made.
        empty: Those of them without a result, though a chunk could be one.
        empty_keys: The first few of these.
        compared: Queries that both releases answer.
        overlap: The mean of their rank-biased overlaps; 1 where none is compared.
        least_alike: A few with the lowest overlap under 1, lowest first.
        top1_changed: Compared queries whose first document is another one.
        judged: The pairs of the judged queries.
    """

    queries: int
    empty: int
    empty_keys: tuple[str, ...]
    compared: int
    overlap: float
    least_alike: tuple[str, ...]
    top1_changed: int
    judged: tuple[RankingPair, ...]


@dataclass(frozen=True, slots=True)
class LostQueries:
    """What becomes of the queries of people in the release that is live.

    Attributes:
        queries: How many it answers, aliases not counted.
        lost: Those that the release that was made does not answer, neither by themselves nor as an alias of another.
        lost_keys: The first few of these.
        judged: The pairs of the judged queries.
    """

    queries: int
    lost: int
    lost_keys: tuple[str, ...]
    judged: tuple[RankingPair, ...]


def ranking_changes(
    pairs: Iterable[RankingPair],
    *,
    judged: AbstractSet[str],
    persistence: float,
    unanswerable: AbstractSet[str] = frozenset(),
) -> RankingChanges:
    """Look at every query once; only the rankings of the judged ones stay in memory.

    Args:
        pairs: As ``storage.release.compare`` has them.
        judged: Keys of the judged queries.
        persistence: p of the rank-biased overlap.
        unanswerable: Keys of queries whose filters let nothing through: that they have no result is no fault.
    """
    queries = empty = compared = top1_changed = 0
    total = 0.0
    empty_keys: list[str] = []
    least_alike: list[tuple[float, str]] = []
    kept: list[RankingPair] = []
    for pair in pairs:
        queries += 1
        if pair.query_key in judged:
            kept.append(pair)
        if not pair.after:
            if pair.query_key not in unanswerable:
                empty += 1
                empty_keys = [*empty_keys, pair.query_key][:NAMED]
        elif pair.before:
            overlap = rank_biased_overlap(pair.before, pair.after, persistence=persistence)
            compared += 1
            total += overlap
            top1_changed += pair.before[0] != pair.after[0]
            if overlap < 1.0:
                least_alike = sorted([*least_alike, (overlap, pair.query_key)])[:NAMED]
    return RankingChanges(
        queries=queries,
        empty=empty,
        empty_keys=tuple(empty_keys),
        compared=compared,
        overlap=total / compared if compared else 1.0,
        least_alike=tuple(key for _, key in least_alike),
        top1_changed=top1_changed,
        judged=tuple(kept),
    )


def lost_queries(
    pairs: Iterable[RankingPair], *, judged: AbstractSet[str], left_out: AbstractSet[str] = frozenset()
) -> LostQueries:
    """Look at every query of the live release once; only the rankings of the judged ones stay in memory.

    Args:
        pairs: As ``storage.release.compare.former_rankings`` has them.
        judged: Keys of the judged queries.
        left_out: Keys of queries that are meant to go, as those that documents ask are.
    """
    queries = lost = 0
    lost_keys: list[str] = []
    kept: list[RankingPair] = []
    for pair in pairs:
        if pair.query_key in left_out:
            continue
        queries += 1
        if pair.query_key in judged:
            kept.append(pair)
        if pair.after is None:
            lost += 1
            lost_keys = [*lost_keys, pair.query_key][:NAMED]
    return LostQueries(queries=queries, lost=lost, lost_keys=tuple(lost_keys), judged=tuple(kept))
