"""A connection as uvicorn has it, with bounds: what comes before a request's body, and how long a request may take.

Uvicorn bounds neither, and what it has been sent lies in memory before anybody looks at it: one visitor could take all
of it, or with connections that say nothing every place that there is for them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nightrank.flows.serve.http.arrival import note_arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from nightrank.flows.serve.http.reply import Reply

LONGEST_HEAD = 65_536  # bytes of request line and headers; more may come in one piece with what ends them
SECONDS = 20.0  # in which a request is to be sent, its body included

_LOG = logging.getLogger("nightrank.serve")
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Room(NamedTuple):
    """How many requests there is room for; others are told so before anything is done for them.

    Attributes:
        most: Requests that may be without a reply when another comes.
        always: Paths that are answered all the same.
        full: The reply to others.
        note: Called with the path and the status of each.
    """

    most: int
    always: Collection[bytes]
    full: Reply
    note: Callable[[str, int], None]


class _Replied:
    """What is left of a request that was turned away, for uvicorn, which passes over what follows of its body."""

    response_complete, disconnected = True, False

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


class BoundedHttp(HttpToolsProtocol):
    """One connection.

    Args:
        args: As uvicorn gives them.
        room: For requests; None where there is no bound.
        kwargs: As uvicorn gives them.
    """

    seconds = SECONDS

    def __init__(self, *args: Any, room: Room | None = None, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's own)
        super().__init__(*args, **kwargs)
        self._room = room
        self._head_bytes = 0
        self._is_head = True
        self._due: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_head and self._head_bytes > LONGEST_HEAD and not self.transport.is_closing():
            _LOG.warning("A request with more than %d bytes of headers is refused.", LONGEST_HEAD)
            self.transport.write(_TOO_LONG)
            self.transport.close()
        # What follows a reply, a body that nobody waited for or a blank line, has ended uvicorn's own wait.
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._due is None and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self._wait()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_head = True
        self._wait()

    @override
    def on_headers_complete(self) -> None:
        self._is_head, self._head_bytes = False, 0
        note_arrival(self.scope)
        if self._room is None or not self._is_full(self._room):
            super().on_headers_complete()
        else:
            self._turn_away(self._room)

    @override
    def on_message_complete(self) -> None:
        self._is_head, self._head_bytes = True, 0  # of the next one
        self._wait_no_more()
        super().on_message_complete()

    def _is_full(self, room: Room) -> bool:
        is_first = self.cycle is None or self.cycle.response_complete  # others on this connection come before it
        return is_first and len(self.tasks) > room.most and self._path() not in room.always

    def _path(self) -> bytes:
        return self.url.partition(b"?")[0]

    def _turn_away(self, room: Room) -> None:
        self.cycle = _Replied()  # type: ignore[assignment] # all of it that is asked for
        if self.transport.is_closing():
            return
        if self.flow.write_paused:  # who reads no replies gets no more: they would lie in memory
            self.transport.abort()
            return
        self.transport.write(room.full.as_bytes(without_body=self.parser.get_method() == b"HEAD"))
        room.note(self._path().decode("ascii", "replace"), room.full.status)
        if self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive():
            self.on_response_complete()
        else:
            self.transport.close()

    def _wait(self) -> None:
        self._wait_no_more()
        self._due = self.loop.call_later(self.seconds, self._end)

    def _wait_no_more(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _end(self) -> None:
        self._due = None
        self.transport.close()
