"""``/mcp``: the release for language models, by the Model Context Protocol, streamable HTTP without sessions."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from nightrank.flows.serve.http.faults import RequestFault
from nightrank.flows.serve.http.parameters import question_of
from nightrank.flows.serve.http.reply import json_reply
from nightrank.flows.serve.routes.documents import document_of
from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from nightrank.flows.serve.server import Server

PATH = "/mcp"
INSTRUCTIONS = (
    "Search a collection of documents. `search` gives the best passages for a query, `get_document` a whole document "
    "by the id that results name."
)


def mcp_application(server: Server) -> Starlette:
    """What answers at ``PATH``, with a lifespan of its own.

    Args:
        server: Its parts.

    Raises:
        InputError: The package ``mcp`` is not installed.
    """
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.server.transport_security import TransportSecuritySettings
    except ModuleNotFoundError as error:
        message = "[serve].mcp needs the package mcp."
        raise InputError(message, remedy='Install it: pip install "nightrank[mcp]".') from error

    made = MCPServer("nightrank", instructions=INSTRUCTIONS, version=version("nightrank"))

    @made.tool()
    async def search(query: str, filter: dict[str, Any] | None = None, depth: int | None = None) -> dict[str, Any]:  # noqa: A002 (as it is called everywhere)
        """Search the collection.

        Args:
            query: What to look for, in words.
            filter: On the documents' metadata, such as {"type": "docs", "weight": {"lt": 2000}}.
            depth: Results at most.
        """
        given = {"q": query} | ({} if filter is None else {"filter": json.dumps(filter)})
        try:
            answer = await server.answer(question_of(given | _depth(depth), server.settings))
        except (RequestFault, InputError) as error:
            raise ToolError(_said(error)) from error
        return _as_value(answer)

    @made.tool()
    async def get_document(document_id: str) -> dict[str, Any]:
        """Get a whole document, passage by passage.

        Args:
            document_id: As a result names it.
        """
        try:
            with server.answerer.current.lent() as release:
                return _as_value(document_of(release, document_id))
        except RequestFault as error:
            raise ToolError(_said(error)) from error

    return made.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=server.settings.max_body_bytes,
        # Who may ask is the guard's matter.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )


def _depth(depth: int | None) -> dict[str, str]:
    return {} if depth is None else {"depth": str(depth)}


def _as_value(record: object) -> dict[str, Any]:
    """A record as HTTP replies it."""
    value: dict[str, Any] = json.loads(json_reply(record).body)
    return value


def _said(error: RequestFault | InputError) -> str:
    if isinstance(error, InputError):
        return str(error)
    return f"{error.told.what} {error.told.remedy}".strip()
