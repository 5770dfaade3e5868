"""What a caller is told where there is no answer: what is wrong, where, what to do; never how it came about in here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from nightrank.flows.serve.http.reply import Reply, json_reply
from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = logging.getLogger("nightrank.serve")
OUR_FAULT = "The server failed to answer."
SEE_LOG = "Try again; the server's log says what happened."


class Told(msgspec.Struct, frozen=True):
    """What is wrong with a request, or with the server.

    Attributes:
        what: A sentence.
        where: The parameter, header or path; empty where it is the server.
        remedy: A sentence.
    """

    what: str
    where: str = ""
    remedy: str = ""


class Problem(msgspec.Struct, frozen=True):
    """The body of every reply that is no answer."""

    error: Told


class RequestFault(Exception):
    """There is no answer to this request.

    Args:
        status: Of HTTP.
        what: Is wrong.
        where: As ``Told`` has it.
        remedy: Likewise.
        headers: Beside the usual ones.
    """

    def __init__(
        self, status: int, what: str, *, where: str = "", remedy: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(what)
        self.status = status
        self.told = Told(what, where, remedy)
        self.headers = dict(headers or {})

    def reply(self) -> Reply:
        """As the caller gets it."""
        return json_reply(Problem(self.told), status=self.status, headers=self.headers)


class TooBusy(RequestFault):
    """What this request needs is taken by others.

    Args:
        seconds: After which there may be room.
        meanwhile: What is answered all the same.
    """

    def __init__(self, seconds: int, *, meanwhile: str = "") -> None:
        super().__init__(
            503,
            "The server makes as many answers as it can.",
            remedy=f"Ask again in {seconds} s{meanwhile}.",
            headers={"Retry-After": str(seconds)},
        )


def not_valid(what: str, *, where: str, remedy: str) -> RequestFault:
    """The caller's mistake in a parameter."""
    return RequestFault(400, what, where=where, remedy=remedy)


def told_of(error: Exception, method: str) -> RequestFault:
    """What the caller is told of whatever went wrong; of what is not theirs the log says more."""
    if isinstance(error, RequestFault):
        return error
    if isinstance(error, InputError):
        return not_valid(error.message, where="", remedy=error.remedy)
    LOG.error("A %s request failed.", method, exc_info=error)
    return RequestFault(500, OUR_FAULT, remedy=SEE_LOG)
