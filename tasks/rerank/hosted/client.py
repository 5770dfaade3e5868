"""A reranker that answers over HTTP: queries and passages out, scores back as they arrive, within what may be spent.

What has arrived is handed on at once, answer by answer, so that whoever keeps it loses nothing to what fails later.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.tasks.hosted.attempts import Attempts, Undocumented
from nightrank.tasks.hosted.http import Clock, Connection, Transient
from nightrank.tasks.hosted.key import read_key
from nightrank.tasks.rerank.hosted.apis import APIS, MalformedAnswer, RerankRequest, passage_id
from nightrank.tasks.rerank.hosted.plan import SECTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from nightrank.tasks.rerank.hosted.apis import Scored
    from nightrank.tasks.rerank.hosted.plan import HostedPlan
    from nightrank.tasks.rerank.hosted.spending import Spending


class ScoredTexts(NamedTuple):
    """Scores that have arrived: their places among the passages, int (m,), and the scores, float32 (m,)."""

    places: NDArray[np.intp]
    scores: NDArray[np.float32]


class Spent(Exception):
    """Nothing more may be sent."""


class HostedReranker:
    """A hosted reranker for one run.

    Args:
        plan: Where it is, and what may be spent.
        key: Its key; None for none.
        spending: What the run spent so far, and adds to.
        clock: The time.
        generator: Draws the jitter of waits.

    Attributes:
        plan: As given.
        spending: As given.
    """

    def __init__(
        self, plan: HostedPlan, *, key: str | None, spending: Spending, clock: Clock, generator: np.random.Generator
    ) -> None:
        self.plan = plan
        self._api = APIS[plan.hosted.api]
        self.spending = spending
        self._connection = Connection(plan.endpoint, key=key, clock=clock)
        self._pairs_per_request = plan.hosted.pairs_per_request or self._api.pairs_per_request
        self._uploaded: set[str] = set()
        self._attempts = Attempts(
            plan.endpoint,
            documented=repr(plan.hosted.api),
            remedy=f"Check {SECTION}.api and url. Nothing of such answers was kept; what was scored before is.",
            clock=clock,
            generator=generator,
        )

    @classmethod
    def connect(cls, plan: HostedPlan, spending: Spending) -> Self:
        """The hosted reranker of a plan, with the key that its settings name.

        Args:
            plan: Where it is, and what may be spent.
            spending: What the run spent so far, and adds to.

        Raises:
            InputError: The key is not where the settings say.
        """
        return cls(
            plan,
            key=read_key(plan.hosted, section=SECTION),
            spending=spending,
            clock=Clock(),
            generator=np.random.default_rng(),
        )

    @property
    def is_spent(self) -> bool:
        """Whether nothing more may be sent."""
        return self.spending.room_for(1) == 0

    @property
    def searches(self) -> int:
        """Searches that were billed so far."""
        return self.spending.searches

    def answers(self, query: str, texts: Sequence[str]) -> Iterator[ScoredTexts]:
        """Scores of a query's passages, answer by answer; those that the cap leaves out never come.

        Args:
            query: Normalised.
            texts: (n,) what models read of the chunks.

        Raises:
            MachineError: The API does not answer, or not as documented.
            InputError: The API refuses the key or the request.
        """
        waiting = list(range(len(texts)))
        while waiting and (room := self.spending.room_for(min(len(waiting), self._pairs_per_request))):
            part = waiting[:room]
            asked = RerankRequest(
                self.plan.model,
                query,
                [texts[place] for place in part],
                self.plan.max_tokens,
                self.plan.hosted.corpus,
            )
            try:
                scored = self._ask(asked)
            except Spent:  # by attempts that failed and may have been billed
                return
            found = {part[position]: score for position, score in scored.scores.items()}
            yield ScoredTexts(np.array(list(found), dtype=np.intp), np.array(list(found.values()), dtype=np.float32))
            # An answer that leaves passages out is taken for what it says; only the others are asked for again.
            waiting = [place for place in waiting if place not in found]

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:  # noqa: ARG002 (a model's batches need lengths)
        """Raw scores of pairs, float32 (n,); higher is more relevant.

        NaN for every pair of a query of which the cap left any out.
        """
        scores = np.full(len(queries), np.nan, dtype=np.float32)
        try:
            self._score_into(scores, queries, texts)
        finally:
            self.close()
        return scores

    def close(self) -> None:
        """Close the connection; the next question opens it again."""
        self._connection.close()

    def _score_into(self, scores: NDArray[np.float32], queries: Sequence[str], texts: Sequence[str]) -> None:
        for query in dict.fromkeys(queries):
            rows = np.flatnonzero([other == query for other in queries])
            for answer in self.answers(query, [texts[row] for row in rows.tolist()]):
                scores[rows[answer.places]] = answer.scores
            if np.isnan(scores[rows]).any():
                scores[rows] = np.nan

    def _ask(self, asked: RerankRequest) -> Scored:
        """An answer with one score at least, after as many attempts as it takes."""
        for text in asked.texts if self._api.upload is not None else ():
            self._attempts.of(partial(self._upload, asked, text))
        return self._attempts.of(partial(self._attempt, asked))

    def _attempt(self, asked: RerankRequest) -> Scored:
        pairs = len(asked.texts)
        if self.spending.room_for(pairs) < pairs:
            raise Spent
        try:
            answer = self._connection.post(self._api.path(asked), self._api.body(asked))
        except Transient as failure:
            if failure.may_be_billed:
                self.spending.add(pairs)
            raise
        try:
            scored = self._api.read(answer, asked)
        except MalformedAnswer as malformed:
            self.spending.add(pairs)
            raise Undocumented(str(malformed)) from malformed
        self.spending.add(pairs, searches=scored.searches)
        if scored.scores:
            return scored
        message = f"it scored none of {pairs} passages"
        raise Transient(message)

    def _upload(self, asked: RerankRequest, text: str) -> None:
        """Make a passage known to the API; that it is known already is fine."""
        name = passage_id(text)
        if name in self._uploaded:
            return
        assert self._api.upload is not None
        self._connection.post(*self._api.upload(asked, text), known=True)
        self._uploaded.add(name)
