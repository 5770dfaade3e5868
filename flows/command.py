"""One command of the command line: what it has read of settings files, so that each is read once.

A flow is given the path of its settings, since Prefect keeps and shows what a run was given. So the command that starts
it, the name of its run and the flow itself all ask for the same file. Where no command is at work, as in a deployment,
each of them reads it.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READ: ContextVar[dict[Path, object] | None] = ContextVar("settings_read", default=None)


@contextmanager
def one_command() -> Iterator[None]:
    """Within it a settings file is read once, and its workspace asked once for promotions, whoever needs them."""
    token = _READ.set({})
    try:
        yield
    finally:
        _READ.reset(token)


def settings_read() -> dict[Path, object]:
    """What ``flows.settings_file`` has made of the files that the command at work has read, by their whole paths.

    What is put there outside of a command is lost.
    """
    read = _READ.get()
    return {} if read is None else read
