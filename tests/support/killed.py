"""A process that is killed before its first file operation, then before its second one, and so on to the end.

    python -m tests.support.killed CASE SEED OUT

runs a case of ``tests.support.pruned_memos`` in copies of the folder SEED: OUT/0, OUT/1 and so on, where OUT/n is what
a process leaves that was killed by SIGKILL at its operation n. What is done in the last one nobody killed. Operations
are: opening, making, renaming and removing files and folders there, bringing them to the disk, statements to DuckDB
and requests to the object store.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightrank.storage.bucket.store import Remote
from nightrank.storage.memo import file as memo_file
from nightrank.storage.memo import parts, prune
from tests.support import pruned_memos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


def killed_everywhere(case: str, seed: Path, out: Path) -> list[Path]:
    """The folders that a case leaves in which it was killed at each of its operations, and the one it finished in."""
    command = [sys.executable, "-m", "tests.support.killed", case, str(seed), str(out)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    return sorted(out.iterdir(), key=lambda folder: int(folder.name))


class Countdown:
    """Lets so many operations pass and kills this process before the next one."""

    def __init__(self, operations: int) -> None:
        self._left = operations

    def __call__(self) -> None:
        """Tell of an operation that is about to be."""
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


class _Connection:
    """A connection to DuckDB whose every call counts."""

    def __init__(self, connection: Any, count: Countdown) -> None:  # noqa: ANN401 (whatever has these methods)
        self._connection, self._count = connection, count

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        self._count()
        return getattr(self._connection, name)


def _count_operations(count: Countdown, folder: Path) -> None:
    """Have everything that this process does below a folder count from now on."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and any(isinstance(path, str | Path) and str(folder) in str(path) for path in arguments):
            count()

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401
            count()
            return function(*arguments, **keywords)

        return counted

    def each(keys: Iterable[str]) -> Iterator[str]:
        for key in keys:
            count()
            yield key

    def connecting(connect: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **keywords: _Connection(connect(*arguments, **keywords), count)

    sys.addaudithook(watch)
    changed: list[tuple[Any, str, Callable[..., Any]]] = [
        (os, "fsync", before),
        (Remote, "upload", before),
        (Remote, "download", before),
        (Remote, "sizes", before),
        (Remote, "delete", lambda delete: lambda remote, keys: delete(remote, each(keys))),
        (memo_file, "connect", connecting),
        (prune, "connect_for_writing", connecting),
        (parts, "connect_for_writing", connecting),
    ]
    for owner, name, counted in changed:
        setattr(owner, name, counted(getattr(owner, name)))


def main(case: str, seed: Path, out: Path) -> None:
    number, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        folder = out / str(number)
        shutil.copytree(seed, folder)
        child = os.fork()
        if child == 0:
            try:
                _count_operations(Countdown(number), folder)
                pruned_memos.CASES[case](folder)
                os._exit(0)
            finally:
                os._exit(1)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        number += 1
    sys.exit(ended)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
