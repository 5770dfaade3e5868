"""Connections that send too much before they ask, or too slowly, end; others do not notice."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from nightrank.flows.serve.http.faults import TooBusy
from nightrank.flows.serve.protocol import LONGEST_HEAD, BoundedHttp, Room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

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
    with _listening(_echo) as port:
        yield port


@contextmanager
def _listening(app: ASGIApp, room: Room | None = None) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        http: Any = partial(BoundedHttp, room=room)
        server = uvicorn.Server(uvicorn.Config(app, http=http, log_config=None, lifespan="off", ws="none"))
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


async def _early(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Replies before it has seen a body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(
    ("asked", "after"), [(ASKED + b"\r\n", b"text"), (b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n")]
)
def test_what_follows_a_reply_holds_no_connection_for_ever(
    monkeypatch: pytest.MonkeyPatch, asked: bytes, after: bytes
) -> None:
    monkeypatch.setattr(BoundedHttp, "seconds", SECONDS)
    with _listening(_early) as port, _connected(port) as one:
        one.settimeout(3)
        one.sendall(asked)
        assert one.recv(65_536).endswith(b"ok")
        one.sendall(after)
        assert one.recv(65_536) == b""  # it ends


def test_who_is_turned_away_and_reads_no_reply_is_cut_off() -> None:
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not go.is_set():
            await asyncio.sleep(0.01)
        await _echo(scope, receive, send)

    room = Room(0, always=set(), full=TooBusy(1).reply(), note=lambda _path, _status: None)
    with _listening(app, room) as port, _connected(port) as slow, _connected(port) as other:
        slow.sendall(ASKED + b"\r\ntext")
        time.sleep(0.2)
        with pytest.raises(ConnectionError):  # the replies are far more than the system's buffers hold
            other.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000_000)
        with _connected(port) as old:
            old.sendall(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert _all_of(old).startswith(b"HTTP/1.1 503")
        go.set()
        assert slow.recv(65_536).endswith(b"text")


def test_who_comes_where_there_is_no_room_is_told_at_once_and_answered_later_on_the_same_connection() -> None:
    go, told = threading.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["path"] == "/slow" and not go.is_set():
            await asyncio.sleep(0.01)
        await _echo(scope, receive, send)

    room = Room(1, always={b"/healthz"}, full=TooBusy(1).reply(), note=lambda path, status: told.append((path, status)))
    with _listening(app, room) as port, ExitStack() as opened:
        slow = [opened.enter_context(_connected(port)) for _ in range(2)]
        for one in slow:
            one.sendall(ASKED.replace(b"/x", b"/slow") + b"\r\ntext")
        time.sleep(0.2)
        other = opened.enter_context(_connected(port))
        for _ in range(3):
            other.sendall(ASKED.replace(b"/x", b"/x?q=1") + b"\r\ntext")
            reply = other.recv(65_536)
            assert reply.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\nretry-after: 1\r\n" in reply
            assert reply.endswith(TooBusy(1).reply().body)
        other.sendall(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.recv(65_536).endswith(b"retry-after: 1\r\n\r\n")
        other.sendall(ASKED.replace(b"/x", b"/healthz") + b"\r\ntext")
        assert other.recv(65_536).endswith(b"text")
        ending = opened.enter_context(_connected(port))
        ending.sendall(b"GET /x HTTP/1.0\r\n\r\n")
        assert _all_of(ending).startswith(b"HTTP/1.1 503")
        assert told == [("/x", 503)] * 5
        go.set()
        assert [one.recv(65_536)[-4:] for one in slow] == [b"text", b"text"]
        time.sleep(0.2)
        other.sendall(ASKED + b"\r\ntext")
        assert other.recv(65_536).endswith(b"text")
