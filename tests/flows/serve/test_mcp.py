"""What language models get, by the protocol's own client over a real connection."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from nightrank.storage.errors import InputError
from tests.flows.serve.conftest import served
from tests.support.server_process import server_process

if TYPE_CHECKING:
    from tests.support.collection import Collection

pytestmark = pytest.mark.long
TOKEN = "for-models-only"


def test_models_search_and_read_documents(published_plainly: Collection) -> None:
    mcp = pytest.importorskip("mcp")
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    folder = published_plainly.folder
    file = folder / "mcp.toml"
    file.write_text(published_plainly.settings_file.read_text() + '\n[serve]\nmcp = true\ntoken_env = "OUR_TOKEN"\n')

    async def ask(address: str) -> list[Any]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(f"{address}/mcp", http_client=http)
            async with mcp.Client(transport) as client:
                tools = sorted(tool.name for tool in (await client.list_tools()).tools)
                found = await client.call_tool("search", {"query": "black tea", "depth": 2})
                filtered = await client.call_tool("search", {"query": "salt", "filter": {"letters": {"lte": 4}}})
                document = await client.call_tool("get_document", {"document_id": "garden"})
                unknown = await client.call_tool("get_document", {"document_id": "nothing"})
                empty = await client.call_tool("search", {"query": " "})
                return [tools, found, filtered, document, unknown, empty]

    with server_process(file, environment={"OUR_TOKEN": TOKEN}) as running:
        tools, found, filtered, document, unknown, empty = asyncio.run(ask(running.address))
        with pytest.raises(BaseException) as refused:  # noqa: PT011 (a group of whatever the client raises)
            asyncio.run(without_token(running.address))
        assert refused.value is not None
    assert tools == ["get_document", "search"]
    assert found.structured_content["how"] == "exact"
    assert len(found.structured_content["results"]) == 2
    assert filtered.structured_content["how"] == "live"
    assert {result["metadata"]["letters"] for result in filtered.structured_content["results"]} <= {3, 4}
    assert document.structured_content["title"] == "The gardener's year"
    assert unknown.is_error
    assert "has no document 'nothing'" in unknown.content[0].text
    assert empty.is_error


async def without_token(address: str) -> None:
    from mcp import Client

    async with Client(f"{address}/mcp") as client:
        await client.list_tools()


def test_a_package_that_is_missing_is_named(published_plainly: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    with pytest.raises(InputError, match="needs the package mcp"), served(published_plainly, mcp=True):
        pass


def test_no_stream_is_held_open_on_which_nothing_comes(published_plainly: Collection) -> None:
    pytest.importorskip("mcp")
    with served(published_plainly, mcp=True) as (client, _):
        accepted = {"Accept": "application/json, text/event-stream"}
        for method in ("GET", "HEAD", "DELETE"):
            assert client.request(method, "/mcp", headers=accepted).status_code == 405
        said = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        reply = client.post("/mcp", json=said, headers={**accepted, "MCP-Protocol-Version": "2025-06-18"})
        assert (reply.status_code, len(reply.json()["result"]["tools"])) == (200, 2)
