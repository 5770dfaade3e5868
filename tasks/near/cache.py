"""The search cache with near answers: what ``from nightrank import SearchCache`` gives.

Where ``near`` is not asked for it is ``nightrank.storage.serving.cache`` alone, and nothing more is loaded. The first
near look-up loads the release's analysis, and no model.

    from nightrank import SearchCache

    with SearchCache.open("workspace") as cache:
        found = cache.get("reading csv files", near=True)
        found.how, found.from_query, found.expected_overlap  # "near", "read a csv file", 0.93
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.serving.cache import SearchCache as ExactCache
from nightrank.storage.serving.cache import condition_of
from nightrank.storage.serving.follow import FollowingCache as ExactFollowingCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.storage.records import JsonValue
    from nightrank.storage.serving.cache import CachedResults
    from nightrank.tasks.near.find import Move
    from nightrank.tasks.near.reading import QueryReader
else:
    JsonValue = Any  # as in nightrank.storage.serving.cache


class _Near(NamedTuple):
    """How a release's near answers are found."""

    read: QueryReader
    moves: Mapping[Move, float]


class SearchCache(ExactCache):
    """A reader of one release's results, and of near answers from them.

    Threads may share one, and processes that are forked from its own.
    """

    @override
    def get(self, query: str, *, filter_by: JsonValue = None, near: bool = False) -> CachedResults | None:
        """The results of a query, or None where there are none.

        Args:
            query: As typed; it is normalised here.
            filter_by: Its filter; answers are never of queries with another one.
            near: Whether a query that was not answered in advance gets the results of one that says the same, where
                the release has measured that such answers are good enough. Such an answer says so.

        Raises:
            InputError: The filter is none; or near answers are asked for, and the release was made without.
            MachineError: The file is damaged, or other versions than those here have made the near answers.
        """
        found = super().get(query, filter_by=filter_by)
        if found is not None or not near:
            return found
        return self._near_answer(normalise_query(query), condition_of(filter_by))

    def read_near(self) -> None:
        """Read now what near answers take, which else the first of them does.

        Raises:
            InputError: The release was made without.
            MachineError: As ``get`` has it.
        """
        self._near  # noqa: B018 (it is read once, and kept)

    def _near_answer(self, query: str, condition: str | None) -> CachedResults | None:
        from dataclasses import replace

        from nightrank.storage.release.results.near import NearTables
        from nightrank.tasks.near.find import find_near
        from nightrank.tasks.near.tiers import told_query

        read, moves = self._near
        if not moves:
            return None
        with self._file.reading() as connection:
            found = find_near(query, condition, read=read, known=NearTables(connection), moves=moves)
        answer = None if found is None else self._answer(found.query_key, condition)
        if found is None or answer is None:
            return None
        overlap = moves[found.move] if found.agreement is None else found.agreement
        told = told_query(answer.query)
        return replace(answer, query=query, how="near", from_query=told, expected_overlap=overlap)

    @cached_property
    def _near(self) -> _Near:
        from nightrank.storage.release.results.near import near_facts
        from nightrank.tasks.near.facts import NearFacts

        with self._file.reading() as connection:
            stored = near_facts(connection)
        if stored is None:
            message = f"The release {self.release_id} was made without near answers."
            raise InputError(message, remedy='Set [near].tiers = ["same_answer"] and run `nightrank refresh`.')
        facts = NearFacts.of_json(stored)
        return _Near(facts.reader(), facts.moves)


class FollowingCache(ExactFollowingCache):
    """A reader of the results of whatever release is current, and of near answers from them.

    Threads may share one; each process opens its own.
    """

    @override
    def get(self, query: str, *, filter_by: JsonValue = None, near: bool = False) -> CachedResults | None:
        """The results of a query, as ``SearchCache.get`` has them."""

        def ask(cache: ExactCache) -> CachedResults | None:
            assert isinstance(cache, SearchCache)
            return cache.get(query, filter_by=filter_by, near=near)

        return self._asked(ask)

    @override
    def _opened(self) -> SearchCache:
        return SearchCache.of(self._workspace)
