"""One answer: the tiers that may give it, in their order, each of which says how it was made."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import msgspec

from nightrank.flows.serve.capacity import Capacity
from nightrank.flows.serve.http.faults import RequestFault, TooBusy
from nightrank.storage.serving.cache import CachedResults, Result
from nightrank.tasks.near.tiers import asks_pool

if TYPE_CHECKING:
    from nightrank.flows.serve.current import Current
    from nightrank.flows.serve.http.parameters import Question
    from nightrank.flows.serve.release import ServedRelease
    from nightrank.tasks.online.release import LiveAnswer
    from nightrank.tasks.settings.serving import ServeSettings


class Answer(msgspec.Struct, frozen=True):
    """What a question is answered.

    Attributes:
        query: Its text, normalised; of a query that is the alias of another that one's.
        filter: The canonical form of its filter; null without one.
        how: Whether it was answered in advance, by what a like query was answered with, or now.
        from_query: The like query, where it was; null where that holds personal data.
        expected_overlap: Of such an answer, how alike it and the query's own are, from 0 to 1, as the release has
            measured; null of others.
        release_id: Of the release that all of it comes from.
        impression: An id of this answer, by which clicks name it; empty until it is noted.
        pairs_wanted: Of an answer that was made now: the passages that the reranker was to order; null of others.
        pairs_scored: Those for which there was time before the deadline: the best of the first stage.
        results: Best first.
    """

    query: str
    filter: msgspec.Raw | None
    how: Literal["exact", "near", "live"]
    from_query: str | None
    expected_overlap: float | None
    release_id: str
    impression: str
    pairs_wanted: int | None
    pairs_scored: int | None
    results: tuple[Result, ...]


class Answerer:
    """Answers questions from the release that is served. Of one event loop alone.

    Args:
        current: What is served.
        settings: Deadline and capacity.
    """

    def __init__(self, current: Current, settings: ServeSettings) -> None:
        self.current = current
        self.capacity = Capacity(settings.live_at_once, settings.live_waiting)
        self._deadline_seconds = settings.deadline_ms / 1000.0
        self._pool = ThreadPoolExecutor(settings.live_at_once, "live")

    def close(self) -> None:
        """End the threads, when no request is under way."""
        self._pool.shutdown(cancel_futures=True)

    async def answer(self, question: Question) -> Answer:
        """The answer of the first tier that has one, from one release.

        Raises:
            RequestFault: None has, or the question cannot be answered.
            TooBusy: It would have to be made now, and others are.
            InputError: The filter cannot be applied to the collection.
        """
        with self.current.lent() as release:
            depth = self._depth(question, release)
            found = release.cache.get(question.query, filter_by=question.condition, near=release.has_near)
            if found is not None and not asks_pool(found, None if release.pools is None else release.pools.measured):
                return _known(question, release, depth, found)
            try:
                return await self._made(question, release, depth, instead_of=found)
            except TooBusy:
                if found is None:
                    raise
                return _known(question, release, depth, found)

    def _depth(self, question: Question, release: ServedRelease) -> int:
        if question.depth is None:
            return release.depth
        if not 1 <= question.depth <= release.depth:
            what = f"{question.depth} results were asked for, and the release has up to {release.depth}."
            raise RequestFault(400, what, where="depth", remedy=f"Ask for 1 to {release.depth}.")
        return question.depth

    async def _made(
        self, question: Question, release: ServedRelease, depth: int, *, instead_of: CachedResults | None
    ) -> Answer:
        """What is found now, for the nearest known queries or by both stages.

        Args:
            question: What is asked.
            release: What is served.
            depth: Results that are wanted.
            instead_of: A near answer that there is, where nothing is near enough to do better.
        """
        if release.online is None:
            what = f"The release {release.release_id} holds no results for this query"
            what += " with this filter." if question.condition is not None else "."
            remedy = f"Others are not answered now: {release.why_not_live}" if release.why_not_live else ""
            raise RequestFault(404, what, where="q", remedy=remedy or "Set [serve].live, or add the query to the log.")
        async with self.capacity.seat():
            loop = asyncio.get_running_loop()
            due = question.at + self._deadline_seconds
            made = await loop.run_in_executor(self._pool, _found_now, release, question, due, instead_of)
        if isinstance(made, CachedResults):
            return _known(question, release, depth, made)
        return _answer(
            question,
            release,
            how="live",
            query=made.query,
            results=made.results[:depth],
            pairs=(made.pairs_wanted, made.pairs_scored),
        )


def _found_now(
    release: ServedRelease, question: Question, due: float, instead_of: CachedResults | None
) -> LiveAnswer | CachedResults:
    allowed = release.visible(question.condition)
    if release.pools is not None:
        pooled = release.pools.answer(question.query, question.condition, allowed)
        if pooled is not None:
            return pooled
    if instead_of is not None:
        return instead_of
    assert release.online is not None
    return release.online.answer(question.query, allowed, due=due)


def _known(question: Question, release: ServedRelease, depth: int, found: CachedResults) -> Answer:
    """What was answered in advance, or a like query was."""
    return _answer(
        question,
        release,
        how=found.how,
        query=found.query,
        results=found.results[:depth],
        like=found.from_query,
        overlap=found.expected_overlap if found.how == "near" else None,
    )


def _answer(
    question: Question,
    release: ServedRelease,
    *,
    how: Literal["exact", "near", "live"],
    query: str,
    results: tuple[Result, ...],
    like: str | None = None,
    overlap: float | None = None,
    pairs: tuple[int, int] | tuple[None, None] = (None, None),
) -> Answer:
    return Answer(
        query=query,
        filter=None if question.condition is None else msgspec.Raw(question.condition.encode()),
        how=how,
        from_query=like,
        expected_overlap=overlap,
        release_id=release.release_id,
        impression="",
        pairs_wanted=pairs[0],
        pairs_scored=pairs[1],
        results=results,
    )
