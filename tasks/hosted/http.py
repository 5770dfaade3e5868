"""Requests to an API: one attempt at a time, paced, and each outcome told apart.

An attempt ends in an answer, in something that another attempt may mend (``Transient``), or in an error for people.
Nothing that is raised, logged or kept holds the key: messages are made of status and host, an answer's own words are
shown without it, and errors of the HTTP client, which carry the request and its headers, are not handed on.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

import httpx

from nightrank.storage.errors import InputError, MachineError, NightrankError, RequestRefused
from nightrank.storage.files.text import plain_text
from nightrank.tasks.hosted.key import key_place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.hosted.endpoint import Endpoint

LONGEST_WAIT_SECONDS = 1e9  # that is told: some servers answer with digits without end
MOST_BYTES = 64_000_000  # of an answer
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


class _TooSlow(Exception):
    """An answer that comes drop by drop, and is not whole when a request is given up."""


class _TooLong(Exception):
    """An answer without end."""


class Answered(NamedTuple):
    """An answer as it came: its status, headers, and its body unpacked."""

    status: int
    headers: httpx.Headers
    body: bytes


class Connection:
    """The connection to one API, opened with the first request after it was closed; close it. Threads may share it.

    Args:
        endpoint: Where it is, and how it is asked.
        key: Sent with each request; None for none.
        clock: The time.
    """

    def __init__(self, endpoint: Endpoint, *, key: str | None, clock: Clock) -> None:
        header, before = endpoint.key_header
        headers = {"User-Agent": "nightrank", **({} if key is None else {header: f"{before}{key}"})}
        self._headers = headers
        self._client: httpx.Client | None = None
        self._endpoint = endpoint
        self._key = key
        self._clock = clock
        self._opening, self._pacing = threading.Lock(), threading.Lock()
        self._due: float | None = None

    @property
    def host(self) -> str:
        """Where the API is, for people."""
        return self._endpoint.url

    def close(self) -> None:
        """Close the connection; it may be used again."""
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None

    def post(self, path: str, body: Mapping[str, JsonValue], *, known: bool = False) -> JsonValue:
        """Send one request, once.

        Args:
            path: Behind the endpoint's url.
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
        found = self._send(path, body)
        if isinstance(found, Transient):
            raise found  # outside of what handled the client's error, so that it does not hang on to it
        status = found.status
        if known and status == httpx.codes.CONFLICT:
            return None
        if httpx.codes.is_success(status):
            try:
                answer: JsonValue = json.loads(found.body)
            except (ValueError, RecursionError):
                answer, broken = None, True
            else:
                broken = False
            if broken:
                message = "its answer is no JSON, or only a part of it"
                raise Transient(message, may_be_billed=True)
            return answer
        if status in TRY_AGAIN or httpx.codes.is_server_error(status):
            raise Transient(f"status {status}{self._words(found)}", wait_seconds=self._asked_to_wait(found))
        raise self._refusal(found)

    def _send(self, path: str, body: Mapping[str, JsonValue]) -> Answered | Transient:
        timeout = self._endpoint.settings.timeout_seconds
        with self._opening:
            if self._client is None:
                self._client = httpx.Client(headers=self._headers, timeout=timeout, follow_redirects=False)
            client = self._client
        begun = self._clock.monotonic()
        try:
            with client.stream("POST", f"{self._endpoint.url}{path}", json=body) as response:
                return Answered(response.status_code, response.headers, self._read(response, until=begun + timeout))
        except httpx.RequestError as error:
            return Transient(type(error).__name__, may_be_billed=not isinstance(error, NEVER_SENT))
        except _TooSlow:
            return Transient("its answer was not whole in time", may_be_billed=True)
        except _TooLong:
            return Transient(f"its answer has more than {MOST_BYTES:,} bytes", may_be_billed=True)

    def _read(self, response: httpx.Response, *, until: float) -> bytes:
        """The body of an answer, as long as it may come and no longer than it may be."""
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise _TooLong
            if self._clock.monotonic() > until:
                raise _TooSlow
        return b"".join(parts)

    def _keep_pace(self) -> None:
        """Wait until another request may be sent; of threads that wait each has a moment of its own."""
        if self._endpoint.settings.requests_per_minute is None:
            return
        with self._pacing:
            now = self._clock.monotonic()
            at = now if self._due is None else max(now, self._due)
            self._due = at + 60.0 / self._endpoint.settings.requests_per_minute
        if at > now:
            self._clock.sleep(at - now)

    def _asked_to_wait(self, answer: Answered) -> float | None:
        """Seconds, from a ``Retry-After`` in seconds or with a date (RFC 9110, 10.2.3)."""
        value = answer.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), LONGEST_WAIT_SECONDS)
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
        return max(0.0, (date - self._clock.now()).total_seconds())

    def _refusal(self, answer: Answered) -> NightrankError:
        status, host, endpoint = answer.status, self.host, self._endpoint
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            place = key_place(endpoint.settings, section=endpoint.section)
            message = f"{host} refuses the key (status {status}); it was looked for in {place}."
            remedy = f"Set a key that is allowed to {endpoint.task}; {endpoint.kept} so far is kept."
            return InputError(message, remedy=remedy)
        if status == httpx.codes.PAYMENT_REQUIRED:
            message = f"{host} asks for payment before it answers (status {status}){self._words(answer)}."
            return MachineError(message, remedy=f"Pay the provider, and run again; {endpoint.kept} is kept.")
        if httpx.codes.is_redirect(status):
            message = f"{host} sends requests elsewhere (status {status}), and a key is not sent after them."
            return InputError(message, remedy=f"Set {endpoint.section}.url to where the API is.")
        message = f"{host} refuses the request (status {status}){self._words(answer)}."
        return RequestRefused(message, remedy=endpoint.check)

    def _words(self, answer: Answered) -> str:
        """What the server says, on one line, without the key."""
        words = plain_text(" ".join(answer.body.decode("utf-8", "replace").split()))
        words = words if self._key is None else words.replace(self._key, "[key]")
        return f": {words[:WORDS_SHOWN]}" if words else ""
