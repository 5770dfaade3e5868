"""Every error that Nightrank raises on purpose.

    NightrankError           a message, a remedy, an exit code
    ├── InputError      (2)  what the user gave is wrong: a file, a row, a setting, a model
    │   ├── RowError    (2)  one row of an input; set aside and counted by readers, never fatal alone
    │   └── RequestRefused (2)  an API refuses what it is asked; it may take something else
    ├── GateRefused     (3)  a release was built and must not be published
    └── MachineError    (1)  the machine or a store failed
        ├── WorkspaceBusy  another run holds the workspace's lock
        ├── NotStored      what a release names is not there
        ├── TargetUnreachable  a server that serves releases does not answer; trying again may help
        └── ChangedMeanwhile   what was being written is no longer what it should be; it is not switched to

The exit code is what the command line ends with.
"""

from __future__ import annotations

from typing import ClassVar


class NightrankError(Exception):
    """An error with words for the person who meets it.

    Args:
        message: What is wrong: the value that was found, where, and what was expected.
        remedy: What to do about it; an imperative sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    @property
    def outcome(self) -> str | None:
        """What became of the run that it ended, in two or three words; None where it just failed."""
        return None

    @property
    def details(self) -> tuple[str, ...]:
        """What a message about it says, a line each."""
        return (f"Why: {self.message}",)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.remedy, self.__dict__))


class InputError(NightrankError):
    """What the user gave is wrong: a file, a setting, a model, a query."""

    exit_code = 2


class RowError(InputError):
    """One row of an input cannot be used.

    Args:
        file: The file as the user named it.
        row: Its number in the file, from 1 (a line of JSONL or CSV with its header counted, a row of Parquet).
        reason: What is wrong with it, in a few words.
    """

    def __init__(self, file: str, row: int, reason: str) -> None:
        super().__init__(f"{file}, row {row}: {reason}.")
        self.file = file
        self.row = row
        self.reason = reason


class RequestRefused(InputError):
    """An API refuses what it is asked; it may take something else."""


class GateRefused(NightrankError):
    """A release was built, kept and marked rejected: a gate says that it must not be published."""

    exit_code = 3


class MachineError(NightrankError):
    """The machine or a store failed; nothing that the user gave is wrong."""

    exit_code = 1


class WorkspaceBusy(MachineError):
    """Another process holds the workspace's lock."""


class NotStored(MachineError):
    """What a release names is not there: it was looked for, and the store answered."""


class TargetUnreachable(MachineError):
    """A server that serves releases does not answer, or not now; trying again may help."""


class ChangedMeanwhile(MachineError):
    """What was being written is no longer what readers should get, so they do not get it; it must be written again."""


def _rebuild(kind: type[NightrankError], message: str, remedy: str, state: dict[str, object]) -> NightrankError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    error.message, error.remedy = message, remedy
    return error


def reason_of(error: Exception) -> str:
    """What went wrong, for people: our own message, or the kind and words of an error from elsewhere."""
    return error.message if isinstance(error, NightrankError) else f"{type(error).__name__}: {error}"
