from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.operate.search import search_live
from nightrank.flows.settings_file import load_settings
from nightrank.storage.serving.cache import SearchCache

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from nightrank.flows.serve.server import Server
    from nightrank.storage.records import JsonValue
    from tests.support.collection import Collection


def test_a_known_query_is_answered_from_the_release(client: TestClient, published_plainly: Collection) -> None:
    answer = client.get("/search", params={"q": "  Black TEA "}).json()
    with SearchCache.open(published_plainly.workspace) as cache:
        found = cache.get("black tea")
    assert found is not None
    assert (answer["query"], answer["how"], answer["from_query"], answer["filter"]) == (
        "black tea",
        "exact",
        None,
        None,
    )
    assert answer["release_id"] == found.release_id
    assert [result["chunk_id"] for result in answer["results"]] == [result.chunk_id for result in found.results]
    assert answer["results"][0].keys() == {
        "rank", "document_id", "chunk_id", "score", "title", "text", "metadata", "snippet"
    }  # fmt: skip
    again = client.get("/search", params={"q": "black tea"}).json()
    assert again["impression"] != answer["impression"]


def test_another_query_is_answered_now_as_live_search_does(client: TestClient, published_plainly: Collection) -> None:
    configuration = load_settings(published_plainly.settings_file)
    cases: list[tuple[str, JsonValue]] = [
        ("green leaves", None),
        ("bread and salt", {"letters": {"lte": 9}}),
        ("zzz", None),
    ]
    for query, condition in cases:
        params = {"q": query} | ({} if condition is None else {"filter": json.dumps(condition)})
        answer = client.get("/search", params=params).json()
        live = search_live(configuration, query, filter_by=condition)
        assert (answer["how"], answer["query"], answer["filter"]) == ("live", query, condition)
        assert [(entry["chunk_id"], entry["score"]) for entry in answer["results"]] == [
            (result.chunk_id, result.score) for result in live.results
        ]
        assert answer["pairs_scored"] == answer["pairs_wanted"] > 0


def test_fewer_results_can_be_asked_for_and_not_more(client: TestClient) -> None:
    for query in ("black tea", "green leaves"):
        assert len(client.get("/search", params={"q": query, "depth": 2}).json()["results"]) == 2
    for depth in ("0", "11", "-1", "two", "9" * 30, "²"):
        told = client.get("/search", params={"q": "black tea", "depth": depth})
        assert (told.status_code, told.json()["error"]["where"]) == (400, "depth")


@pytest.mark.parametrize(
    ("asked_for", "where", "what"),
    [
        ("/search", "q", "empty"),
        ("/search?q=", "q", "empty"),
        ("/search?q=%20%E2%80%8B", "q", "empty"),
        ("/search?q=a&q=b", "q", "given twice"),
        ("/search?q=a&colour=red", "query string", "no parameter 'colour'"),
        ("/search?q=%FF", "query string", "cannot be read"),
        ("/search?" + "&".join(f"a{number}=1" for number in range(99)), "query string", "cannot be read"),
        ("/search?q=" + "a" * 1001, "q", "1001 characters"),
        ("/search?q=tea&filter=[", "filter", "filter"),
        ('/search?q=tea&filter={"a":{"b":1}}', "filter", "filter"),
        ("/search?q=tea&filter=" + "a" * 4001, "filter", "4001 characters"),
        ('/search?q=tea&filter={"colour":"red"}', "", "no document has the field 'colour'"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(
    client: TestClient, asked_for: str, where: str, what: str
) -> None:
    told = client.get(asked_for)
    assert told.status_code == 400
    error = told.json()["error"]
    assert error["where"] == where
    assert what in error["what"]
    assert error["remedy"]


def test_a_document_is_shown_passage_by_passage(client: TestClient) -> None:
    garden = client.get("/documents/garden").json()
    assert garden["title"] == "The gardener's year"
    assert len(garden["passages"]) > 3
    assert garden["passages"][0]["text"].startswith("A garden begins with the soil")
    for unknown in ("nothing", "..%2F..%2Fetc%2Fpasswd", "'; DROP TABLE chunks; --", "a" * 9000):
        told = client.get(f"/documents/{unknown}")
        assert told.status_code == 404
        assert len(told.json()["error"]["what"]) < 200


def test_what_is_not_there_and_what_cannot_be_done_is_told_as_json(client: TestClient) -> None:
    assert client.get("/nothing").json()["error"]["remedy"].startswith("There are /, /search")
    assert client.post("/search", content=b"x").status_code == 405
    assert client.get("/docs").status_code == 404  # it would load scripts from elsewhere


def test_health_metrics_and_releases(client: TestClient) -> None:
    health = client.get("/healthz").json()
    assert (health["status"], health["live"], health["queries"]) == ("ok", True, 7)
    assert health["memory_bytes"] > 0
    listed = client.get("/releases").json()
    assert listed["served"] == listed["current"] == health["release_id"] == listed["releases"][0]["release_id"]
    client.get("/nothing/at/all")
    written = client.get("/metrics").text
    assert 'nightrank_requests_total{path="other",status="404"}' in written
    assert 'nightrank_answer_seconds_count{how="exact"}' in written
    assert "nothing" not in written


def test_the_openapi_document_names_what_is_replied(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert {"/search", "/healthz", "/releases", "/metrics"} <= document["paths"].keys()
    search = document["paths"]["/search"]["get"]
    assert {each["name"]: each["required"] for each in search["parameters"]} == {
        "q": True, "filter": False, "depth": False
    }  # fmt: skip
    assert document["components"]["schemas"]["Answer"]["properties"].keys() >= {"how", "results", "impression"}


def test_a_fault_of_ours_is_in_the_log_and_not_in_the_reply(
    asked: tuple[TestClient, Server], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client, server = asked
    release = server.answerer.current.peek()
    assert release is not None

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(type(release.cache), "get", fail)
    monkeypatch.setattr(type(release.collection), "statistics", property(fail))
    for path in ("/search?q=tea", "/documents/tea"):
        told = client.get(path)
        assert told.status_code == 500
        assert "secret" not in told.text
        assert told.json()["error"]["remedy"]
        assert "secret of the house" in caplog.text
        caplog.clear()


def test_every_reply_says_what_browsers_must_not_do(client: TestClient) -> None:
    for path in ("/search?q=tea", "/healthz", "/nothing", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    head = client.head("/search?q=black+tea")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/metrics", "/releases", "/suggest?q=b", "/documents/tea", "/search?q=tea"]
)
def test_headers_alone_can_be_asked_for(client: TestClient, path: str) -> None:
    whole, headers = client.get(path), client.head(path)
    assert (headers.status_code, headers.headers["content-type"]) == (200, whole.headers["content-type"])
    assert headers.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/search/?q=tea", "/healthz/", "/clicks/"])
def test_no_path_leads_to_another(client: TestClient, path: str) -> None:
    reply = client.get(path, follow_redirects=False)
    assert (reply.status_code, reply.json()["error"]["where"]) == (404, "path")
