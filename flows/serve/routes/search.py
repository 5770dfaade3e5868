"""``GET /search``: one query's results, and how they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.flows.serve.http.arrival import arrival
from nightrank.flows.serve.http.parameters import QUESTION, parameters, question_of
from nightrank.flows.serve.http.reply import json_reply

if TYPE_CHECKING:
    from starlette.types import Scope

    from nightrank.flows.serve.http.reply import Reply
    from nightrank.flows.serve.server import Server


async def search(server: Server, scope: Scope) -> Reply:
    """The results of ``q``, of which at most ``depth``, over what ``filter`` lets through."""
    given = parameters(scope["query_string"], known=QUESTION)
    question = question_of(given, server.settings, headers=scope["headers"], at=arrival(scope))
    return json_reply(await server.answer(question))
