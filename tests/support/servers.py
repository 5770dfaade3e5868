"""Real servers for tests, each a process of its own in a folder of its own; skipped where the program is missing."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STARTUP_SECONDS = 60
PASSWORD = "p@ss:w/rd?#1"
ENCODED_PASSWORD = "p%40ss%3Aw%2Frd%3F%231"


@contextmanager
def redis_server() -> Iterator[str]:
    """The address of a Redis or Valkey that asks for PASSWORD, without a user or password in it."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="nightrank-redis-") as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        process = subprocess.Popen([*command, "--requirepass", PASSWORD], stdout=subprocess.DEVNULL)
        with _ended(process):
            _wait_for(lambda: _answers(port), process)
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The address of a Postgres with a user ``night`` and PASSWORD, without either in it."""
    programs, owner = _postgres_programs(), _owner()
    if owner is None:
        pytest.skip("Postgres does not run as root, and there is no other user to run it")
    port = _free_port()
    folder = Path(tempfile.mkdtemp(prefix="nightrank-postgres-"))
    try:
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "password"):
            shutil.chown(path, owner)
        asked = ["-U", "night", "-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256", "--no-sync"]
        files = ["--pwfile", str(folder / "password"), "-D", str(folder / "data")]
        made = [str(programs / "initdb"), *asked, *files]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, user=owner)
        where = ["-D", str(folder / "data"), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
        quiet = ["-c", "fsync=off", "-c", "logging_collector=on"]
        command = [str(programs / "postgres"), *where, *quiet]
        process = subprocess.Popen(command, cwd=folder, user=owner, stderr=subprocess.DEVNULL)
        with _ended(process, by=signal.SIGINT):  # a fast end, which waits for no client
            ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            _wait_for(lambda: subprocess.run(ready, check=False).returncode == 0, process)
            yield f"postgresql://127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def with_password(address: str, user: str = "", *, password: str = ENCODED_PASSWORD) -> str:
    """An address with a user and a password in it."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{user}:{password}@{rest}"


def _postgres_programs() -> Path:
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    for folder in (*([Path(on_path).resolve().parent] if on_path else []), *homes):
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    return pytest.skip("Postgres is not installed")


def _owner() -> str | None:
    """The user that Postgres runs as, which must not be root; None where there is none."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while not condition():
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.05)


@contextmanager
def _ended(process: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(by)
        process.wait(STARTUP_SECONDS)
