"""The server's parts, together: what its routes share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nightrank.flows.serve.http.faults import RequestFault
from nightrank.flows.serve.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.serve.answer import Answer, Answerer
    from nightrank.flows.serve.http.parameters import Question
    from nightrank.storage.serving.cache import Result
    from nightrank.storage.serving.follower import Follower
    from nightrank.storage.visits.rows import How
    from nightrank.tasks.online.visits import Visits
    from nightrank.tasks.settings.serving import ServeSettings

UNANSWERED = (404, 503)  # what the next night can answer: nobody had an answer, or time to make one


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """What routes share.

    Attributes:
        settings: Of the server.
        answerer: Answers questions.
        follower: Looks for what is published.
        visits: Notes what is asked and opened.
        metrics: What is counted.
    """

    settings: ServeSettings
    answerer: Answerer
    follower: Follower
    visits: Visits
    metrics: Metrics = field(default_factory=Metrics)

    async def answer(self, question: Question) -> Answer:
        """The answer to a question, counted and noted; see ``Answerer.answer``."""
        try:
            answer = await self.answerer.answer(question)
        except RequestFault as fault:
            if fault.status in UNANSWERED:
                release = self.answerer.current.peek()
                self._note(question, (), how="none", release_id="" if release is None else release.release_id)
            raise
        self.metrics.answered(answer, time.monotonic() - question.at)
        noted = self._note(question, answer.results, how=answer.how, release_id=answer.release_id)
        return replace(answer, impression=noted)

    def _note(self, question: Question, results: Sequence[Result], *, how: How, release_id: str) -> str:
        return self.visits.searched(
            question.query,
            question.condition,
            results,
            how=how,
            release_id=release_id,
            session=question.session,
        )
