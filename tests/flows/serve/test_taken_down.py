"""What is taken down is in no reply of the server any more, of whatever tier, once it has looked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.flows.serve.conftest import served
from tests.support.takedown import copy_of, taken_down, wanted

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.testclient import TestClient

    from nightrank.flows.serve.release import ServedRelease
    from tests.support.collection import Collection


def found_by(client: TestClient, query: str, **params: str) -> list[str]:
    """The documents that a query is answered with."""
    answer = client.get("/search", params={"q": query, **params}).json()
    return [result["document_id"] for result in answer["results"]]


def told_of(release: ServedRelease) -> set[object]:
    """The values that the page offers of a field."""
    [letters] = [facet.values for facet in release.facets if facet.field == "letters"]
    return set(letters)


def test_a_document_that_is_taken_down_leaves_every_tier_and_comes_back(
    published_plainly: Collection, tmp_path: Path
) -> None:
    project = copy_of(published_plainly, tmp_path / "project")
    only_tea = json.dumps({"letters": 3})
    with served(project) as (client, server):
        place = server.follower.workspace
        live = place.require_current()
        before = {query: found_by(client, query) for query in ("black tea", "green leaves")}
        assert all("tea" in ranking for ranking in before.values())
        assert "tea" in found_by(client, "green leaves", filter=only_tea)
        collection = server.answerer.current.peek()
        assert collection is not None
        taken_down(project, "tea")
        assert server.follower.look()
        now = server.answerer.current.peek()
        assert now is not None
        assert now.collection is collection.collection  # nothing is loaded anew
        assert (
            told_of(collection) > told_of(now) == {one["letters"] for one in project.documents if one["_id"] != "tea"}
        )
        assert found_by(client, "black tea") == wanted(place, live, ["tea"])["black tea"]
        assert "tea" not in found_by(client, "green leaves")
        assert "tea" not in found_by(client, "green leaves", filter=only_tea)
        told = client.get("/documents/tea")
        assert (told.status_code, "has no document 'tea'" in told.json()["error"]["what"]) == (404, True)
        assert not server.follower.look()
        taken_down(project, "tea", undo=True)
        assert server.follower.look()
        assert {query: found_by(client, query) for query in before} == before
        assert client.get("/documents/tea").json()["title"] == "Tea"
