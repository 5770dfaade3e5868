"""One command of the command line: what it has read of settings files, so that each is read once, and how it ends.

A flow is given the path of its settings, since Prefect keeps and shows what a run was given. So the command that starts
it, the name of its run and the flow itself all ask for the same file. Where no command is at work, as in a deployment,
each of them reads it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class _Command:
    read: dict[Path, object] = field(default_factory=dict)
    leaves_others_unheard: bool = False


_AT_WORK: ContextVar[_Command | None] = ContextVar("command_at_work", default=None)


@contextmanager
def one_command() -> Iterator[None]:
    """Within it a settings file is read once, and its workspace asked once for promotions, whoever needs them."""
    token = _AT_WORK.set(_Command())
    try:
        yield
    finally:
        _AT_WORK.reset(token)


def settings_read() -> dict[Path, object]:
    """What ``flows.settings_file`` has made of the files that the command at work has read, by their whole paths.

    What is put there outside of a command is lost.
    """
    command = _AT_WORK.get()
    return {} if command is None else command.read


def leave_others_unheard() -> None:
    """Let the command at work end without waiting for what its threads still want to tell a server that is gone."""
    command = _AT_WORK.get()
    if command is not None:
        command.leaves_others_unheard = True


def end_command(code: int) -> NoReturn:
    """End the process of the command at work."""
    command = _AT_WORK.get()
    if command is not None and command.leaves_others_unheard:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
