"""``nightrank schedule``: nights that one process serves, one at a time, and that stop in good order."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.workspace.base import STAGING_PREFIX
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.hosted_server import Hang, serve
from tests.support.prefect_server import Server
from tests.support.published import check_readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Program
    from tests.support.collection import Collection
    from tests.support.hosted_server import RerankServer
    from tests.support.prefect_server import Run

SERVED = ("refresh", "evaluate", "prune", "export", "report", "train embedder", "train reranker")


@pytest.fixture
def provider(collection: Collection) -> Iterator[RerankServer]:
    """A rerank server, which the collection's settings name: a night waits for it as long as a test wants."""
    with serve("tei") as server:
        server.needs_key = False
        collection.settings["reranker"] = {"model": "ours", "depth": 3}
        collection.settings["reranker.hosted"] = {"api": "tei", "url": server.url, "timeout_seconds": 600.0}
        collection.write()
        yield server


@pytest.mark.long
def test_one_process_serves_nights_one_at_a_time_and_stops_them_in_good_order(
    prefect_api: str, provider: RerankServer, collection: Collection
) -> None:
    server = Server(prefect_api, {**os.environ, "PREFECT_API_URL": prefect_api})
    log, folder, name = collection.folder / "schedule.log", collection.folder, collection.folder.parent.name
    collection.settings["schedule"] = {"refresh": "0 3 * * *", "timezone": "Europe/Berlin"}
    collection.write()
    with server.running("nightrank", "schedule", "--json", "--name", name, folder=folder, log=log) as process:
        served = server.once(log.read_text, lambda text: "\n}\n" in text)
        reported = json.loads(served[: served.index("\n}\n") + 2])["served"]
        assert [one["deployment"] for one in reported] == [f"{flow}/{name}" for flow in SERVED]
        assert [one["cron"] for one in reported] == ["0 3 * * *", None, None, None, None, None, None]
        assert reported[0]["timezone"] == "Europe/Berlin"

        first = server.ended(server.begin(f"refresh/{name}"))
        assert first["state_type"] == "COMPLETED", first["state"]
        live = check_readable(collection.workspace).release_id
        assert first["name"] == f"project/workspace {live} published"
        assert {"nightrank", "published"} <= set(first["tags"])

        collection.document("tea")["text"] = "Leaves of one bush make every tea."
        collection.write()
        asked = len(provider.requests)
        provider.faults = [Hang(3600)]
        second = server.begin(f"refresh/{name}")
        server.once(lambda: provider.requests, lambda requests: len(requests) > asked)
        third = server.ended(server.begin(f"refresh/{name}"))
        assert third["state_type"] == "CANCELLED"
        assert third["run_count"] == 0
        assert server.run(second)["state_type"] == "RUNNING"

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=90) == 0
        assert server.ended(second)["state_type"] == "CANCELLED"
    workspace = FolderWorkspace(collection.workspace)
    assert workspace.require_current() == live
    assert not (workspace.root / ".lock").exists()
    assert not [*workspace.releases.glob(f"{STAGING_PREFIX}*")]
    assert check_readable(collection.workspace).release_id == live


@pytest.mark.slow
def test_a_change_during_the_day_is_published_when_it_is_quiet_and_what_is_brought_back_costs_nothing(
    prefect_api: str, collection: Collection
) -> None:
    server = Server(prefect_api, {**os.environ, "PREFECT_API_URL": prefect_api})
    folder, workspace, name = collection.folder, FolderWorkspace(collection.workspace), collection.folder.parent.name
    collection.settings["schedule"] = {
        "refresh": "none", "on_change": True, "quiet_seconds": 1.0, "max_wait_seconds": 30.0, "poll_seconds": 2.0
    }  # fmt: skip
    collection.write()

    def begun() -> list[Run]:
        return server.runs(tags={"all_": ["on change"]})

    # The log lies beside the documents' file: it grows all the time, and is no change.
    with server.running("nightrank", "schedule", "--name", name, folder=folder, log=folder / "schedule.log") as process:
        first = server.once(workspace.current_release_id, bool)
        collection.document("tea")["text"] = "Leaves of one bush make every tea."
        collection.write()
        second = server.once(workspace.current_release_id, lambda release: release not in {None, first})
        runs = server.once(begun, lambda runs: len(runs) == 2 and all(run["state_type"] == "COMPLETED" for run in runs))
        assert [run["name"] for run in runs] == [
            f"project/workspace {release} published" for release in (first, second)
        ]

        (folder / "corpus.jsonl").rename(folder / "elsewhere")
        (folder / "elsewhere").rename(folder / "corpus.jsonl")
        time.sleep(6.0)

        assert len(begun()) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=90) == 0
    said = (folder / "schedule.log").read_text(encoding="utf-8")
    assert "Watching the documents by file system events" in said
    assert check_readable(collection.workspace).release_id == second


def test_without_a_server_it_says_which_one_is_missing(collection: Collection, program: Program) -> None:
    ended = program("schedule", folder=collection.folder, environment={"PREFECT_API_URL": ""})

    assert ended.code == 2
    assert "PREFECT_API_URL is not set" in ended.err
    assert "prefect server start" in ended.err


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "value"), [("refresh", "61 2 * * *"), ("timezone", "Europe/Atlantis"), ("prune", "daily")]
)
def test_a_schedule_that_is_none_is_an_error_of_the_input(
    collection: Collection, program: Program, key: str, value: str
) -> None:
    collection.settings["schedule"] = {key: value}
    collection.write()

    ended = program("schedule", folder=collection.folder)

    assert ended.code == 2
    assert value in ended.err
    assert "Traceback" not in ended.err


def test_a_name_that_prefect_does_not_take_is_an_error_of_the_input(collection: Collection, program: Program) -> None:
    ended = program("schedule", "--name", "search/shop", folder=collection.folder)

    assert ended.code == 2
    assert "'search/shop'" in ended.err
