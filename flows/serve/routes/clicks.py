"""``POST /clicks``: a visitor opened a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nightrank.flows.serve.http.faults import RequestFault, not_valid
from nightrank.flows.serve.http.reply import JSON, Reply

if TYPE_CHECKING:
    from starlette.types import Scope

    from nightrank.flows.serve.server import Server


class Click(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A result that was opened.

    Attributes:
        impression: Of the answer that it was in.
        document_id: Its document.
        rank: Its place in the answer, from 1; null: the first of that document.
    """

    impression: str
    document_id: str
    rank: int | None = None


_CLICK = msgspec.json.Decoder(Click)


async def clicks(server: Server, scope: Scope, body: bytes) -> Reply:
    """Note a click on a result of an answer."""
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != JSON.encode():
        raise RequestFault(415, "A click is sent as JSON.", where="Content-Type", remedy=f"Say {JSON}.")
    try:
        click = _CLICK.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        remedy = 'Send {"impression": ..., "document_id": ..., "rank": 1}.'
        raise not_valid("What was sent is no click.", where="body", remedy=remedy) from error
    match server.visits.clicked(click.impression, click.document_id, click.rank):
        case "unknown":
            what = "No answer of that impression is remembered, or nothing is noted here ([serve].log)."
            raise RequestFault(404, what, where="impression", remedy="Take it from an answer of this server.")
        case "not a result":
            what = "The answer of that impression has no such result."
            raise RequestFault(400, what, where="document_id", remedy="Take document and rank from the answer.")
        case _:
            return Reply(204, b"")
