"""A door before a server: open to one, shut, open to nobody who answers, or answering that all is busy."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy"


class Door:
    """A port of its own. What is connected as it changes is cut off, as by a network.

    Attributes:
        port: It.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._target: int | None = None
        self._answer = b""
        self.port = 0
        self._listen()
        self.port = self._require_listener().getsockname()[1]

    def opens_to(self, port: int) -> None:
        """Let everything through to a port of this machine."""
        self._change(target=port)

    def is_silent(self) -> None:
        """Take every connection, and answer nothing."""
        self._change()

    def is_busy(self) -> None:
        """Answer 503."""
        self._change(answer=BUSY)

    def is_shut(self) -> None:
        """Refuse connections."""
        self._change()
        with self._lock:
            _shut(self._require_listener())
            self._listener = None

    def _change(self, *, target: int | None = None, answer: bytes = b"") -> None:
        with self._lock:
            self._target, self._answer = target, answer
            for connection in self._open:
                _shut(connection)
            self._open.clear()
            if self._listener is None:
                self._listen()

    def _require_listener(self) -> socket.socket:
        assert self._listener is not None
        return self._listener

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            target, answer = self._target, self._answer
            self._open.add(connection)
        with suppress(OSError):
            if answer:
                connection.recv(65536)
                connection.sendall(answer)
                _shut(connection)
            elif target is not None:
                other = socket.create_connection(("127.0.0.1", target))
                with self._lock:
                    self._open.add(other)
                threading.Thread(target=_pump, args=(other, connection), daemon=True).start()
                _pump(connection, other)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _shut(source)
    _shut(sink)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def door() -> Iterator[Door]:
    """A door that nobody answers behind, until it is opened; shut with the block."""
    made = Door()
    try:
        yield made
    finally:
        made.is_shut()
