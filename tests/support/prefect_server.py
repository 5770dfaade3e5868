"""A Prefect server, for real, in a home of its own, and what tests ask of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.conftest import STARTUP_SECONDS, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEP_SECONDS = 240  # of one step, on a machine that is busy with something else

Run = dict[str, Any]  # a flow run as the API has it


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs.

    Args:
        api: Its address.
        environment: Of programs that are to use it.
        process: Its own, where the test may end it.
    """

    api: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End it as a machine does that loses its power."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def prefect(self, *arguments: str | Path, folder: Path) -> str:
        """What a command of Prefect's printed; it must end well."""
        ended = self._run("prefect", *arguments, folder=folder)
        assert ended.code == 0, ended.out + ended.err
        return ended.out

    def nightrank(self, *arguments: str, folder: Path) -> Ended:
        return self._run("nightrank", *arguments, folder=folder)

    @contextmanager
    def running(
        self, name: str, *arguments: str | Path, folder: Path, log: Path, errors: Path | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A program that stays, until the block ends; its words go to a log.

        Args:
            name: Of the program.
            *arguments: Its own.
            folder: In which it runs.
            log: What it says is written there.
            errors: And what it says on standard error there, with nothing of Prefect's; None for the log as well.
        """
        environment = self.environment if errors is not None else {**self.environment, "PREFECT_LOGGING_LEVEL": "INFO"}
        with ExitStack() as files:
            file = files.enter_context(log.open("wb"))
            process = subprocess.Popen(
                [Path(sys.executable).with_name(name), *arguments],
                cwd=folder,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT if errors is None else files.enter_context(errors.open("wb")),
            )
        with stopped_at_the_end(process):
            yield process

    def ask(self, path: str, **body: object) -> Any:  # noqa: ANN401 (JSON)
        """What the API answers to a POST."""
        return self._answer(lambda: httpx.post(f"{self.api}/{path}", json=body, timeout=60))

    def begin(self, deployment: str) -> str:
        """Ask for a run of a deployment at once; its id."""
        flow, name = deployment.split("/")
        found = self._answer(lambda: httpx.get(f"{self.api}/deployments/name/{flow}/{name}", timeout=60))
        run: Run = self.ask(f"deployments/{found['id']}/create_flow_run", state={"type": "SCHEDULED"})
        return str(run["id"])

    def run(self, run_id: str) -> Run:
        run: Run = self._answer(lambda: httpx.get(f"{self.api}/flow_runs/{run_id}", timeout=60))
        return run

    def ended(self, run_id: str) -> Run:
        """A run once it has ended, however that was."""
        run: Run = self.once(lambda: self.run(run_id), lambda run: run["state_type"] in FINAL)
        return run

    def runs(self, **condition: object) -> list[Run]:
        """Runs that satisfy a condition, in the order in which they were to begin."""
        found: list[Run] = self.ask("flow_runs/filter", sort="EXPECTED_START_TIME_ASC", flow_runs=condition)
        return found

    def last_run(self) -> Run:
        """The flow run that started last."""
        runs = self.runs(start_time={"is_null_": False})
        assert runs, "no run was started"
        return max(runs, key=lambda run: str(run["start_time"]))

    def artifacts(self, flow_run: str) -> set[str]:
        found = self.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run]}})
        return {artifact["key"] for artifact in found}

    def _answer(self, ask: Callable[[], httpx.Response]) -> Any:  # noqa: ANN401 (JSON)
        """What is answered once the server is not too busy: with 503 it has done nothing, and may be asked again."""
        response = self.once(ask, lambda response: response.status_code != httpx.codes.SERVICE_UNAVAILABLE)
        response.raise_for_status()
        return response.json()

    def once(self, look: Callable[[], Any], satisfied: Callable[[Any], bool], *, seconds: float = STEP_SECONDS) -> Any:  # noqa: ANN401
        """What is seen as soon as it satisfies; an AssertionError with what was seen last where it never does."""
        deadline = time.monotonic() + seconds
        while not satisfied(seen := look()):
            assert time.monotonic() < deadline, seen
            time.sleep(0.25)
        return seen

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


FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@contextmanager
def prefect_server(folder: Path, *, options: dict[str, str] | None = None, port: int | None = None) -> Iterator[Server]:
    """A new server; it ends with the block.

    Args:
        folder: Of its home and its log.
        options: Environment variables of the server's own.
        port: That it listens at; None for a free one.
    """
    port = free_port() if port is None else port
    api = f"http://127.0.0.1:{port}/api"
    environment = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": api}
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**environment, **(options or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with stopped_at_the_end(process):
        wait_for(f"{api}/health", process)
        yield Server(api, environment, process)


@contextmanager
def stopped_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends a process with the block, in good order or else by force."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=60)
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
