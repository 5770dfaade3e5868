"""Nights on a schedule of every minute, for real: a server, a worker or ``nightrank schedule``, and the clock."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.end_to_end.prefect_server import Server, free_port, prefect_server
from tests.published import check_readable
from tests.tasks.hosted_server import Hang, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.collection import Collection
    from tests.end_to_end.prefect_server import Run

pytestmark = pytest.mark.slow

PREFECT_FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
EVERY_MINUTE = "* * * * *"


@pytest.mark.parametrize(
    ("by", "database"), [("worker", "sqlite"), ("nightrank schedule", "sqlite"), ("worker", "postgres")]
)
def test_three_nights_come_by_the_clock_and_one_is_held_back(
    by: str, database: str, collection: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = collection.folder
    with serve("tei") as provider, database_of(database, tmp_path) as options:
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
def database_of(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """The server's options for a database: its own SQLite file, or a Postgres that runs while the block does."""
    if kind == "sqlite":
        yield {}
        return
    if not POSTGRES or shutil.which("setpriv") is None:
        pytest.skip("no Postgres is installed")
    data, port = folder / "postgres", free_port()
    data.mkdir()
    folder.chmod(0o755)
    for above in folder.parents:
        if above.stat().st_uid == Path.home().stat().st_uid and not above.stat().st_mode & 0o001:
            above.chmod(0o755)
    shutil.chown(data, "postgres")
    as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    initdb = [*as_postgres, POSTGRES[-1] / "initdb", "-D", data, "-U", "prefect", "--auth", "trust"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
    control = [*as_postgres, POSTGRES[-1] / "pg_ctl", "-D", data, "-w", "-l", data / "log"]
    subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, cwd="/")
    try:
        address = f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
        yield {"PREFECT_API_DATABASE_CONNECTION_URL": address}
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")


def ended(server: Server) -> list[Run]:
    """Runs that were at work and are no more, in the order in which they were to begin."""
    return server.runs(state={"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}})


def of_kind(server: Server, state: str, *, after: Run) -> list[Run]:
    """Runs in a state that were to begin after another one."""
    found = server.runs(state={"type": {"any_": [state]}})
    return [run for run in found if run["expected_start_time"] > after["expected_start_time"]]
