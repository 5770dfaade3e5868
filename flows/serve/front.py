"""The outermost layer: every request comes in here, and what it is replied goes out here.

The framework behind it costs several times what a look-up does, so ``GET /search`` goes past it. Whatever fails is told
as ``flows.serve.http.faults`` has it; what failed is in the log alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nightrank.flows.serve.http.faults import told_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from nightrank.flows.serve.http.guard import Guard
    from nightrank.flows.serve.http.reply import Reply
    from nightrank.flows.serve.metrics import Metrics

LOG = logging.getLogger("nightrank.serve")
ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Front:
    """The server as ASGI knows it.

    Args:
        behind: The framework.
        fast: What is replied past it, by path; of GET and HEAD.
        guard: Lets requests in.
        metrics: Count them.
        paths: Known ones, by which requests are counted.
    """

    def __init__(
        self,
        behind: ASGIApp,
        *,
        fast: Mapping[str, Callable[[Scope], Awaitable[Reply]]],
        guard: Guard,
        metrics: Metrics,
        paths: Collection[str],
    ) -> None:
        self._behind, self._fast, self._guard, self._metrics = behind, fast, guard, metrics
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._behind(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        # Others, such as web sockets, are closed where nobody answers.

    def refused(self, path: str, status: int) -> None:
        """Count a request that did not come as far as here."""
        self._metrics.request(self._known(path), status)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0
        path, method = scope["path"], scope["method"]

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                added = [header for header in ALWAYS if header[0] not in known]
                message = {**message, "headers": [*message["headers"], *added]}
            await sent(message)

        try:
            self._guard.check(path, dict(scope["headers"]))
            fast = self._fast.get(path) if method in {"GET", "HEAD"} else None
            if fast is not None:
                reply = await fast(scope)
                await reply.send(sent, always=ALWAYS, without_body=method == "HEAD")
            else:
                await self._behind(scope, self._guard.bounded(receive), with_headers)
        except Exception as error:
            if status:  # a reply has begun, and nothing can be said any more
                LOG.exception("A reply to %s broke off.", method)
                raise
            await told_of(error, method).reply().send(sent, always=ALWAYS, without_body=method == "HEAD")
        finally:
            self._metrics.request(self._known(path), status)

    def _known(self, path: str) -> str:
        if path in self._paths:
            return path
        first = f"/{path.split('/', 2)[1]}/" if path.startswith("/") else ""
        return first if first in self._paths else "other"
