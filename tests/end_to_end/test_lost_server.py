"""Prefect's server dies in the middle of a night: what the night came to is told as what it is, and soon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.engine.outcome import UNRECORDED
from tests.support.hosted_server import Hang, serve
from tests.support.prefect_server import prefect_server
from tests.support.published import check_readable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.collection import Collection

SECONDS = 120  # that a person waits at most for the outcome, on a busy machine


@pytest.mark.slow
def test_a_published_release_is_told_and_that_the_server_went_away(collection: Collection, tmp_path: Path) -> None:
    errors, log = tmp_path / "errors", tmp_path / "log"
    with prefect_server(tmp_path) as server, serve("tei") as provider:
        provider.needs_key, provider.faults = False, [Hang(5)]
        collection.settings["reranker"] = {"model": "ours", "depth": 3}
        collection.settings["reranker.hosted"] = {"api": "tei", "url": provider.url, "timeout_seconds": 600.0}
        collection.write()
        arguments = ("refresh", "--json")
        with server.running("nightrank", *arguments, folder=collection.folder, log=log, errors=errors) as night:
            server.once(lambda: provider.requests, bool)
            server.kill()

            assert night.wait(timeout=SECONDS) == 0, errors.read_text()

    reported = json.loads(log.read_text())
    assert reported["published"]
    assert check_readable(collection.workspace).release_id == reported["release_id"]
    assert errors.read_text() == f"Note: {UNRECORDED}\n"
