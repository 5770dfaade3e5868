"""A rerank server on this machine that answers as the providers' documentation says, and fails when it is told to.

Faults are taken from a list, one a request, until it is empty. What was answered well is counted pair by pair, as a
provider would bill it.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-Secret0123456789"

Answer: TypeAlias = "tuple[int, dict[str, str], bytes]"
Body: TypeAlias = "dict[str, Any]"


def relevance(query: str, text: str) -> float:
    """A score that anybody can compute again: shared words count, length a little."""
    shared = set(query.lower().split()) & set(re.findall(r"\w+", text.lower()))
    return round(len(shared) / (1 + len(query.split())) - len(text) / 1e5, 6)


@dataclass(frozen=True)
class Status:
    """An answer that is none: a status, headers and a body."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"message": "no"}'


@dataclass(frozen=True)
class Spoilt:
    """A good answer that something happens to: its JSON before it is sent, or its bytes."""

    rows: Callable[[list[dict[str, Any]]], object] = lambda rows: rows
    raw: Callable[[bytes], bytes] = lambda raw: raw


@dataclass(frozen=True)
class HangUp:
    """The connection is closed without a word, or after so many bytes of the answer."""

    after: int | None = None


@dataclass(frozen=True)
class Hang:
    """Nothing comes for so many seconds."""

    seconds: float


Fault: TypeAlias = "Status | Spoilt | HangUp | Hang | None"


@dataclass
class RerankServer:
    """What the server was asked and what it does next.

    Attributes:
        api: Whose documentation it follows.
        faults: What happens to the next requests for scores; None: nothing.
        put_faults: The same of requests that put a passage into a corpus.
        requests: Paths, headers and bodies of all requests.
        paid: How often each pair of query and text got a score, in an answer that went out whole.
        corpus: Passages by id, as Vectara keeps them.
    """

    api: str
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    put_faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], Body]] = field(default_factory=list)
    paid: Counter[tuple[str, str]] = field(default_factory=Counter)
    corpus: dict[str, str] = field(default_factory=dict)
    needs_key: bool = True
    stop: Callable[[], None] = lambda: None

    @property
    def searches(self) -> list[tuple[str, list[str]]]:
        """Query and texts of each request for scores."""
        found = []
        for path, _, body in self.requests:
            if not path.endswith("/documents"):
                found.append((body["query"], self._texts(body)))
        return found

    def answer(self, path: str, headers: dict[str, str], body: Body) -> Answer | HangUp | Hang:
        self.requests.append((path, headers, body))
        faults = self.put_faults if path.endswith("/documents") else self.faults
        fault = faults.pop(0) if faults else None
        if isinstance(fault, HangUp | Hang) and getattr(fault, "after", None) is None:
            return fault
        if isinstance(fault, Status):
            return fault.code, fault.headers, fault.body.encode()
        if self.needs_key and not self._has_key(headers):
            return 401, {}, b'{"message": "invalid api token"}'
        if path.endswith("/documents"):
            return self._put(path, body)
        expected = {
            "cohere": "/v2/rerank",
            "jina": "/v1/rerank",
            "vllm": "/rerank",
            "infinity": "/rerank",
            "tei": "/rerank",
            "vectara": "/v2/corpora/passages/query",
        }
        if path != expected[self.api]:
            return 404, {}, b'{"message": "not found"}'
        texts = self._texts(body)
        if self.api == "tei" and len(texts) > 32:
            return 413, {}, b'{"error": "batch size > maximum allowed batch size 32", "error_type": "Validation"}'
        rows = self._rows(body["query"], texts)
        spoilt = fault if isinstance(fault, Spoilt) else Spoilt()
        sent = json.dumps(self._envelope(spoilt.rows(rows), len(texts))).encode()
        raw = spoilt.raw(sent)
        if isinstance(fault, HangUp):
            return HangUp(fault.after)
        if raw == sent:
            self.paid.update((body["query"], text) for text in texts)
        return 200, {"Content-Type": "application/json"}, raw

    def _has_key(self, headers: dict[str, str]) -> bool:
        if self.api == "vectara":
            return headers.get("x-api-key") == KEY
        return headers.get("authorization") == f"Bearer {KEY}"

    def _put(self, path: str, body: Body) -> Answer:
        assert path == "/v2/corpora/passages/documents"
        assert body["type"] == "core"
        if body["id"] in self.corpus:
            return 409, {}, b'{"messages": ["document already exists"]}'
        [part] = body["document_parts"]
        self.corpus[body["id"]] = part["text"]
        return 201, {}, json.dumps({"id": body["id"]}).encode()

    def _texts(self, body: Body) -> list[str]:
        if self.api == "vectara":
            names = re.findall(r"'([0-9a-f]+)'", body["search"]["metadata_filter"])
            return [self.corpus[name] for name in names if name in self.corpus]
        texts = body["texts" if self.api == "tei" else "documents"]
        assert all(isinstance(text, str) for text in texts)
        return list(texts)

    def _rows(self, query: str, texts: list[str]) -> list[dict[str, Any]]:
        """Best first, as all of them answer."""
        name = "score" if self.api in ("tei", "vectara") else "relevance_score"
        rows: list[dict[str, Any]] = [
            {"index": index, name: relevance(query, text)} for index, text in enumerate(texts)
        ]
        if self.api == "vectara":
            ids = {text: name for name, text in self.corpus.items()}
            rows = [
                {"text": text, "score": row["score"], "document_id": ids[text], "part_metadata": {}}
                for row, text in zip(rows, texts, strict=True)
            ]
        return sorted(rows, key=lambda row: -row[name])

    def _envelope(self, rows: object, count: int) -> object:
        if self.api == "tei":
            return rows
        if self.api == "vectara":
            return {"search_results": rows}
        if self.api == "cohere":
            billed = {"search_units": -(-count // 100)}
            return {
                "results": rows,
                "id": "07734bd2",
                "meta": {"api_version": {"version": "2"}, "billed_units": billed},
            }
        return {"model": "a-model", "usage": {"total_tokens": 815}, "results": rows}


@contextmanager
def serve(api: str) -> Iterator[RerankServer]:
    """The server of an API, listening on this machine while the block runs."""
    state = RerankServer(api)
    with answering(state.answer) as (state.url, state.stop):
        yield state


@contextmanager
def answering(
    answer_of: Callable[[str, dict[str, str], Body], Answer | HangUp | Hang],
) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server that listens on this machine while the block runs: its address, and what ends it before."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = answer_of(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if isinstance(answer, Hang):
                released.wait(answer.seconds)
                self.close_connection = True
                return
            if isinstance(answer, HangUp):
                self.close_connection = True
                if answer.after is not None:
                    self.send_response(200)
                    self.send_header("Content-Length", "100000")
                    self.end_headers()
                    self.wfile.write(b'{"results": [{"index": 0, '[: answer.after])
                return
            code, headers, raw = answer
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    stopped = threading.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            released.set()
            server.shutdown()
            server.server_close()
            thread.join()

    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", stop
    finally:
        stop()
