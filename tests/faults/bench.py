"""The folders of a case, and what must hold after a failure, whatever failed: a file operation or a store request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.faults.children import ChildFailed, ended, given_by, load, loaded
from tests.faults.commands import run
from tests.faults.outcome import differences, faults_of_readers, kept_out

if TYPE_CHECKING:
    from pathlib import Path


class Folders:
    """A project that a command is tried on, the one that it is copied from, and one in which nothing failed.

    Args:
        root: A folder of its own.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.trial, self.seed, self.undisturbed = root / "trial", root / "seed", root / "undisturbed"
        self.trial.mkdir(parents=True)
        self._followed: dict[str, list[str]] = {}

    def run_first(self, arguments: list[str]) -> int:
        """Run a command in this process, and note which modules it loaded; its exit code."""
        code = run(arguments, self.trial)
        (self._root / "modules.json").write_text(json.dumps(loaded()))
        return code

    def load_as_first(self) -> None:
        """Load the modules that the first run did, so that no further child has to."""
        load(json.loads((self._root / "modules.json").read_text()))

    def told(self) -> str:
        """What the last command said of its failure."""
        path = self.trial / "err.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def require_undisturbed(self, name: str, code: int) -> None:
        """See that the command of a case ended well where nothing failed."""
        if code != 0:
            message = f"{name} ends with {code} undisturbed: {self.told()}"
            raise AssertionError(message)

    def faults_afterwards(self, arguments: list[str], *, left: str | None) -> list[str]:
        """What does not hold after a failure.

        Args:
            arguments: Of the command, which is run once more.
            left: What the failure left, where nothing else can matter: what followed from the same is not looked at
                again.
        """
        if left is None:
            return self._faults_now(arguments)
        if left not in self._followed:
            self._followed[left] = self._faults_now(arguments)
        return self._followed[left]

    def _faults_now(self, arguments: list[str]) -> list[str]:
        """As things are; each look in a child of its own, as commands are processes."""
        try:
            faults: list[str] = given_by(lambda: faults_of_readers(self.trial), self._root)
            code = ended(lambda: run(arguments, self.trial))
            if code != 0 and not kept_out(code, self.told()):
                return [*faults, f"the next run ends with {code}: {self.told()[-300:]}"]
            faults += given_by(lambda: differences(self.trial, self.undisturbed), self._root)
        except ChildFailed as error:
            return [f"afterwards: {error}"]
        return faults
