"""The loop closes: what a server is asked today, the night answers in advance, and its reports tell what is missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.train.pairs import Pair, pairs_of_clicks
from tests.support.collection import small_collection
from tests.support.server_process import server_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models

UNKNOWN = "pendulum of a clock"


def asked(client: httpx.Client, query: str, *, until: str | None = None) -> dict[str, object]:
    """The answer to a query; asked again until another release than that answers."""
    deadline = time.monotonic() + 60
    while True:
        answer: dict[str, object] = client.get("/search", params={"q": query}, headers={"X-Session": "s"}).json()
        if answer["release_id"] != until or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


@pytest.mark.long
@pytest.mark.slow
def test_what_is_asked_today_is_answered_in_advance_tomorrow(models: Models, tmp_path: Path) -> None:
    collection = small_collection(tmp_path / "project", embedder=models.embedder, reranker=models.reranker)
    collection.settings["queries"] = {"log": "logs", "max_per_minute": "none"}
    collection.settings["serve"] = {"log": "logs", "look_every_seconds": 0.2, "deadline_ms": 60_000}
    collection.write()
    logs = collection.folder / "logs"
    logs.mkdir()
    (collection.folder / "queries.jsonl").rename(logs / "known.jsonl")
    first = refresh_plainly(collection.settings_file).manifest.release_id
    with (
        server_process(collection.settings_file) as server,
        httpx.Client(base_url=server.address, timeout=60) as client,
    ):
        live = asked(client, UNKNOWN)
        assert (live["how"], live["release_id"]) == ("live", first)
        results = live["results"]
        assert isinstance(results, list)
        click = {"impression": live["impression"], "document_id": results[0]["document_id"], "rank": 1}
        assert client.post("/clicks", json=click).status_code == 204
        assert client.get("/suggest", params={"q": "pend"}).json()["suggestions"] == []
        second = refresh_plainly(collection.settings_file).manifest
        again = asked(client, UNKNOWN, until=first)
        assert (again["how"], again["release_id"]) == ("exact", second.release_id)
        assert [entry["chunk_id"] for entry in again["results"]] == [entry["chunk_id"] for entry in results]  # type: ignore[attr-defined]
        assert client.get("/suggest", params={"q": "Pend"}).json()["suggestions"] == [UNKNOWN]
    assert second.counts.queries == len(collection.log) + 1
    assert second.counts.queries_bad == 0
    configuration = load_settings(collection.settings_file)
    found = pairs_of_clicks(configuration.settings.queries, base=configuration.base, salt=b"s")
    assert found.pairs == [Pair(UNKNOWN, str(click["document_id"]), 1)]
    gaps = ReleaseFiles(configuration.workspace.release(second.release_id)).gaps.read()
    assert UNKNOWN not in gaps.column("text").to_pylist()
