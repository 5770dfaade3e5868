"""``nightrank serve``, or another command that serves, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS, STOP_SECONDS = 240, 60


@dataclass(slots=True)
class ServerProcess:
    """A running server.

    Attributes:
        process: Its own.
        started: What it said when it began.
    """

    process: subprocess.Popen[str]
    started: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.started["address"])

    def stop(self) -> tuple[int, str]:
        """Tell it to stop; its exit code and what it wrote on standard error."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=STOP_SECONDS)
        return self.process.returncode, errors


@contextmanager
def server_process(
    settings_file: Path, *arguments: str, environment: dict[str, str] | None = None, command: str = "serve"
) -> Iterator[ServerProcess]:
    """Serve what settings say, at a port that is free."""
    program = [Path(sys.executable).with_name("nightrank"), command, "-c", settings_file, "--port", "0", "--json"]
    process = subprocess.Popen(
        [*map(str, program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            line = process.stdout.readline()
            if not line:
                _, errors = process.communicate()
                raise AssertionError(errors)
            lines.append(line)
        timer.cancel()
        yield ServerProcess(process, json.loads("".join(lines)))
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()
