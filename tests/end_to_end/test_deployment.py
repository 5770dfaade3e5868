"""The nightly deployment, for real: a Prefect server, a work pool, a worker, and the command line beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import yaml

from storage.workspace import Workspace
from tests.end_to_end.prefect_server import Server, prefect_server
from tests.published import check_readable, rankings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.collection import Collection

PREFECT_FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
ARTIFACTS = {"nightrank-measures", "nightrank-counts", "nightrank-gates", "nightrank-release"}

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with prefect_server(tmp_path) as found:
        yield found


def test_the_nightly_deployment_runs_and_publishes(server: Server, collection: Collection) -> None:
    folder = collection.folder

    def run_deployment() -> dict[str, Any]:
        server.prefect("deployment", "run", "refresh/nightly", folder=folder)
        server.prefect("worker", "start", "--pool", "nightrank", "--type", "process", "--run-once", folder=folder)
        return server.last_run()

    server.prefect("work-pool", "create", "nightrank", "--type", "process", folder=folder)
    server.prefect("deploy", "--all", "--no-prompt", "--prefect-file", PREFECT_FILE, folder=folder)
    [deployment] = server.ask("deployments/filter")
    written = yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))["deployments"][0]
    [schedule] = deployment["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 2 * * *", "UTC")
    assert schedule["active"]
    assert deployment["name"] == written["name"] == "nightly"
    assert deployment["tags"] == written["tags"]
    assert deployment["description"] == written["description"]
    assert deployment["work_pool_name"] == "nightrank"
    assert deployment["parameters"] == {"settings_file": "nightrank.toml"}
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"

    nights = server.scheduled_runs()
    assert nights
    assert all(night["auto_scheduled"] and "T02:00:00" in night["expected_start_time"] for night in nights)

    first = run_deployment()

    assert first["state_type"] == "COMPLETED", first["state"]
    assert first["deployment_id"] == deployment["id"]
    assert server.artifacts(first["id"]) == ARTIFACTS
    live = check_readable(collection.workspace)
    assert live.counts.documents == len(collection.documents)
    published = rankings(collection.workspace)

    second = run_deployment()

    assert second["id"] != first["id"]
    assert second["state_type"] == "COMPLETED", second["state"]
    assert not server.artifacts(second["id"])
    assert Workspace(collection.workspace).require_current() == live.release_id
    assert rankings(collection.workspace) == published

    collection.document("tea")["text"] = "Leaves of one bush make every tea."
    collection.write()
    told = server.nightrank("refresh", "--json", folder=folder)

    assert (told.code, told.err) == (0, "")
    assert told.json["published"]
    third = server.last_run()
    assert third["id"] not in (first["id"], second["id"])
    assert (third["state_type"], third["deployment_id"]) == ("COMPLETED", None)
    assert server.artifacts(third["id"]) == ARTIFACTS
    assert UUID(third["flow_id"]) == UUID(first["flow_id"])
