"""A tracker with an API like GitHub's: issues in pages, ETags, a limit of requests."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.records import JsonValue

TOKEN = "secret-of-the-tracker"


@dataclass
class Tracker:
    """What it holds, and how it answers.

    Attributes:
        issues: By number: title, body, when it was changed, comments.
        page: Issues a page has at most, whatever is asked for.
        allowed: Requests until it asks for patience, once; None for no limit.
        fail: Paths that it answers with an error of its own.
        counts: Requests, by what they asked for.
    """

    issues: dict[int, tuple[str, str, str, list[str]]] = field(default_factory=dict)
    page: int = 2
    allowed: int | None = None
    fail: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, JsonValue, str]:
        """Status, body and the link to the next page."""
        parts = path.strip("/").split("/")[3:]
        if parts == ["issues"]:
            numbers, at = sorted(self.issues), int(query.get("page", ["1"])[0])
            shown = numbers[(at - 1) * self.page : at * self.page]
            more = f'<{self.address}{path}?page={at + 1}>; rel="next"' if at * self.page < len(numbers) else ""
            return 200, [self._issue(number) for number in shown], more
        number = int(parts[1])
        if number not in self.issues:
            return 404, {"message": "Not Found"}, ""
        if len(parts) == 2:
            return 200, self._issue(number), ""
        return 200, [{"body": text} for text in self.issues[number][3]], ""

    def _issue(self, number: int) -> dict[str, JsonValue]:
        title, body, changed, comments = self.issues[number]
        return {
            "number": number,
            "title": title,
            "body": body,
            "updated_at": changed,
            "comments": len(comments),
            "state": "open",
            "labels": [{"name": "bug"}],
            "html_url": f"{self.address}/acme/shop/issues/{number}",
        }


@contextmanager
def tracker() -> Iterator[Tracker]:
    """A tracker at a free port."""
    held = Tracker()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            what = parts.path.rpartition("/")[2]
            held.counts[f"{self.command} {'issue' if what.isdigit() else what}"] += 1
            status, body, more = held.answer(parts.path, parse_qs(parts.query))
            headers = {}
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                status, body = 401, {"message": "Bad credentials"}
            elif any(path in self.path for path in held.fail):
                status, body = 403, {"message": "Forbidden"}
            elif held.allowed is not None:
                held.allowed -= 1
                if held.allowed < 0:
                    status, body, held.allowed = 429, {"message": "Slow down"}, None
                    headers["Retry-After"] = "0"
            data = json.dumps(body).encode()
            headers |= {"Content-Length": str(len(data)), "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
            if more:
                headers["Link"] = more
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
