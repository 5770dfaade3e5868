"""A long outage under ``nightrank schedule``: it outlives all of it, says it once, and makes up for what was due."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.engine.names import MISSED
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.door import door
from tests.support.hosted_server import Hang, serve
from tests.support.prefect_server import FINAL, Server, prefect_server
from tests.support.published import check_readable

if TYPE_CHECKING:
    import subprocess

    from tests.support.collection import Collection

AWAY, BACK = "Prefect's server is busy or away", "Prefect's server is back"
LOST, DUE = "Prefect's server no longer knew all flows", "Refreshes that were due meanwhile"
# Asked each second, so that the test is short; a day's schedule asks every ten.
QUICK = {"PREFECT_RUNNER_POLL_FREQUENCY": "1", "PREFECT_API_REQUEST_TIMEOUT": "5", "PREFECT_CLIENT_MAX_RETRIES": "1"}


def held_by(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Open files, and resident memory in MB."""
    folder = Path(f"/proc/{process.pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return len([*(folder / "fd").iterdir()]), int(status["VmRSS"].split()[0]) // 1024


@pytest.mark.slow
def test_a_server_that_is_shut_silent_busy_and_comes_back_empty_costs_no_night(
    collection: Collection, tmp_path: Path
) -> None:
    log, workspace = collection.folder / "schedule.log", FolderWorkspace(collection.workspace)
    collection.settings["schedule"] = {"refresh": "* * * * *"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with door() as entry, prefect_server(tmp_path / "a") as before, serve("tei") as provider:
        provider.needs_key, provider.faults = False, [Hang(8)]
        collection.settings["reranker"] = {"model": "ours", "depth": 3}
        collection.settings["reranker.hosted"] = {"api": "tei", "url": provider.url, "timeout_seconds": 600.0}
        collection.write()
        entry.opens_to(int(before.api.split(":")[2].split("/")[0]))
        api = f"http://127.0.0.1:{entry.port}/api"
        server = Server(api, {**os.environ, **QUICK, "PREFECT_API_URL": api, "PREFECT_HOME": str(tmp_path / "home")})
        with server.running("nightrank", "schedule", folder=collection.folder, log=log) as process:
            server.once(log.read_text, lambda said: "Serving until stopped" in said)
            name = f"refresh/{collection.folder.name}"
            server.begin(name)
            server.once(lambda: provider.requests, bool)
            at_first = held_by(process)

            entry.is_shut()
            minute = time.time() // 60
            server.once(log.read_text, lambda said: AWAY in said)
            entry.is_silent()
            with prefect_server(tmp_path / "b") as after:
                entry.is_busy()
                released = server.once(workspace.current_release_id, bool)  # the night at work needed no server
                server.once(lambda: time.time() // 60, lambda now: now > minute)
                entry.opens_to(int(after.api.split(":")[2].split("/")[0]))

                server.once(log.read_text, lambda said: DUE in said)
                [missed] = server.once(lambda: after.runs(tags={"all_": [MISSED]}), bool)
                assert after.ended(missed["id"])["state_type"] == "COMPLETED"
                begun = [run for run in after.runs() if run["state_type"] in FINAL - {"CANCELLED"}]
                assert {run["state_type"] for run in begun} == {"COMPLETED"}
                at_last = held_by(process)
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=90) == 0
    said = log.read_text()
    assert [said.count(line) for line in (AWAY, BACK, LOST, DUE)] == [1, 1, 1, 1], said
    assert at_last[0] <= at_first[0] + 10
    assert at_last[1] <= at_first[1] + 40
    assert check_readable(collection.workspace).release_id >= released
