"""``nightrank schedule`` every minute for an hour, while documents change, readers read, and what runs it is killed.

    python -m tests.soak [--minutes 60] [--seed S]

``make test-soak`` does. Twice Prefect's server is killed and stays away for a while, three times the process that runs
the nights is. At the end: no reader saw a fault or answers that mix two states of the documents, nights were published
all along, what is live equals a build in an empty workspace, and memory, files and bytes did not grow. It ends with 1
where any of that does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.parts.compare_releases import first_difference
from tests.soak.editor import Editor
from tests.soak.readers import FORKS, memory
from tests.support.prefect_server import free_port, prefect_server
from tests.support.published import rankings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.prefect_server import Run, Server

EDIT_SECONDS = 20.0
AWAY_SECONDS = 45.0  # of a server that was killed
SERVER_DIES, WORKER_DIES = (0.30, 0.65), (0.15, 0.45, 0.80)  # of the time
GROWTH = 1.25  # of the median of the second quarter, for that of the last
FIRST_SECONDS = 300  # until the first night is published


@dataclass(frozen=True, slots=True)
class Look:
    """What is held at some moment, in bytes and numbers."""

    minute: float
    workspace_bytes: int
    workspace_files: int
    readers_bytes: int
    readers_files: int
    schedule_bytes: int


class Nights:
    """Prefect's server and the process that runs the nights, either of which can be killed and begun again."""

    def __init__(self, project: Path, home: Path) -> None:
        self._project, self._home, self._port = project, home, free_port()
        self._server_stack, self._worker_stack = ExitStack(), ExitStack()
        self._began = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        try:
            self.begin_server()
            self.begin_worker()
            yield
        finally:
            self._worker_stack.close()
            self._server_stack.close()

    def begin_server(self) -> None:
        self.server: Server = self._server_stack.enter_context(prefect_server(self._home, port=self._port))

    def begin_worker(self) -> None:
        self._began += 1
        running = self.server.running("nightrank", "schedule", folder=self._project, log=self._log)
        self.worker: subprocess.Popen[bytes] = self._worker_stack.enter_context(running)

    def said(self) -> str:
        """The last words of the process that runs the nights."""
        return self._log.read_text(encoding="utf-8")[-1000:]

    @property
    def _log(self) -> Path:
        return self._home / f"schedule-{self._began}.log"

    def end_worker(self) -> None:
        """Stop it in good order: no night begins any more."""
        self._worker_stack.close()

    def kill_server(self) -> None:
        self.server.kill()

    def kill_worker(self) -> None:
        self.worker.kill()
        self.worker.wait()


