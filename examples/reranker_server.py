"""A reranker of your own behind HTTP, in the protocol of text-embeddings-inference.

    python reranker_server.py        # listens on http://127.0.0.1:8080

and in nightrank.toml:

    [reranker]
    model = "my-reranker"            # any name; it is part of what scores are kept under
    revision = "1"                   # change it when the model changes: pairs are then scored anew

    [reranker.hosted]
    api = "tei"
    url = "http://127.0.0.1:8080"

Put your model into ``score``. Each pair of query and passage is asked for once and remembered.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def score(query: str, texts: list[str]) -> list[float]:
    """How relevant each text is; higher is better, on any scale.

    Here the share of the query's words that a text has. A cross-encoder goes in its place:
    ``CrossEncoder(...).predict([(query, text) for text in texts])``.

    >>> score("black tea", ["Black tea is left to wilt.", "Coffee beans", "tea"])
    [1.0, 0.0, 0.5]
    """
    words = set(re.findall(r"\w+", query.lower()))
    return [len(words & set(re.findall(r"\w+", text.lower()))) / max(1, len(words)) for text in texts]


class Handler(BaseHTTPRequestHandler):
    """``POST /rerank`` takes ``{"query": ..., "texts": [...]}`` and answers ``[{"index": 0, "score": 0.5}, ...]``."""

    def do_POST(self) -> None:
        """Score the passages of one query."""
        if self.path != "/rerank":
            self._answer(404, {"error": "Only /rerank is served."})
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scores = score(body["query"], body["texts"])
        self._answer(200, [{"index": index, "score": value} for index, value in enumerate(scores)])

    def _answer(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def serve(host: str = "127.0.0.1", port: int = 8080) -> ThreadingHTTPServer:
    """The server, bound and not yet serving; port 0 takes any that is free."""
    return ThreadingHTTPServer((host, port), Handler)


if __name__ == "__main__":
    serve().serve_forever()
