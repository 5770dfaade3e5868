"""What the server notes of its visitors, and what it completes for them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from nightrank.flows.serve.app import application
from nightrank.flows.serve.http.guard import Guard
from nightrank.flows.serve.run import serving
from nightrank.flows.settings_file import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.flows.serve.server import Server
    from tests.support.collection import Collection


@contextmanager
def noting(collection: Collection, folder: Path, *, live: bool = True) -> Iterator[tuple[TestClient, Server]]:
    """A server of its own that notes visits in a folder, and a client of it."""
    text = collection.settings_file.read_text()
    other = collection.settings_file.with_name(f"noting-{live}.toml")
    other.write_text(f'{text}[serve]\nlive = {str(live).lower()}\nlog = "{folder}"\n')
    with (
        serving(load_settings(other)) as server,
        TestClient(application(server, Guard(None, hosts=(), max_body_bytes=2048))) as client,
    ):
        yield client, server


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def test_searches_of_every_tier_and_clicks_are_noted(published_plainly: Collection, tmp_path: Path) -> None:
    with noting(published_plainly, tmp_path) as (client, server):
        _visit(client, server, tmp_path)


def _visit(client: TestClient, server: Server, folder: Path) -> None:
    exact = client.get("/search", params={"q": "Black TEA"}, headers={"X-Session": "session-1"}).json()
    live = client.get("/search", params={"q": "green leaves", "filter": '{"letters":{"lte":9}}'}).json()
    second = exact["results"][1]["document_id"]
    click = {"impression": exact["impression"], "document_id": second, "rank": 2}
    told = client.post("/clicks", json=click)
    assert (told.status_code, told.content) == (204, b"")
    client.get("/search", params={"q": "mail jane.doe@example.org"})
    log = server.visits._log
    assert log is not None
    log.flush()
    written = rows(folder)
    assert [(row["query"], row["count"], row["clicked"]) for row in written] == [
        ("black tea", 1, None),
        ("green leaves", 1, None),
        ("black tea", 0, second),
    ]
    assert [row["how"] for row in written[:2]] == ["exact", live["how"]] == ["exact", "live"]
    assert [row["impression"] for row in written] == [exact["impression"], live["impression"], exact["impression"]]
    assert written[1]["filter"] == {"letters": {"lte": 9}}
    assert written[0]["user"] == written[2]["user"] is not None
    assert written[1]["user"] is None
    assert "session-1" not in json.dumps(written)
    assert 'nightrank_log_rows{state="written"} 3.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("sent", "status", "where"),
    [
        ({"impression": "unknown", "document_id": "tea"}, 404, "impression"),
        ({"impression": "", "document_id": "tea"}, 404, "impression"),
        ({"document_id": "tea"}, 400, "body"),
        ({"impression": 1, "document_id": "tea"}, 400, "body"),
        ({"impression": "a", "document_id": "tea", "rank": "1"}, 400, "body"),
        ({"impression": "a", "document_id": "tea", "more": 1}, 400, "body"),
        ([], 400, "body"),
        ("\ud800", 400, "body"),
        ({"impression": "x" * 3000, "document_id": "tea"}, 413, "body"),
    ],
)
def test_what_is_no_click_is_told(client: TestClient, sent: object, status: int, where: str) -> None:
    headers = {"Content-Type": "application/json"}
    told = client.post("/clicks", content=json.dumps(sent), headers=headers)
    assert (told.status_code, told.json()["error"]["where"]) == (status, where)


def test_a_click_is_sent_as_json_on_a_result_of_the_answer(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "black tea"}).json()
    other = {"impression": answer["impression"], "document_id": "no such document"}
    told = client.post("/clicks", json=other)
    assert (told.status_code, told.json()["error"]["where"]) == (400, "document_id")
    assert client.post("/clicks", content=json.dumps(other)).status_code == 415
    assert client.get("/clicks").status_code == 405


def test_what_is_typed_is_completed(client: TestClient) -> None:
    assert client.get("/suggest", params={"q": "Bl"}).json() == {
        "query": "Bl",
        "suggestions": ["black ink on paper", "black tea"],
    }
    assert client.get("/suggest", params={"q": "bl", "limit": 1}).json()["suggestions"] == ["black ink on paper"]
    assert client.get("/suggest").json()["suggestions"][0] == "how do bees make honey"
    for given, where in (
        ({"limit": "0"}, ""),
        ({"limit": "x"}, "limit"),
        ({"q": "a" * 1001}, "q"),
        ({"z": "1"}, "query string"),
    ):
        told = client.get("/suggest", params=given)
        assert (told.status_code, told.json()["error"]["where"]) == (400, where)


def test_what_nobody_answers_is_noted_for_the_next_night(published_plainly: Collection, tmp_path: Path) -> None:
    with noting(published_plainly, tmp_path, live=False) as (client, _):
        assert client.get("/search", params={"q": "green leaves"}).status_code == 404
        assert client.get("/search", params={"q": ""}).status_code == 400
    [row] = rows(tmp_path)
    assert (row["query"], row["how"], row["results"], row["score"]) == ("green leaves", "none", 0, None)
