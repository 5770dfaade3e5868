"""Connections that send too much before they ask, or too slowly, end; others do not notice."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import uvicorn

from nightrank.flows.serve.protocol import LONGEST_HEAD, BoundedHttp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

ASKED = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
SECONDS = 0.5


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body, is_more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(BoundedHttp, "seconds", SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(_echo, http=BoundedHttp, log_config=None, lifespan="off", ws="none"))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        yield one


def _all_of(one: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while piece := one.recv(65_536):
            received += piece
    return received


def test_a_head_that_has_no_end_is_refused(port: int) -> None:
    with _connected(port) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        with suppress(ConnectionError):
            for _ in range(100):
                one.sendall(b"x" * LONGEST_HEAD)
                time.sleep(0.001)
            pytest.fail("so much is taken")
    with _connected(port) as one:
        one.sendall(ASKED[:-2] + b"\r\nX: " + b"x" * (LONGEST_HEAD // 2) + b"\r\n\r\ntext")
        assert one.recv(65_536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("begun", [b"", b"GET / HT", ASKED, ASKED + b"\r\nte"])
def test_what_is_not_sent_in_time_ends(port: int, begun: bytes) -> None:
    begins = time.monotonic()
    with _connected(port) as one:
        one.sendall(begun)
        assert b"200 OK" not in _all_of(one)
    assert SECONDS / 2 < time.monotonic() - begins < 15


def test_requests_on_one_connection_have_bounds_of_their_own(port: int) -> None:
    with _connected(port) as one:
        for _ in range(4):
            one.sendall(ASKED + b"\r\n" + b"te")
            time.sleep(SECONDS / 3)
            one.sendall(b"xt")
            assert one.recv(65_536).endswith(b"text")
        one.sendall((ASKED + b"\r\ntext") * 3000)  # more than one head may have, in many
        received = b""
        while received.count(b"200 OK") < 3000 and (piece := one.recv(65_536)):
            received += piece
        assert received.count(b"200 OK") == 3000
