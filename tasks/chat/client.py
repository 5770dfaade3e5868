"""Asks a language model over HTTP, several prompts at once, within what may be spent.

What has arrived is handed on at once, so that whoever keeps it loses nothing to what fails later; and what is under way
when something fails is waited for, since it is paid for.
"""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import MachineError, NightrankError, RequestRefused
from nightrank.tasks.chat.api import PATH, MalformedAnswer, body_of, text_of
from nightrank.tasks.hosted.attempts import Attempts, Undocumented
from nightrank.tasks.hosted.http import Clock, Connection, Transient
from nightrank.tasks.hosted.key import read_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from nightrank.tasks.chat.api import Prompt
    from nightrank.tasks.chat.plan import ChatPlan


PATIENCE = 3  # prompts in a row that fail before the model is asked no more


class Answer(NamedTuple):
    """A prompt, and what the model said, word for word."""

    prompt: Prompt
    text: str


class Failed(NamedTuple):
    """A prompt that got no answer, and why."""

    prompt: Prompt
    reason: str


class Spent(Exception):
    """Nothing more may be sent."""


class Requests:
    """How many requests were sent, under a cap; threads share it.

    What may have been billed counts: an answer that was lost on its way, or that was broken.

    Args:
        most: That may be sent.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock, self._sent = most, threading.Lock(), 0

    @property
    def sent(self) -> int:
        """How many."""
        return self._sent

    @property
    def left(self) -> int:
        """How many may still be sent."""
        return max(0, self._most - self._sent)

    def take(self) -> None:
        """Count one that is about to be sent.

        Raises:
            Spent: It may not be.
        """
        with self._lock:
            if self._sent >= self._most:
                raise Spent
            self._sent += 1

    def give_back(self) -> None:
        """One was refused, and nobody bills that."""
        with self._lock:
            self._sent -= 1


class ChatModel(Closing):
    """A language model for one run; a context manager.

    Args:
        plan: Where it is, and what may be spent.
        key: Its key; None for none.
        clock: The time.
        generator: Draws the jitter of waits.

    Attributes:
        plan: As given.
        requests: What was sent so far.
        failed: Prompts that got no answer, and why.
    """

    def __init__(self, plan: ChatPlan, *, key: str | None, clock: Clock, generator: np.random.Generator) -> None:
        self.plan = plan
        self.requests = Requests(plan.settings.max_requests)
        self.failed: list[Failed] = []
        self._connection = Connection(plan.endpoint, key=key, clock=clock)
        self._attempts = Attempts(
            plan.endpoint,
            documented="an OpenAI-compatible API",
            remedy=f"Check {plan.endpoint.section}.url. Nothing of such answers was kept; what was answered before is.",
            clock=clock,
            generator=generator,
        )

    @classmethod
    def connect(cls, plan: ChatPlan) -> Self:
        """The model of a plan, with the key that its settings name.

        Raises:
            InputError: The key is not where the settings say.
        """
        key = read_key(plan.settings, section=plan.endpoint.section)
        return cls(plan, key=key, clock=Clock(), generator=np.random.default_rng())

    @override
    def close(self) -> None:
        self._connection.close()

    def answers(self, prompts: Iterable[Prompt]) -> Iterator[Answer]:
        """Answers as they arrive, in whatever order; those that the cap leaves out never come.

        One prompt that the model fails at, or refuses, keeps the others from nothing: it is in ``failed``.

        Args:
            prompts: Each once; they are taken as they are needed.

        Raises:
            MachineError: The API does not answer, or not as documented; what was under way has come before.
            InputError: The API refuses the key, or whatever it is asked; likewise.
        """
        waiting = iter(prompts)
        failure: NightrankError | None = None
        is_over, answered, in_a_row = False, 0, 0
        width = self.plan.settings.concurrency
        with ThreadPoolExecutor(width, thread_name_prefix="chat") as pool:
            pending: dict[Future[Answer], Prompt] = {}
            try:
                while True:
                    room = 0 if is_over else width - len(pending)
                    pending |= {pool.submit(self._ask, prompt): prompt for prompt in islice(waiting, room)}
                    if not pending:
                        break
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for ended in done:
                        prompt = pending.pop(ended)
                        try:
                            answer = ended.result()
                        except Spent:
                            is_over = True
                            continue
                        except (MachineError, RequestRefused) as error:
                            self.failed.append(Failed(prompt, error.message))
                            in_a_row += 1
                            if in_a_row >= PATIENCE or not answered:
                                failure, is_over = failure or error, True
                            continue
                        except NightrankError as error:
                            failure, is_over = error, True
                            continue
                        answered, in_a_row = answered + 1, 0
                        yield answer
            finally:
                for left in pending:
                    left.cancel()
        if failure is not None:
            raise failure

    def _ask(self, prompt: Prompt) -> Answer:
        return Answer(prompt, self._attempts.of(partial(self._attempt, prompt)))

    def _attempt(self, prompt: Prompt) -> str:
        self.requests.take()
        try:
            answer = self._connection.post(PATH, body_of(prompt, model=self.plan.model, settings=self.plan.settings))
        except (Transient, NightrankError) as failure:
            if not (isinstance(failure, Transient) and failure.may_be_billed):
                self.requests.give_back()
            raise
        try:
            return text_of(answer)
        except MalformedAnswer as malformed:
            raise Undocumented(str(malformed)) from malformed
