"""Who may ask: tokens compared in constant time, names that the server is called by, sizes of what is sent."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from nightrank.flows.serve.http.faults import RequestFault

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import Message, Receive

OPEN = ("/healthz",)  # what needs no token, for whoever watches the server
LOOPBACK = ("localhost", "127.0.0.1", "::1")
REALM = 'realm="nightrank", charset="UTF-8"'


class Guard:
    """Lets requests in.

    Args:
        token: That they must bring; None: none is needed.
        hosts: Names that the server may be asked by where there is no token; empty: any.
        max_body_bytes: Of what is sent.
    """

    def __init__(self, token: str | None, *, hosts: Collection[str], max_body_bytes: int) -> None:
        self._token = None if token is None else token.encode()
        self._hosts = frozenset(name.lower() for name in hosts)
        self._most = max_body_bytes

    def check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Let a request in.

        Args:
            path: That it asks for.
            headers: By their names in small letters; of those that come twice the last.

        Raises:
            RequestFault: It may not come in.
        """
        if self._token is None:
            self._check_host(headers.get(b"host", b"").decode("latin-1"))
        elif path not in OPEN:
            self._check_token(headers.get(b"authorization", b""), self._token, wants_page=path == "/")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._most:
            raise self._too_much()

    def bounded(self, receive: Receive) -> Receive:
        """What a request sends, as far as it may.

        Raises, when it is received:
            RequestFault: It is more.
        """
        left = self._most

        async def receive_some() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_much()
            return message

        return receive_some

    def _check_host(self, written: str) -> None:
        name = written.rpartition("]")[0].lstrip("[") if written.startswith("[") else written.partition(":")[0]
        if self._hosts and name.lower() not in self._hosts:
            what = "The server is not called by the name that this request has for it."
            remedy = "Ask by its address, or add the name to [serve].hosts."
            raise RequestFault(421, what, where="Host", remedy=remedy)

    def _check_token(self, given: bytes, token: bytes, *, wants_page: bool) -> None:
        scheme, _, value = given.partition(b" ")
        brought = value.strip()
        if scheme.lower() == b"basic":
            try:
                brought = base64.b64decode(brought, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                brought = b""
        if scheme.lower() not in {b"basic", b"bearer"} or not hmac.compare_digest(brought, token):
            challenge = f"Basic {REALM}" if wants_page else 'Bearer realm="nightrank"'
            what = "This request brings no token, or another." if given else "This request brings no token."
            remedy = "Send it as `Authorization: Bearer TOKEN`."
            raise RequestFault(401, what, where="Authorization", remedy=remedy, headers={"WWW-Authenticate": challenge})

    def _too_much(self) -> RequestFault:
        what = f"What is sent may have {self._most} bytes."
        return RequestFault(413, what, where="body", remedy="Send less.", headers={"Connection": "close"})
