"""The server's parts, together: what its routes share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightrank.flows.serve.metrics import Metrics

if TYPE_CHECKING:
    from nightrank.flows.serve.answer import Answer, Answerer, Question
    from nightrank.flows.serve.follow import Follower
    from nightrank.tasks.settings.serving import ServeSettings


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """What routes share.

    Attributes:
        settings: Of the server.
        answerer: Answers questions.
        follower: Looks for what is published.
        metrics: What is counted.
    """

    settings: ServeSettings
    answerer: Answerer
    follower: Follower
    metrics: Metrics = field(default_factory=Metrics)

    async def answer(self, question: Question) -> Answer:
        """The answer to a question, counted; see ``Answerer.answer``."""
        answer = await self.answerer.answer(question)
        self.metrics.answered(answer, time.monotonic() - question.at)
        return answer
