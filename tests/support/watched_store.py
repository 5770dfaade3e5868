"""An object store that counts what it is asked for, and answers some of it as stores answer on a bad day."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest.mock import patch
from urllib.parse import parse_qs

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends
from moto.server import ThreadedMotoServer

from nightrank.tasks.settings.inputs import DocumentsSettings
from tests.support.object_store import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

EXPIRED = (
    "400 Bad Request",
    b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>",
)
BROKEN = ("500 Internal Server Error", b"<Error><Code>InternalError</Code><Message>Try later.</Message></Error>")
NO_KEY = ("404 Not Found", b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>")
DENIED = ("403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
ARCHIVED = (
    "403 Forbidden",
    b"<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage class"
    b"</Message></Error>",
)
Answer = tuple[str, bytes]
App: TypeAlias = "Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]"

_NAMES = itertools.count()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    Attributes:
        what: ``list``, ``get`` or ``head``.
        key: Of the object; empty for a listing.
        page: Which page of a listing, from 1.
    """

    what: str
    key: str
    page: int = 0


@dataclass
class Watched:
    """A bucket of a store, and what happens there.

    Attributes:
        endpoint: The store's address.
        name: The bucket's.
        counts: Requests by kind.
        answer: Asked first about each request; None where the store itself answers.
        change: Changes what the store answers.
        page: Of a listing that was asked for last.
        knows_no_start: Whether it lists from the beginning whatever key it is to begin behind.
    """

    endpoint: str
    name: str
    counts: Counter[str] = field(default_factory=Counter)
    answer: Callable[[Asked], Answer | None] = lambda _asked: None
    change: Callable[[Asked, bytes], bytes] = lambda _asked, body: body
    page: int = 0
    knows_no_start: bool = False

    def put(self, key: str, content: bytes | str) -> None:
        """Write an object, as somebody else would."""
        data = content.encode() if isinstance(content, str) else content
        self._backend.put_object(self.name, key, data)

    def delete(self, key: str) -> None:
        """Remove one."""
        self._backend.delete_object(self.name, key)

    def settings(self, prefix: str = "docs/", **others: object) -> DocumentsSettings:
        """``[documents]`` that name it."""
        store = {"endpoint": self.endpoint, "allow_http": True, "retry_seconds": 1.0}
        return DocumentsSettings.model_validate({"source": f"s3://{self.name}/{prefix}", "store": store, **others})

    @property
    def _backend(self) -> S3Backend:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def make(self) -> None:
        """Make the bucket."""
        self._backend.create_bucket(self.name, "us-east-1")


@contextmanager
def watched_store(*, page: int = 20) -> Iterator[Callable[[], Watched]]:
    """A store whose listings come in pages of so many keys; called, it makes a new bucket."""
    buckets: dict[str, Watched] = {}
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    with patch.dict(os.environ, {**CREDENTIALS, "MOTO_S3_DEFAULT_MAX_KEYS": str(page)}):
        server.start()
        inner: Any = server._server
        inner.app = _watching(inner.app, buckets)
        try:
            host, port = server.get_host_and_port()

            def make() -> Watched:
                bucket = Watched(f"http://{host}:{port}", f"source-{next(_NAMES)}")
                bucket.make()
                buckets[bucket.name] = bucket
                return bucket

            yield make
        finally:
            server.stop()


def _watching(app: App, buckets: dict[str, Watched]) -> App:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        bucket = buckets.get(name)
        if bucket is None:
            return app(environ, start_response)
        asked = _asked(environ, key, bucket)
        bucket.counts[asked.what] += 1
        if bucket.knows_no_start and asked.what == "tail":
            environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("start-after", "unknown")
        own = bucket.answer(asked)
        if own is not None:
            status, body = own
            start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body if asked.what != "head" else b""]
        if asked.what != "list":
            return app(environ, start_response)
        told: list[Any] = []
        body = bucket.change(asked, b"".join(app(environ, lambda *args: told.append(args))))
        status, headers = told[0][:2]
        headers = [header for header in headers if header[0].lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    return answer


def _asked(environ: dict[str, Any], key: str, bucket: Watched) -> Asked:
    query = parse_qs(environ.get("QUERY_STRING", ""))
    if environ["REQUEST_METHOD"] == "GET" and "list-type" in query:
        bucket.page = bucket.page + 1 if "continuation-token" in query else 1
        return Asked("tail" if "start-after" in query else "list", "", bucket.page)
    return Asked(environ["REQUEST_METHOD"].lower(), key)