class Soak:
    """An hour, minute by minute.

    Args:
        root: A folder of its own.
        minutes: How long it lasts.
        seed: Of the edits.
    """

    def __init__(self, root: Path, *, minutes: float, seed: int) -> None:
        from benchmarks.inputs.tiny_models import tiny_embedder, tiny_reranker

        self._seconds, self._home, self._seen = 60.0 * minutes, root, root / "seen"
        self._seen.mkdir()
        self._editor = Editor.of(
            root / "project",
            np.random.default_rng(seed),
            embedder=tiny_embedder(root / "embedder"),
            reranker=tiny_reranker(root / "reranker"),
        )
        self._project = self._editor.collection.folder
        self._workspace = self._editor.collection.workspace
        self._nights = Nights(self._project, root)
        self._looks: list[Look] = []
        self._ended: list[str] = []

    def run(self) -> list[str]:
        """Let it run; what did not hold."""
        with self._nights.running():
            self._await_release()
            with self._readers() as readers:
                self._hour(readers)
            self._nights.end_worker()
            last = self._nights.server.nightrank("refresh", "--json", folder=self._project)
            runs = self._runs()
        return [
            *([] if last.code in {0, 3} else [f"the last night ends with {last.code}: {last.err}"]),
            *self._ended,
            *self._of_nights(runs),
            *self._of_readers(),
            *self._of_growth(),
            *self._of_rebuild(),
        ]

    @contextmanager
    def _readers(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "tests.soak.readers", str(self._workspace), str(self._seen)]
        with (self._home / "readers.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)

    def _hour(self, readers: subprocess.Popen[bytes]) -> None:
        begun = edited = looked = time.monotonic()
        ahead = sorted(
            [(share * self._seconds, "server") for share in SERVER_DIES]
            + [(share * self._seconds + AWAY_SECONDS, "server again") for share in SERVER_DIES]
            + [(share * self._seconds, "worker") for share in WORKER_DIES]
        )
        while (now := time.monotonic()) - begun < self._seconds:
            if ahead and now - begun >= ahead[0][0]:
                self._happen(ahead.pop(0)[1], minute=(now - begun) / 60)
            if now - edited >= EDIT_SECONDS:
                self._editor.edit()
                edited = now
            if self._nights.worker.poll() is not None:
                self._ended.append(
                    f"nightrank schedule ended with {self._nights.worker.returncode}: {self._nights.said()}"
                )
                self._nights.begin_worker()
            if now - looked >= 60:
                self._look(readers, minute=(now - begun) / 60)
                looked = now
            time.sleep(0.5)

    def _happen(self, what: str, *, minute: float) -> None:
        say(f"{minute:6.1f} min  {what}{'' if what.endswith('again') else ' is killed'}")
        if what == "server":
            self._nights.kill_server()
        elif what == "server again":
            self._nights.begin_server()
        else:
            self._nights.kill_worker()
            self._nights.begin_worker()

    def _look(self, readers: subprocess.Popen[bytes], *, minute: float) -> None:
        files = [path.lstat() for path in self._workspace.rglob("*") if path.is_file()]
        said = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self._seen.glob("*.json"))]
        self._looks.append(
            Look(
                minute,
                sum(file.st_size for file in files),
                len(files),
                sum(one["memory"] for one in said),
                sum(one["files"] for one in said),
                memory(self._nights.worker.pid),
            )
        )
        now = self._looks[-1]
        say(
            f"{minute:6.1f} min  {self._editor.state} states, {len(said)} readers, "
            f"{sum(one['lookups'] for one in said):,} look-ups, "
            f"{sum(len(one['faults']) for one in said)} faults; workspace {now.workspace_bytes / 1e6:.1f} MB in "
            f"{now.workspace_files} files; readers {now.readers_bytes / 1e6:.0f} MB, {now.readers_files} open files; "
            f"schedule {now.schedule_bytes / 1e6:.0f} MB"
        )
        assert readers.poll() is None, (self._home / "readers.log").read_text(encoding="utf-8")

    def _await_release(self) -> None:
        pointer, deadline = self._workspace / "current.json", time.monotonic() + FIRST_SECONDS
        while not pointer.exists():
            assert time.monotonic() < deadline, "no night was published"
            time.sleep(0.5)

    def _runs(self) -> list[Run]:
        """All that began, page by page."""
        found: list[Run] = []
        while page := self._nights.server.ask(
            "flow_runs/filter", sort="EXPECTED_START_TIME_ASC", offset=len(found), limit=200
        ):
            found += page
        return found

    def _of_nights(self, runs: Sequence[Run]) -> list[str]:
        """What nights came to, and those that failed, or stand as running though nobody runs them."""
        counts = Counter(str(run["name"]).rpartition(" ")[2] for run in runs if run["state_type"] == "COMPLETED")
        others = Counter(run["state_type"] for run in runs if run["state_type"] not in {"COMPLETED", "SCHEDULED"})
        say(f"nights: {dict(counts)}, others {dict(others)}")
        bad = [run for run in runs if run["state_type"] in {"FAILED", "RUNNING", "PENDING"}]
        few = (
            [] if counts["published"] >= self._seconds / 240 else [f"only {counts['published']} nights were published"]
        )
        return few + [f"a night {run['state_type']}: {run['name']}: {run['state']['message']}" for run in bad]

    def _of_readers(self) -> list[str]:
        """Faults that readers saw, and releases whose documents are of no one state."""
        said = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self._seen.glob("*.json"))]
        releases = {release for one in said for release in one["texts"]}
        found = [fault for one in said for fault in one["faults"]]
        for release in sorted(releases):
            texts = {(name, state) for one in said for name, state in one["texts"].get(release, ())}
            if not self._editor.possible(texts):
                found.append(f"the release {release} mixes documents of two states: {sorted(texts)}")
        say(f"readers: {sum(one['lookups'] for one in said):,} look-ups in {len(releases)} releases")
        return found if len(said) == 1 + FORKS else [*found, f"only {len(said)} readers wrote what they saw"]

    def _of_growth(self) -> list[str]:
        """What grew from the second quarter of the time to the last."""
        quarter = len(self._looks) // 4
        if not quarter:
            return ["too short to tell what grows"]
        found = []
        for name in ("workspace_bytes", "workspace_files", "readers_bytes", "readers_files", "schedule_bytes"):
            second = median(getattr(look, name) for look in self._looks[quarter : 2 * quarter])
            last = median(getattr(look, name) for look in self._looks[-quarter:])
            say(f"{name.replace('_', ' ')}: {second:,.0f} in the second quarter, {last:,.0f} in the last")
            if last > GROWTH * second:
                found.append(f"{name.replace('_', ' ')} grew from {second:,.0f} to {last:,.0f}")
        return found

    def _of_rebuild(self) -> list[str]:
        """How what is live differs from a build in an empty workspace."""
        from benchmarks.parts.plain_nights import refresh_plainly

        collection = self._editor.collection
        collection.settings[""]["workspace"] = "rebuilt"
        collection.write()
        refresh_plainly(collection.settings_file)
        difference = first_difference(rankings(self._workspace), rankings(self._project / "rebuilt"))
        return [] if difference is None else [f"differs from a rebuild: {difference}"]


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Soak; how it ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the edits")
    asked = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="nightrank-soak-", ignore_cleanup_errors=True) as folder:
        faults = Soak(Path(folder), minutes=asked.minutes, seed=asked.seed).run()
    for fault in faults:
        say(f"FAULT  {fault}")
    say("nothing was at fault" if not faults else f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
