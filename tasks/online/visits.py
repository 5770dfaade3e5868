"""What visitors of a server ask and open, noted for the nights to come: by the rules of ``[queries]``, and nameless.

A search gets an impression id, by which a click on one of its results names it. The last searches are remembered for
that, and nothing of them is on disk but their rows.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from nightrank.storage.keys import normalise_query
from nightrank.storage.visits.log import RowCounts
from nightrank.storage.visits.rows import ClickRow, SearchRow, filter_of
from nightrank.tasks.personal_data import kept, names_persons

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nightrank.storage.serving.cache import Result
    from nightrank.storage.visits.log import VisitLog
    from nightrank.storage.visits.rows import How
    from nightrank.tasks.personal_data import PersonalData

SEARCHES_REMEMBERED = 50_000  # some 20 MB
LONGEST_NOTED = 1_000  # characters of a query; longer ones are pasted texts
ID_BYTES = 12

Clicked: TypeAlias = Literal["noted", "unknown", "not a result"]


class _Search(NamedTuple):
    """A search that clicks may follow.

    Attributes:
        query: As it is noted; None where it is not.
        condition: The canonical text of its filter.
        user: What stands for its session on its day.
        document_ids: Of its results, best first.
        clicked: Places of results whose clicks were noted.
    """

    query: str | None
    condition: str | None
    user: str | None
    document_ids: tuple[str, ...]
    clicked: set[int]


class Visits:
    """Notes searches and clicks. Threads may share one.

    Args:
        log: Where they are written; None: impressions are given out, and nothing is noted.
        personal_data: What becomes of queries with such, as ``[queries].personal_data`` says.
        clock: What time it is, in UTC.
    """

    def __init__(
        self,
        log: VisitLog | None,
        *,
        personal_data: PersonalData,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log, self._personal_data, self._clock = log, personal_data, clock
        self._searches: OrderedDict[str, _Search] = OrderedDict()
        self._remembering = Lock()

    @property
    def is_noting(self) -> bool:
        """Whether anything is noted."""
        return self._log is not None

    @property
    def rows(self) -> RowCounts:
        """How many rows were written, and how many were lost."""
        return RowCounts(0, 0) if self._log is None else self._log.counts

    def searched(
        self,
        query: str,
        condition: str | None,
        results: Sequence[Result],
        *,
        how: How,
        release_id: str,
        session: str | None = None,
    ) -> str:
        """Note a search.

        Args:
            query: As it was typed.
            condition: The canonical text of its filter; None without one.
            results: What it was answered with, best first.
            how: How.
            release_id: By which release.
            session: Whatever tells this visitor from others today; it is kept as a salted hash alone, whose salt goes
                with the day.

        Returns:
            The impression id, which says nothing of the search.
        """
        impression = secrets.token_urlsafe(ID_BYTES)
        if self._log is None:
            return impression
        at = self._clock()
        text = self._noted(query, condition)
        user = None if not session or text is None else self._log.user(session, at=at)
        ids = () if text is None else tuple(result.document_id for result in results)
        with self._remembering:
            self._searches[impression] = _Search(text, condition, user, ids, set())
            if len(self._searches) > SEARCHES_REMEMBERED:
                self._searches.popitem(last=False)
        if text is not None:
            row = SearchRow(
                timestamp=_written(at),
                query=text,
                filter=filter_of(condition),
                user=user,
                how=how,
                impression=impression,
                release_id=release_id,
                results=len(results),
                score=results[0].score if results else None,
                shown=ids,
            )
            self._log.write(row, at=at)
        return impression

    def clicked(self, impression: str, document_id: str, rank: int | None = None) -> Clicked:
        """Note a click on a result; a second one on the same result is no other.

        Args:
            impression: Of the search.
            document_id: Of the result.
            rank: Its place, from 1, which tells two results of one document apart; None: the first of them.

        Returns:
            ``noted``, also where the search itself was not, for the data in its text; ``unknown``: the search is none,
            or so many came after it that it is forgotten; ``not a result`` of it.
        """
        with self._remembering:
            search = self._searches.get(impression)
            if search is None:
                return "unknown"
            if search.query is None:
                return "noted"
            places = [place for place, name in enumerate(search.document_ids) if name == document_id]
            if rank is not None:
                places = [place for place in places if place == rank - 1]
            if not places:
                return "not a result"
            is_new = places[0] not in search.clicked
            search.clicked.add(places[0])
        if is_new and self._log is not None:
            at = self._clock()
            row = ClickRow(
                timestamp=_written(at),
                query=search.query,
                filter=filter_of(search.condition),
                clicked=document_id,
                user=search.user,
                impression=impression,
                rank=places[0] + 1,
            )
            self._log.write(row, at=at)
        return "noted"

    def _noted(self, query: str, condition: str | None) -> str | None:
        """A query as it may be kept; None where it may not."""
        text = kept(normalise_query(query.encode("utf-8", "replace").decode()), self._personal_data)
        if not text or len(text) > LONGEST_NOTED:
            return None
        if self._personal_data != "keep" and condition is not None and names_persons(condition):
            return None
        return text


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
