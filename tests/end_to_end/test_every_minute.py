"""Nights on a schedule of every minute, for real: a server, a worker or ``nightrank schedule``, and the clock."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.hosted_server import Hang, serve
from tests.support.prefect_server import Server, prefect_server
from tests.support.published import check_readable
from tests.support.servers import postgres_server, with_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.collection import Collection
    from tests.support.prefect_server import Run

pytestmark = pytest.mark.slow

PREFECT_FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
EVERY_MINUTE = "* * * * *"


@pytest.mark.parametrize(
    ("by", "database"), [("worker", "sqlite"), ("nightrank schedule", "sqlite"), ("worker", "postgres")]
)
def test_three_nights_come_by_the_clock_and_one_is_held_back(
    by: str, database: str, collection: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = collection.folder
    with serve("tei") as provider, database_of(database) as options:
        provider.needs_key = False
        collection.settings["reranker"] = {"model": "ours", "depth": 3}
        collection.settings["reranker.hosted"] = {"api": "tei", "url": provider.url, "timeout_seconds": 3600.0}
        collection.settings["schedule"] = {"refresh": EVERY_MINUTE}
        collection.write()
        with prefect_server(tmp_path, options=options) as server, nights(by, server, folder, tmp_path / "nights.log"):
            first, second = server.once(lambda: ended(server), lambda runs: len(runs) >= 2)[:2]
            assert [first["state_type"], second["state_type"]] == ["COMPLETED", "COMPLETED"]
            live = check_readable(collection.workspace).release_id
            assert first["name"] == f"project/workspace {live} published"
            assert second["name"] == f"project/workspace {live} unchanged"

            asked = len(provider.requests)
            provider.faults = [Hang(90)]  # the night waits for an answer while the next one comes
            collection.document("tea")["text"] = "Leaves of one bush make every tea."
            collection.write()
            server.once(lambda: provider.requests, lambda requests: len(requests) > asked)
            [third] = [run for run in server.runs() if run["state_type"] == "RUNNING"]
            held_back = server.once(lambda: of_kind(server, "CANCELLED", after=third), bool)[0]
            third = server.ended(third["id"])
        published = check_readable(collection.workspace)
        assert third["name"] == f"project/workspace {published.release_id} published"
        assert published.counts.documents_edited == 1
        assert held_back["run_count"] == 0
        assert third["expected_start_time"] < held_back["expected_start_time"] < third["end_time"]
    with capsys.disabled():
        sys.stdout.write(f"\n{by}, {database}:\n")
        for run in (first, second, third, held_back):
            begun, seconds = run["expected_start_time"][11:19], run["total_run_time"]
            sys.stdout.write(f"  {begun} {run['state_type']:<9} {seconds:6.1f} s  {run['name']}\n")


@contextmanager
def nights(by: str, server: Server, folder: Path, log: Path) -> Iterator[None]:
    """Nights every minute: by a worker that runs a deployment, or by the one process that serves all flows."""
    if by == "nightrank schedule":
        with server.running("nightrank", "schedule", folder=folder, log=log):
            yield
        return
    described = yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))
    [nightly] = [one for one in described["deployments"] if one["name"] == "nightly"]
    nightly["schedules"] = [{"cron": EVERY_MINUTE}]
    changed = log.with_name("prefect.yaml")
    changed.write_text(yaml.safe_dump({**described, "deployments": [nightly]}), encoding="utf-8")
    server.prefect("work-pool", "create", "nightrank", "--type", "process", folder=folder)
    server.prefect("deploy", "--all", "--no-prompt", "--prefect-file", changed, folder=folder)
    with server.running(
        "prefect", "worker", "start", "--pool", "nightrank", "--type", "process", folder=folder, log=log
    ):
        yield


@contextmanager
def database_of(kind: str) -> Iterator[dict[str, str]]:
    """The server's options for a database: its own SQLite file, or a Postgres that runs while the block does."""
    if kind == "sqlite":
        yield {}
        return
    with postgres_server() as address:
        whole = with_password(address, "night").replace("postgresql://", "postgresql+asyncpg://")
        yield {"PREFECT_API_DATABASE_CONNECTION_URL": whole}


def ended(server: Server) -> list[Run]:
    """Runs that were at work and are no more, in the order in which they were to begin."""
    return server.runs(state={"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}})


def of_kind(server: Server, state: str, *, after: Run) -> list[Run]:
    """Runs in a state that were to begin after another one."""
    found = server.runs(state={"type": {"any_": [state]}})
    return [run for run in found if run["expected_start_time"] > after["expected_start_time"]]
