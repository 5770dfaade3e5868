"""A connection as uvicorn has it, with bounds: what comes before a request's body, and how long a request may take.

Uvicorn bounds neither, and what it has been sent lies in memory before anybody looks at it: one visitor could take all
of it, or with connections that say nothing every place that there is for them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

LONGEST_HEAD = 65_536  # bytes of request line and headers; more may come in one piece with what ends them
SECONDS = 20.0  # in which a request is to be sent, its body included

_LOG = logging.getLogger("nightrank.serve")
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    seconds = SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's own)
        super().__init__(*args, **kwargs)
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

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_head = True
        self._wait()

    @override
    def on_headers_complete(self) -> None:
        self._is_head, self._head_bytes = False, 0
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._is_head, self._head_bytes = True, 0  # of the next one
        self._wait_no_more()
        super().on_message_complete()

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
