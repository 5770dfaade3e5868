"""Which tier answers a query: one decision, for everybody who has both of them; and what is told of a known query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.release.near_record import POOL, read_near
from nightrank.tasks.personal_data import has_personal_data

if TYPE_CHECKING:
    from nightrank.storage.release.files import ReleaseFiles
    from nightrank.storage.release.near_record import NearMove
    from nightrank.storage.serving.cache import CachedResults


def pool_move(files: ReleaseFiles) -> NearMove | None:
    """What the second tier of a release may lose; None where it has none, or none that is good enough."""
    record = read_near(files.near)
    moves = () if record is None else record.moves
    return next((move for move in moves if move.move == POOL and move.is_on), None)


def asks_pool(found: CachedResults | None, pool: NearMove | None) -> bool:
    """Whether the second tier is asked: where it has more to expect of the query's own answer than what was found.

    Where it finds nothing near enough, what was found is the answer.

    Args:
        found: What the release answers, exactly or by the first tier.
        pool: What the second tier may lose; None where there is none.
    """
    if pool is None or (found is not None and found.how == "exact"):
        return False
    return found is None or (pool.overlap or 0.0) > found.expected_overlap


def told_query(text: str) -> str | None:
    """What others are told of a known query whose answer they get: nothing where it holds personal data.

    Whatever ``[queries].personal_data`` keeps: what one visitor wrote of themselves is not shown to another. Queries of
    too few users (``[queries].min_users``) are in no release.
    """
    return None if has_personal_data(text) else text
