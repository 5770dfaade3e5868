"""How much of a later day's traffic near answers add to what was answered in advance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nightrank.storage.keys import query_key
from nightrank.storage.release.near_record import NearCoverage
from nightrank.tasks.near.find import Move, find_near
from nightrank.tasks.near.known import KnownQueries, KnownQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from collections.abc import Set as AbstractSet

    import pyarrow as pa

    from nightrank.tasks.near.reading import QueryReader


def near_coverage(
    later: pa.Table,
    *,
    read: QueryReader,
    terms: AbstractSet[int],
    ranking: Callable[[str], Sequence[str]],
    persistence: float,
    least_agreement: float,
    moves: Collection[Move],
) -> NearCoverage | None:
    """The shares of a day's traffic that are answered exactly and near, from what had been chosen before it.

    Args:
        later: Schema LATER_DAY.
        read: Reads queries as the release's analysis does.
        terms: As of ``KnownQueries``, with what follows.
        ranking: The documents that the release answers a query with; none for one that it does not answer.
        persistence: p of the rank-biased overlap.
        least_agreement: How alike the answers of several queries of one form must be.
        moves: Those that are on.

    Returns:
        None where nothing was asked on such a day.
    """
    columns = (later.column(name).to_pylist() for name in ("text", "filter", "count", "searches", "is_chosen"))
    rows = list(zip(*columns, strict=True))
    total = sum(searches for *_, searches, _ in rows)
    if not total:
        return None
    chosen = [KnownQuery(query_key(text, of), text, of, count) for text, of, count, _, is_chosen in rows if is_chosen]
    known = KnownQueries(
        chosen, read=read, terms=terms, ranking=ranking, persistence=persistence, least_agreement=least_agreement
    )
    near: Counter[Move] = Counter()
    for text, condition, _, searches, is_chosen in rows:
        if not is_chosen and text is not None:
            found = find_near(text, condition, read=read, known=known.without(None), moves=moves)
            if found is not None:
                near[found.move] += searches
    exact = sum(searches for *_, searches, is_chosen in rows if is_chosen)
    return NearCoverage(exact=exact / total, near={move.value: near[move] / total for move in Move if move in moves})
