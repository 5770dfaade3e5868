from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.serve.http.faults import RequestFault
from nightrank.flows.serve.http.guard import LOOPBACK, Guard
from nightrank.flows.serve.run import listening, read_token
from nightrank.storage.errors import InputError
from nightrank.tasks.settings.serving import ServeSettings
from tests.flows.serve.conftest import served

if TYPE_CHECKING:
    from starlette.types import Message

    from tests.support.collection import Collection

TOKEN = "a-token-of-ours"


def with_token() -> Guard:
    return Guard(TOKEN, hosts=(), max_body_bytes=2048)


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'anybody:{password}'.encode()).decode()}"


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", basic(TOKEN)])
def test_who_brings_the_token_comes_in(given: str) -> None:
    with_token().check("/search", {b"authorization": given.encode()})


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, basic("x"), "Basic ***", f"Digest {TOKEN}"],
)
def test_who_does_not_is_told_how(given: str) -> None:
    with pytest.raises(RequestFault) as refused:
        with_token().check("/search", {b"authorization": given.encode()} if given else {})
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in str(refused.value.told)


def test_a_server_with_a_token_shows_its_health_alone_without_it(published_plainly: Collection) -> None:
    with served(published_plainly, with_token()) as (client, _):
        assert client.get("/healthz").status_code == 200
        for path in ("/search?q=tea", "/documents/tea", "/metrics", "/releases", "/openapi.json", "/nothing"):
            assert client.get(path).status_code == 401, path
        assert client.get("/").headers["www-authenticate"].startswith("Basic")  # so that a browser asks for it
        assert client.get("/", headers={"Authorization": basic(TOKEN)}).status_code == 200
        assert client.get("/search?q=tea", headers={"Authorization": f"Bearer {TOKEN}"}).json()["results"]


@pytest.mark.parametrize(
    ("host", "comes_in"),
    [
        ("127.0.0.1:8040", True),
        ("LOCALHOST", True),
        ("[::1]:8040", True),
        ("search.example.org", True),
        ("evil.example.org:8040", False),
        ("", False),
        ("[evil]", False),
    ],
)
def test_a_page_of_elsewhere_cannot_ask_under_a_name_of_its_own(host: str, comes_in: bool) -> None:
    guard = Guard(None, hosts=[*LOOPBACK, "search.example.org"], max_body_bytes=2048)
    if comes_in:
        guard.check("/search", {b"host": host.encode()})
        return
    with pytest.raises(RequestFault) as refused:
        guard.check("/search", {b"host": host.encode()})
    assert refused.value.status == 421


def test_more_is_not_taken_than_the_settings_allow() -> None:
    guard = Guard(None, hosts=(), max_body_bytes=2048)
    guard.check("/", {b"content-length": b"2048"})
    for length in (b"2049", b"-1", b"9" * 400, b"\xb2"):
        with pytest.raises(RequestFault) as refused:
            guard.check("/", {b"content-length": length})
        assert refused.value.status == 413

    async def send() -> Message:
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def take() -> None:
        receive = guard.bounded(send)  # it said nothing of its length
        for _ in range(2):
            assert len((await receive())["body"]) == 1000
        with pytest.raises(RequestFault, match="may have 2048 bytes"):
            await receive()

    asyncio.run(take())


@pytest.mark.parametrize("value", [None, "", "short", "with a space in it", "naïve-token"])
def test_a_token_that_is_none_ends_the_start(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUR_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("OUR_TOKEN", value)
    with pytest.raises(InputError) as refused:
        read_token(ServeSettings(token_env="OUR_TOKEN"))
    assert not value or value not in str(refused.value)


def test_without_a_name_there_is_no_token() -> None:
    assert read_token(ServeSettings()) is None


def test_an_address_that_is_taken_or_none_is_told() -> None:
    taken = r"127\.0\.0\.1, port \d+, cannot be listened at"
    with (
        listening("127.0.0.1", 0) as first,
        pytest.raises(InputError, match=taken),
        listening("127.0.0.1", first.getsockname()[1]),
    ):
        pass
    with pytest.raises(InputError, match="cannot be listened at"), listening("no.such.host.invalid", 0):
        pass
