"""As many attempts as it takes: what another may mend is tried again, as patiently as the settings allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from nightrank.storage.errors import MachineError
from nightrank.tasks.hosted.http import Transient

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from tenacity import RetryCallState

    from nightrank.tasks.hosted.endpoint import Endpoint
    from nightrank.tasks.hosted.http import Clock

T = TypeVar("T")

FIRST_WAIT_SECONDS = 1.0  # after the first failure; doubled after each other one
JITTER = 0.5  # of a wait, so that clients that failed together do not come back together


class Undocumented(Transient):
    """An answer was not as the API's documentation says; the next may be."""


class Attempts:
    """How often an API is asked, and how long is waited between. Threads may share one.

    Args:
        endpoint: Where it is.
        documented: What it should answer as, in words, for where it does not.
        remedy: What to check then.
        clock: Waits.
        generator: Draws the jitter of waits.
    """

    def __init__(
        self, endpoint: Endpoint, *, documented: str, remedy: str, clock: Clock, generator: np.random.Generator
    ) -> None:
        self._endpoint, self._documented, self._remedy = endpoint, documented, remedy
        self._clock, self._generator = clock, generator

    def of(self, attempt: Callable[[], T]) -> T:
        """What an attempt comes to, after as many as it takes.

        Args:
            attempt: One.

        Raises:
            MachineError: The API does not answer, or not as documented, or asks to wait for too long.
        """
        retrying = Retrying(
            stop=stop_after_attempt(self._endpoint.settings.attempts),
            retry=retry_if_exception_type(Transient),
            wait=self._wait_seconds,
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            done: T = retrying(self._once, attempt)
        except Transient as failure:
            last = failure
        else:
            return done
        host = self._endpoint.url
        attempts = f"{self._endpoint.settings.attempts} attempts; the last: {last.reason}"
        if isinstance(last, Undocumented):
            message = f"{host} does not answer as {self._documented} is documented, in {attempts}."
            raise MachineError(message, remedy=self._remedy)
        message = f"{host} did not answer in {attempts}."
        remedy = f"Run again when it answers: {self._endpoint.kept} is kept, and goes on from there."
        raise MachineError(message, remedy=remedy)

    def _once(self, attempt: Callable[[], T]) -> T:
        try:
            return attempt()
        except Transient as failure:
            self._require_short_wait(failure)
            raise

    def _require_short_wait(self, failure: Transient) -> None:
        endpoint = self._endpoint
        longest = endpoint.settings.max_backoff_seconds
        if failure.wait_seconds is not None and failure.wait_seconds > longest:
            message = (
                f"{endpoint.url} asks to wait {failure.wait_seconds:,.0f} seconds ({failure.reason}), and "
                f"{longest:,.0f} are allowed."
            )
            remedy = f"Run again later, {endpoint.kept} is kept; or raise {endpoint.section}.max_backoff_seconds."
            raise MachineError(message, remedy=remedy)

    def _wait_seconds(self, state: RetryCallState) -> float:
        """As long as the server asks, else twice as long as before; and some more, by chance."""
        failure = None if state.outcome is None else state.outcome.exception()
        asked = failure.wait_seconds if isinstance(failure, Transient) else None
        longest = self._endpoint.settings.max_backoff_seconds
        wait = min(longest, FIRST_WAIT_SECONDS * 2.0 ** (state.attempt_number - 1)) if asked is None else asked
        return float(wait + self._generator.uniform(0.0, JITTER * min(wait, FIRST_WAIT_SECONDS * 8) + 0.1))
