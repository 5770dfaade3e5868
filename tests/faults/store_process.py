"""An object store in a process of its own, and in front of it a door that lets requests in, or fails them.

    python -m tests.faults.store_process

prints the door's address and ends with its standard input. What a test asks of the door are requests to ``/-/...``:

    POST /-/begin    {"pid": ..., "at": [request, time] or null, "failure": ...}: from that request on all fail in that
                     way (SIGKILL: the process dies, SLOW: that one alone is answered 503), until the next such word
    GET  /-/seen     what was asked since, in the order of the requests
    POST /-/copy     {"from": bucket, "to": bucket}: the second becomes as the first
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.faults.system_calls import without_passing_names

_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{said}</Message></Error>'
ANSWERS = {
    "EXPIRED": (400, _ERROR.format(code="ExpiredToken", said="The provided token has expired.")),
    "DENIED": (403, _ERROR.format(code="AccessDenied", said="Access Denied")),
    "FAULTY": (500, _ERROR.format(code="InternalError", said="We encountered an internal error.")),
    "SLOW": (503, _ERROR.format(code="SlowDown", said="Please reduce your request rate.")),
}
_NAMES_IN_QUERY = ("list-type", "prefix", "uploads", "partNumber", "delete")


class Door:
    """What is let in, and what was asked."""

    def __init__(self, store: tuple[str, int]) -> None:
        self.store = store
        self._lock = Lock()
        self.begin({})

    def begin(self, order: dict[str, Any]) -> None:
        """Begin anew."""
        with self._lock:
            self._order, self._failing = order, False
            self._seen: list[str] = []
            self._times: Counter[str] = Counter()

    def seen(self) -> list[str]:
        """What was asked."""
        with self._lock:
            return list(self._seen)

    def failure_of(self, request: str) -> str | None:
        """How a request is to fail; None where it is let in."""
        with self._lock:
            self._seen.append(request)
            self._times[request] += 1
            at, failure = self._order.get("at"), self._order.get("failure")
            if at == [request, self._times[request]]:
                if failure == "SLOW":
                    return "SLOW"
                self._failing = True
            if self._failing and failure == "SIGKILL":
                os.kill(self._order["pid"], signal.SIGKILL)
            return failure if self._failing else None


def told(method: str, target: str) -> str:
    """A request as a test names it.

    >>> told("GET", "/trial?list-type=2&prefix=search%2Fnights%2Freleases%2F20260102T030405-678Z%2F")
    'GET /trial?list-type=2&prefix=search/nights/releases/<release>/'
    """
    parts = urlsplit(target)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name in _NAMES_IN_QUERY]
    named = "&".join(f"{name}={value}" for name, value in query)
    path = re.sub(r"%3[cC]|%3[eE]", "", parts.path)
    return without_passing_names(f"{method} {path}{'?' if named else ''}{named}")


def handler(door: Door) -> type[BaseHTTPRequestHandler]:
    """Answers at a door."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self._body()
            if self.path.startswith("/-/"):
                self._give(200, json.dumps(self._asked(body)).encode())
                return
            failure = door.failure_of(told(self.command, self.path))
            if failure in {"SIGKILL", "SILENT"}:
                self.close_connection = True
                return
            if failure is not None:
                status, text = ANSWERS[failure]
                self._give(status, b"" if self.command == "HEAD" else text.encode())
                return
            self._hand_on(body)

        def _asked(self, body: bytes) -> object:
            if self.path == "/-/seen":
                return door.seen()
            order = json.loads(body)
            if self.path == "/-/copy":
                _copy(order["from"], order["to"])
            else:
                door.begin(order)
            return None

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _hand_on(self, body: bytes) -> None:
            connection = http.client.HTTPConnection(*door.store)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}
            }
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "transfer-encoding", "content-length", "server", "date"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        def _give(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 (names of http.server)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as http.server calls it)
            """Nothing is said."""

    return Handler


def _copy(source: str, target: str) -> None:
    """Make a bucket as another one is, in the store's own memory."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    if target in backend.buckets:
        for key in list(backend.buckets[target].keys):
            backend.delete_object(target, key)
    else:
        backend.create_bucket(target, "us-east-1")
    if source in backend.buckets:
        for name, key in list(backend.buckets[source].keys.items()):
            backend.put_object(target, name, key.value)


def main() -> None:
    """Serve until standard input ends."""
    from tests.support.object_store import object_store

    with object_store() as address:
        parts = urlsplit(address)
        assert parts.hostname is not None
        assert parts.port is not None
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Door((parts.hostname, parts.port))))
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201 (this is the protocol)
        sys.stdin.read()


if __name__ == "__main__":
    main()
