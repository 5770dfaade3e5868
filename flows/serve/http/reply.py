"""A reply, and how it is sent: by hand, since a framework's costs more than a look-up."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Send

JSON = "application/json"
_ENCODER = msgspec.json.Encoder()


class Reply(NamedTuple):
    """What is sent.

    Attributes:
        status: Of HTTP.
        body: As it goes over the line.
        content_type: Of the body.
        headers: Beside those that every reply has.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = {}

    async def send(self, send: Send, *, always: list[tuple[bytes, bytes]], without_body: bool = False) -> None:
        """Send it.

        Args:
            send: As ASGI has it.
            always: The headers that every reply has.
            without_body: Whether headers alone were asked for.
        """
        headers = [*self._headers(), *always]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if without_body else self.body})

    def as_bytes(self, *, without_body: bool = False) -> bytes:
        """As it goes over the line, whole."""
        status = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode("ascii")
        lines = [status, *(b": ".join(header) for header in self._headers()), b"", b"" if without_body else self.body]
        return b"\r\n".join(lines)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", self.content_type.encode("latin-1")),
            (b"content-length", str(len(self.body)).encode("ascii")),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()),
        ]


def json_reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ANN401 (whatever msgspec encodes)
    """A value as JSON."""
    return Reply(status, _ENCODER.encode(value), headers=headers or {})
