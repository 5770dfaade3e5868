"""Whether Prefect can work, asked before a flow begins: what is wrong with it is then one line, not a traceback."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryFile

from nightrank.storage.errors import InputError, MachineError

LONGEST_ANSWER = 10.0  # seconds that a server which takes a question and says nothing is waited for: it is away


def has_prefect() -> bool:
    """Whether the user's settings name a Prefect API."""
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def require_home() -> None:
    """See that Prefect has a folder to write to, before it is loaded; with a server elsewhere it needs to read alone.

    Raises:
        InputError: There is none, and none can be made.
    """
    remedy = "Set PREFECT_HOME to a folder that this user may write to."
    try:
        home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser()
        Path.home()  # Prefect asks for it also where it is not used
    except RuntimeError as error:
        message = "This user has no home folder: HOME is not set, and the system knows of none."
        raise InputError(message, remedy=f"Set HOME. {remedy}") from error
    if os.environ.get("PREFECT_API_URL") or (home / "profiles.toml").is_file():
        return
    try:
        home.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=home):
            pass
    except OSError as error:
        message = f"Prefect's home {home} cannot be written: {error.strerror}."
        raise InputError(message, remedy=remedy) from error


def require_prefect() -> None:
    """Reach the Prefect API that the user's settings name, or start Prefect's own in-process server.

    Raises:
        MachineError: There is no answer, or the server does not start.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    if not address and sys.stderr.isatty():
        sys.stderr.write("Starting Prefect's in-process server, 10 to 20 seconds ...\n")
    fault: Exception | None
    try:
        with get_client(sync_client=True) as client:
            fault = client.api_healthcheck()
    except Exception as error:  # whatever keeps it from starting, the user's remedy is the same
        fault = error
    if fault is None:
        return
    reason = (" ".join(str(fault).split()) or type(fault).__name__).rstrip(".")
    if address:
        message = f"Prefect's API at {address} does not answer: {reason}."
        remedy = "Start `prefect server start` there, or unset PREFECT_API_URL to run without a server."
    else:
        message = f"Prefect's own server does not start: {reason}."
        remedy = "Run `prefect server start` to see why, or point PREFECT_API_URL at a server that runs."
    raise MachineError(message, remedy=remedy) from fault
