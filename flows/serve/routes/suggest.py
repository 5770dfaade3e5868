"""``GET /suggest``: what is being typed, completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nightrank.flows.serve.http.parameters import number_of, parameters, typed_of
from nightrank.flows.serve.http.reply import json_reply

if TYPE_CHECKING:
    from starlette.types import Scope

    from nightrank.flows.serve.http.reply import Reply
    from nightrank.flows.serve.server import Server

TYPED = ("q", "limit")
USUAL = 8


class Suggestions(msgspec.Struct, frozen=True):
    """Completions.

    Attributes:
        query: What is being typed, as it came.
        suggestions: Queries that it may become, those most in demand first.
    """

    query: str
    suggestions: tuple[str, ...]


async def suggest(server: Server, scope: Scope) -> Reply:
    """At most ``limit`` completions of ``q``."""
    given = parameters(scope["query_string"], known=TYPED)
    typed, limit = typed_of(given, server.settings), number_of(given.get("limit"), where="limit")
    with server.answerer.current.lent() as release:
        return json_reply(Suggestions(typed, release.cache.suggest(typed, USUAL if limit is None else limit)))
