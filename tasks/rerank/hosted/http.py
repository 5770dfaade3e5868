"""Requests to a hosted reranker: one attempt at a time, paced, and each outcome told apart.

An attempt ends in an answer, in something that another attempt may mend (``Transient``), or in an error for people.
Nothing that is raised, logged or kept holds the key: messages are made of status and host, an answer's own words are
shown without it, and errors of the HTTP client, which carry the request and its headers, are not handed on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from nightrank.storage.errors import InputError, MachineError, NightrankError
from nightrank.storage.files.text import plain_text
from nightrank.tasks.rerank.hosted.key import key_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.rerank.hosted.apis import Api, Body
    from nightrank.tasks.rerank.hosted.plan import HostedPlan

LONGEST_WAIT_SECONDS = 1e9  # that is told: some servers answer with digits without end
WORDS_SHOWN = 200  # characters of what a server says of an error
TRY_AGAIN = frozenset({408, 425, 429})
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, and waiting for it.

    Attributes:
        monotonic: Seconds that never run back.
        sleep: Waits so many seconds.
        now: The time of day, with its time zone.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Transient(Exception):
    """An attempt failed in a way that another may not.

    Args:
        reason: What happened, for people.
        wait_seconds: What the server asks to wait; None where it does not say.
        may_be_billed: Whether the provider may have done the work all the same.
    """

    def __init__(self, reason: str, *, wait_seconds: float | None = None, may_be_billed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_seconds = wait_seconds
        self.may_be_billed = may_be_billed


class Connection:
    """The connection to one API, opened with the first request after it was closed; close it.

    Args:
        plan: Where it is, and how it is asked.
        api: How it takes the key.
        key: Sent with each request; None for none.
        clock: The time.
    """

    def __init__(self, plan: HostedPlan, api: Api, *, key: str | None, clock: Clock) -> None:
        header, before = api.key_header
        headers = {"User-Agent": "nightrank", **({} if key is None else {header: f"{before}{key}"})}
        self._headers = headers
        self._client: httpx.Client | None = None
        self._plan = plan
        self._key = key
        self._clock = clock
        self._last_sent: float | None = None

    @property
    def host(self) -> str:
        """Where the API is, for people."""
        return self._plan.url

    def close(self) -> None:
        """Close the connection; it may be used again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def post(self, path: str, body: Body, *, known: bool = False) -> JsonValue:
        """Send one request, once.

        Args:
            path: Behind the plan's url.
            body: Sent as JSON.
            known: Whether it is fine that what is sent is there already (status 409).

        Returns:
            The answer.

        Raises:
            Transient: Another attempt may succeed.
            InputError: The API refuses the key or the request.
            MachineError: The API asks for payment.
        """
        self._keep_pace()
        response = self._send(path, body)
        if isinstance(response, Transient):
            raise response  # outside of what handled the client's error, so that it does not hang on to it
        status = response.status_code
        if known and status == httpx.codes.CONFLICT:
            return None
        if response.is_success:
            try:
                answer: JsonValue = response.json()
            except (ValueError, RecursionError):
                answer, broken = None, True
            else:
                broken = False
            if broken:
                message = "its answer is no JSON, or only a part of it"
                raise Transient(message, may_be_billed=True)
            return answer
        if status in TRY_AGAIN or response.is_server_error:
            raise Transient(f"status {status}{self._words(response)}", wait_seconds=self._asked_to_wait(response))
        raise self._refusal(response)

    def _send(self, path: str, body: Body) -> httpx.Response | Transient:
        if self._client is None:
            timeout = self._plan.hosted.timeout_seconds
            self._client = httpx.Client(headers=self._headers, timeout=timeout, follow_redirects=False)
        try:
            return self._client.post(f"{self._plan.url}{path}", json=body)
        except httpx.RequestError as error:
            return Transient(type(error).__name__, may_be_billed=not isinstance(error, NEVER_SENT))

    def _keep_pace(self) -> None:
        """Wait until another request may be sent."""
        if self._plan.hosted.requests_per_minute is not None and self._last_sent is not None:
            due = self._last_sent + 60.0 / self._plan.hosted.requests_per_minute
            if (early := due - self._clock.monotonic()) > 0:
                self._clock.sleep(early)
        self._last_sent = self._clock.monotonic()

    def _asked_to_wait(self, response: httpx.Response) -> float | None:
        """Seconds, from a ``Retry-After`` in seconds or with a date (RFC 9110, 10.2.3)."""
        value = response.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), LONGEST_WAIT_SECONDS)
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
        return max(0.0, (date - self._clock.now()).total_seconds())

    def _refusal(self, response: httpx.Response) -> NightrankError:
        status, host = response.status_code, self.host
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            message = f"{host} refuses the key (status {status}); it was looked for in {key_place(self._plan.hosted)}."
            return InputError(message, remedy="Set a key that is allowed to rerank; what was scored so far is kept.")
        if status == httpx.codes.PAYMENT_REQUIRED:
            message = f"{host} asks for payment before it answers (status {status}){self._words(response)}."
            return MachineError(message, remedy="Pay the provider, and run again; what was scored is kept.")
        if response.is_redirect:
            message = f"{host} sends requests elsewhere (status {status}), and a key is not sent after them."
            return InputError(message, remedy="Set [reranker.hosted].url to where the API is.")
        message = f"{host} refuses the request (status {status}){self._words(response)}."
        remedy = "Check [reranker].model and `api`, `url` and `pairs_per_request` in [reranker.hosted]."
        return InputError(message, remedy=remedy)

    def _words(self, response: httpx.Response) -> str:
        """What the server says, on one line, without the key."""
        words = plain_text(" ".join(response.text.split()))
        words = words if self._key is None else words.replace(self._key, "[key]")
        return f": {words[:WORDS_SHOWN]}" if words else ""
