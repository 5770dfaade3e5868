"""What is published is switched to in one step: no request is lost, and none is answered from two releases."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.inputs.tiny_models import tiny_embedder
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.serve.current import Current
from nightrank.flows.serve.routes.operate import health_of
from nightrank.storage.errors import MachineError
from nightrank.storage.release.rollback import roll_back
from nightrank.storage.workspace.base import Workspace
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.flows.serve.conftest import served
from tests.support.takedown import copy_of

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.flows.serve.release import ServedRelease
    from tests.support.collection import Collection

QUERIES = ("black tea", "green leaves of a bush")  # one that is known, one that is not


def test_what_is_served_is_closed_when_its_last_request_ends() -> None:
    class Fake:
        def __init__(self, release_id: str) -> None:
            self.release_id, self.closed = release_id, False

        def close(self) -> None:
            assert not self.closed
            self.closed = True

    first: Any = Fake("a")
    second: Any = Fake("b")
    third: Any = Fake("c")
    current = Current(first)
    with current.lent() as one, current.lent() as again:
        current.switch_to(second)
        assert {id(one), id(again)} == {id(first)}
        assert (current.held, first.closed) == (2, False)
        with current.lent() as newer:
            assert id(newer) == id(second)
    assert (current.held, first.closed, second.closed) == (1, True, False)
    current.switch_to(third)
    assert second.closed
    assert current.switches == 2
    current.close()
    assert third.closed


@pytest.mark.long
def test_requests_during_switches_are_all_answered_and_each_from_one_release(collection: Collection) -> None:
    collection.settings["retrieval"] = {"candidate_depth": 8}
    collection.write()
    releases: dict[str, str] = {}  # the word that every document of a release says, by release

    def publish(word: str) -> None:
        for document in collection.documents:
            document["title"] = word
        collection.write()
        releases[refresh_plainly(collection.settings_file).manifest.release_id] = word

    publish("first")
    done = Event()
    with served(collection) as (client, server), ThreadPoolExecutor(4) as others:

        def ask(query: str) -> list[tuple[str, frozenset[str]]]:
            seen = []
            while not done.is_set():
                reply = client.get("/search", params={"q": query})
                assert reply.status_code == 200, reply.text
                answer = reply.json()
                seen.append((answer["release_id"], frozenset(result["title"] for result in answer["results"])))
            return seen

        asking = [others.submit(ask, query) for query in QUERIES * 2]
        try:
            for word in ("second", "third"):
                publish(word)
                assert server.follower.look()
            roll_back(FolderWorkspace(collection.workspace), None, now=datetime.now(UTC), publish=Workspace.publish)
            assert server.follower.look()
            time.sleep(0.3)
        finally:
            done.set()
        seen = [answer for request in asking for answer in request.result()]
        assert server.answerer.current.switches == 3
        assert server.answerer.current.held == 1
    assert {(release, next(iter(titles))) for release, titles in seen} == set(releases.items())
    assert all(len(titles) == 1 for _, titles in seen)


@pytest.mark.long
def test_a_release_of_another_embedder_brings_its_model_and_one_that_is_gone_leaves_the_cache(
    collection: Collection, tmp_path: Path
) -> None:
    refresh_plainly(collection.settings_file)
    with served(collection) as (client, server):
        before = server.answerer.current.peek()
        other = tiny_embedder(tmp_path / "other", seed=8)
        collection.settings["embedder"]["model"] = str(other)
        collection.write()
        refresh_plainly(collection.settings_file)
        assert server.follower.look()
        after = loaded(server.answerer.current.peek())
        assert before is not None
        assert before.models is not None
        assert after.models is not None
        assert before.models.embedder is not after.models.embedder
        assert before.models.reranker is after.models.reranker  # it is loaded once
        assert client.get("/search", params={"q": "unknown"}).json()["how"] == "live"

        (other / "model.safetensors").unlink()
        collection.documents.append({**copy.deepcopy(collection.documents[0]), "_id": "another"})
        collection.write()
        with pytest.raises(Exception):  # noqa: B017, PT011 (of whatever kind: this night has no model)
            refresh_plainly(collection.settings_file)
    with served(collection) as (client, server):
        assert client.get("/search", params={"q": "black tea"}).json()["how"] == "exact"
        told = client.get("/search", params={"q": "unknown"})
        assert told.status_code == 404
        assert "not answered now" in told.json()["error"]["remedy"]
        assert client.get("/documents/tea").json()["title"] == "Tea"
        assert client.get("/healthz").json()["live"] is False


def loaded(release: ServedRelease | None) -> ServedRelease:
    assert release is not None
    assert release.online is not None, release.why_not_live
    return release


def test_nothing_published_is_told_and_what_is_published_then_is_served(
    collection: Collection, published_plainly: Collection
) -> None:
    with served(collection) as (client, server):
        assert (client.get("/healthz").status_code, client.get("/search?q=tea").status_code) == (503, 503)
        assert client.get("/").status_code == 200
        assert client.get("/metrics").status_code == 200
        assert not server.follower.look()
    with served(published_plainly, max_age_hours=2.0) as (_, server):
        release = loaded(server.answerer.current.peek())
        young, old = (release.manifest.created_at + timedelta(hours=hours) for hours in (1, 3))
        assert health_of(server, now=young).status == "ok"
        assert health_of(server, now=old).status == "old"
    with served(published_plainly, max_age_hours=1e-6) as (client, _):
        assert client.get("/healthz").status_code == 503


def test_a_workspace_that_goes_is_told_and_what_was_served_goes_on(
    published_plainly: Collection, tmp_path: Path
) -> None:
    project = copy_of(published_plainly, tmp_path / "project")
    with served(project) as (client, server):
        project.workspace.rename(tmp_path / "elsewhere")
        before = server.follower.seconds_since_look
        with pytest.raises(MachineError, match="no current release any more"):
            server.follower.look()
        assert server.follower.seconds_since_look >= before
        for query, how in zip(QUERIES, ("exact", "live"), strict=True):
            assert client.get("/search", params={"q": query}).json()["how"] == how
        (tmp_path / "elsewhere").rename(project.workspace)
        assert not server.follower.look()


def test_without_live_what_is_not_known_is_told(published_plainly: Collection) -> None:
    with served(published_plainly, live=False) as (client, _):
        assert client.get("/search?q=black+tea").json()["how"] == "exact"
        assert client.get("/search?q=unknown").status_code == 404
        assert client.get("/documents/tea").status_code == 404
        assert client.get("/healthz").json()["memory_bytes"] == 0
