"""The nightly deployment, for real: a Prefect server, a work pool, a worker, and the command line beside them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest
import yaml

from storage.workspace import Workspace
from tests.conftest import STARTUP_SECONDS, Ended
from tests.published import check_readable, rankings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.collection import Collection

PREFECT_FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
ARTIFACTS = {"nightrank-measures", "nightrank-counts", "nightrank-gates", "nightrank-release"}
STEP_SECONDS = 240  # of one command, on a machine that is busy with something else

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server of this test's own, in a home of its own."""

    api: str
    environment: dict[str, str]

    def prefect(self, *arguments: str | Path, folder: Path) -> str:
        """What a command of Prefect's printed; it must end well."""
        ended = self._run("prefect", *arguments, folder=folder)
        assert ended.code == 0, ended.out + ended.err
        return ended.out

    def nightrank(self, *arguments: str, folder: Path) -> Ended:
        return self._run("nightrank", *arguments, folder=folder)

    def ask(self, path: str, **body: object) -> Any:  # noqa: ANN401 (JSON)
        """What the API answers to a POST."""
        response = httpx.post(f"{self.api}/{path}", json=body, timeout=60)
        response.raise_for_status()
        return response.json()

    def last_run(self) -> dict[str, Any]:
        """The flow run that started last."""
        started = {"start_time": {"is_null_": False}}
        runs: list[dict[str, Any]] = self.ask("flow_runs/filter", sort="START_TIME_DESC", flow_runs=started)
        assert runs, "no run was started"
        return runs[0]

    def scheduled_runs(self) -> list[dict[str, Any]]:
        """The runs of nights to come, as soon as the scheduler has made some."""
        scheduled = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        for _ in range(STEP_SECONDS):
            runs: list[dict[str, Any]] = self.ask("flow_runs/filter", flow_runs=scheduled)
            if runs:
                return runs
            time.sleep(1)
        return []

    def artifacts(self, flow_run: str) -> set[str]:
        found = self.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run]}})
        return {artifact["key"] for artifact in found}

    def _run(self, name: str, *arguments: str | Path, folder: Path) -> Ended:
        ended = subprocess.run(
            [Path(sys.executable).with_name(name), *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    ours = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": api}
    environment = {**os.environ, **ours}
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--port", str(port), "--no-ui"]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"{api}/health", process)
        yield Server(api, environment)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(4 * STARTUP_SECONDS):
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    message = f"{address} does not answer"
    raise AssertionError(message)


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
