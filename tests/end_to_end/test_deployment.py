"""The nightly deployment, for real: a Prefect server, a work pool, a worker, and the command line beside them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import yaml

from nightrank.storage.workspace.base import STAGING_PREFIX
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.hosted_server import Hang, serve
from tests.support.listening import listening
from tests.support.prefect_server import Server, prefect_server
from tests.support.published import check_readable, rankings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.collection import Collection
    from tests.support.prefect_server import Run

PREFECT_FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
ARTIFACTS = {f"nightrank-{name}" for name in ("measures", "counts", "gates", "release", "report")}

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with prefect_server(tmp_path) as found:
        yield found


def described() -> list[dict[str, Any]]:
    """The deployments of the file."""
    found: list[dict[str, Any]] = yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))["deployments"]
    return found


def test_the_nightly_deployment_runs_and_publishes(server: Server, collection: Collection) -> None:
    folder = collection.folder

    def run_deployment() -> dict[str, Any]:
        server.prefect("deployment", "run", "refresh/nightly", folder=folder)
        server.prefect("worker", "start", "--pool", "nightrank", "--type", "process", "--run-once", folder=folder)
        return server.last_run()

    server.prefect("work-pool", "create", "nightrank", "--type", "process", folder=folder)
    server.prefect("deploy", "-n", "nightly", "--no-prompt", "--prefect-file", PREFECT_FILE, folder=folder)
    [deployment] = server.ask("deployments/filter")
    [written] = [one for one in described() if one["name"] == "nightly"]
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

    nights = server.once(lambda: server.runs(state={"type": {"any_": ["SCHEDULED"]}}), bool)
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
    assert FolderWorkspace(collection.workspace).require_current() == live.release_id
    assert rankings(collection.workspace) == published

    collection.document("tea")["text"] = "Leaves of one bush make every tea."
    collection.write()
    reported = server.nightrank("refresh", "--json", folder=folder)

    assert (reported.code, reported.err) == (0, "")
    assert reported.json["published"]
    third = server.last_run()
    assert third["id"] not in (first["id"], second["id"])
    assert (third["state_type"], third["deployment_id"]) == ("COMPLETED", None)
    assert server.artifacts(third["id"]) == ARTIFACTS
    assert UUID(third["flow_id"]) == UUID(first["flow_id"])


def test_a_server_takes_every_deployment_into_its_pool(server: Server, collection: Collection) -> None:
    folder = collection.folder
    template = PREFECT_FILE.with_name("kubernetes-job.json")
    for pool, kind in (("nightrank", "process"), ("nightrank-docker", "docker")):
        server.prefect("work-pool", "create", pool, "--type", kind, folder=folder)
    kubernetes = ("nightrank-kubernetes", "--type", "kubernetes", "--base-job-template", template)
    server.prefect("work-pool", "create", *kubernetes, folder=folder)

    groups = ("nightly", "weekly-*", "train-*", "docker-*", "kubernetes-*")
    names = [argument for group in groups for argument in ("-n", group)]
    server.prefect("deploy", *names, "--no-prompt", "--prefect-file", PREFECT_FILE, folder=folder)

    deployed = {one["name"]: one for one in server.ask("deployments/filter")}
    assert deployed.keys() == {one["name"] for one in described()}
    for one in described():
        found = deployed[one["name"]]
        assert found["work_pool_name"] == one["work_pool"]["name"]
        assert found["job_variables"] == one["work_pool"]["job_variables"]
        assert found["tags"] == one["tags"]
        assert found["parameters"] == one["parameters"]
        assert found["global_concurrency_limit"]["limit"] == 1
        assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        schedules = [(each["schedule"]["cron"], each["schedule"]["timezone"]) for each in found["schedules"]]
        assert schedules == [(each["cron"], each["timezone"]) for each in one["schedules"]]


def test_a_night_that_is_cancelled_leaves_nothing_half_written(
    server: Server, collection: Collection, tmp_path: Path
) -> None:
    folder, workspace = collection.folder, FolderWorkspace(collection.workspace)
    with serve("tei") as provider:
        provider.needs_key, provider.faults = False, [Hang(3600)]
        collection.settings["reranker"] = {"model": "ours", "depth": 3}
        collection.settings["reranker.hosted"] = {"api": "tei", "url": provider.url, "timeout_seconds": 3600.0}
        collection.write()
        server.prefect("work-pool", "create", "nightrank", "--type", "process", folder=folder)
        server.prefect("deploy", "-n", "nightly", "--no-prompt", "--prefect-file", PREFECT_FILE, folder=folder)
        worker = ("worker", "start", "--pool", "nightrank", "--type", "process")
        with server.running("prefect", *worker, folder=folder, log=tmp_path / "worker.log"):
            run = server.begin("refresh/nightly")
            server.once(lambda: provider.requests, bool)
            server.prefect("flow-run", "cancel", run, folder=folder)

            assert server.ended(run)["state_type"] == "CANCELLED"
            assert workspace.current_release_id() is None
            assert not (workspace.root / ".lock").exists()
            assert not [*workspace.releases.glob("*"), *workspace.releases.glob(f"{STAGING_PREFIX}*")]

            assert server.ended(server.begin("refresh/nightly"))["state_type"] == "COMPLETED"
    assert check_readable(collection.workspace).counts.documents == len(collection.documents)


def test_a_late_night_is_told(server: Server, collection: Collection, tmp_path: Path) -> None:
    with listening() as (url, reported):
        hook = {"name": "ops", "url": url, "json_data": {"subject": "{{subject}}", "body": "{{body}}"}}
        block = (
            "from prefect.blocks.notifications import CustomWebhookNotificationBlock as Hook;"
            f"print(Hook(**{hook!r}).save('ops'))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", block], env=server.environment, check=True, capture_output=True, text=True
        )
        automations = PREFECT_FILE.with_name("automations.yaml").read_text(encoding="utf-8")
        mine = tmp_path / "automations.yaml"
        mine.write_text(automations.replace("00000000-0000-0000-0000-000000000000", ran.stdout.strip()))
        server.prefect("automation", "create", "--from-file", mine, folder=tmp_path)
        server.prefect("work-pool", "create", "nightrank", "--type", "process", folder=tmp_path)
        server.prefect("deploy", "-n", "nightly", "--no-prompt", "--prefect-file", PREFECT_FILE, folder=tmp_path)

        run = server.run(server.begin("refresh/nightly"))  # and no worker is there to begin it

        [message] = server.once(lambda: reported, bool)
    assert message["subject"] == "Nightrank: refresh is late"
    assert message["body"].startswith("refresh/nightly was to begin at ")
    assert run["id"] in message["body"]


def test_what_is_said_to_have_changed_begins_a_night_once_it_is_quiet(server: Server, tmp_path: Path) -> None:
    server.prefect("work-pool", "create", "nightrank", "--type", "process", folder=tmp_path)
    server.prefect("deploy", "-n", "nightly", "--no-prompt", "--prefect-file", PREFECT_FILE, folder=tmp_path)
    [deployment] = server.ask("deployments/filter", deployments={"name": {"any_": ["nightly"]}})
    automation = PREFECT_FILE.with_name("on_change.yaml").read_text(encoding="utf-8")
    mine = tmp_path / "on_change.yaml"
    mine.write_text(automation.replace(str(UUID(int=0)), deployment["id"]).replace("within: 60", "within: 10"))
    server.prefect("automation", "create", "--from-file", mine, folder=tmp_path)

    def begun() -> list[Run]:
        runs = server.runs(deployment_id={"any_": [deployment["id"]]})
        return [run for run in runs if not run["auto_scheduled"]]

    time.sleep(15.0)
    assert begun() == []  # nobody has said anything
    for _ in range(3):
        said = ("event", "emit", "nightrank.documents-changed", "--resource-id", "nightrank.documents")
        server.prefect(*said, folder=tmp_path)
    server.once(begun, bool)
    time.sleep(15.0)
    assert len(begun()) == 1
