"""Nights whose documents a model asks questions of: marked, behind people's, paid for once, and never in their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.chat_server import MODEL, chat_server
from tests.support.hosted_server import KEY, Status

if TYPE_CHECKING:
    from tests.support.collection import Collection

VARIABLE = "NIGHTRANK_TEST_QUESTIONS_KEY"


def asked(collection: Collection) -> list[tuple[str, str]]:
    workspace = FolderWorkspace(collection.workspace)
    queries = ReleaseFiles(workspace.release(workspace.require_current())).queries.read(["text", "origin"])
    return [(row["text"], row["origin"]) for row in queries.to_pylist()]


@pytest.mark.long
def test_questions_of_a_model_fill_what_people_leave(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    with chat_server(lambda question: f"1. what is said of {question.split()[3].lower()}\n2. why is it so") as server:
        server.faults = [Status(429, {"Retry-After": "0"})]
        collection.settings["queries"]["from_documents"] = 12
        collection.settings["queries.questions"] = {
            "url": f"{server.url}/v1",
            "model": MODEL,
            "api_key_env": VARIABLE,
            "concurrency": 2,
            "attempts": 2,
        }
        collection.write()
        assert refresh_plainly(collection.settings_file).published
        found = asked(collection)
        people = len(collection.log)
        assert [origin for _, origin in found[:people]] == ["log"] * people
        assert [origin for _, origin in found[people:]].count("question") == 3
        assert sum(server.paid.values()) == len(server.paid) <= 6

        paid = len(server.requests)
        collection.document("clock")["text"] = "A pendulum swings, and a wheel counts."
        collection.write()
        refresh_plainly(collection.settings_file)
        assert len(server.requests) - paid <= 1
        assert set(server.paid.values()) == {1}

        server.faults = [Status(503)] * 99
        for document in collection.documents:
            document["text"] = f"{document['text']} More."
        collection.write()
        summary = refresh_plainly(collection.settings_file)
        assert summary.published
        assert any("did not answer" in entry.what for entry in summary.account if entry.part == "queries")
        assert {origin for _, origin in asked(collection)[people:]} <= {"title", "phrase", "heading"}
