"""Calls that may take so much computing and memory and no more: what one document costs must not cost a night.

Python cannot interrupt what runs in C, such as a regular expression or a parser. So such calls are made in a process
of their own, which the kernel ends when a call has used up its seconds. They are seconds of computing and not of a
clock: on a machine that is busy with something else a call is given no less.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")

MAX_MEMORY_BYTES = 8 << 30
"""Address space of the process; what asks for more is refused."""
# What a process dies of by its own doing; anything else, such as SIGKILL for want of memory, came from outside.
CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from nightrank.tasks.runtime.bounded import serve; serve()"
)


class Call(Protocol):
    """Calls a function, here or elsewhere."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
        """What the function returns."""
        ...


def directly(function: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
    """What a function returns that is called in this process, without any bound."""
    return function(*args, **options)


class BoundedProcess:
    """Calls functions in a process that is started when it is first needed, and again after it was ended.

    Args:
        seconds: Of computing that a call may take.
        setting: That says so, for messages.
    """

    def __init__(self, *, seconds: float, setting: str) -> None:
        self._seconds = seconds
        self._setting = setting
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> BoundedProcess:
        """This; its process ends with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def __call__(self, function: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
        """What a function returns, or raises.

        Args:
            function: One of a module; it is found there by its name.
            args: Its arguments, which are copied.
            options: Likewise.

        Raises:
            ValueError: It took more than its seconds or memory, or its process crashed.
            MachineError: Its process was ended from outside.
        """
        process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((function, args, options, self._seconds), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            is_value, found = pickle.load(process.stdout)  # noqa: S301  # of our own process
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._death() from None
        if is_value:
            value: T = found
            return value
        raise found

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def _started(self) -> subprocess.Popen[bytes]:
        # -P: a file in the folder that somebody is in, pickle.py say, is not taken for the module.
        command = [sys.executable, "-P", "-c", _START]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        assert self._process.stdin is not None
        pickle.dump(sys.path, self._process.stdin)
        return self._process

    def _ended(self) -> int:
        process, self._process = self._process, None
        assert process is not None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not written yet is lost with its reader
                    pipe.close()
        return process.wait()

    def _death(self) -> Exception:
        code = self._ended()
        if code == -signal.SIGPROF:
            return ValueError(
                f"reading it took more than the {self._seconds:g} seconds of computing that {self._setting} allows"
            )
        if -code in CRASHES:
            return ValueError(f"its reader crashed ({signal.Signals(-code).name})")
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return MachineError(
            f"The process that reads documents was ended {how}.",
            remedy="See that the machine has memory to spare, and run the same command again.",
        )


def serve() -> None:
    """Make the calls that come in by the standard input, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this decides
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    with suppress(OSError, ValueError):  # where there is no such bound, as on macOS
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while True:
        try:
            function, args, options, seconds = pickle.load(calls)  # noqa: S301  # of the process that started this
        except EOFError:
            return
        answers.write(_answer(function, args, options, seconds))
        answers.flush()


def _answer(
    function: Callable[..., object], args: tuple[object, ...], options: dict[str, object], seconds: float
) -> bytes:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return pickle.dumps((True, function(*args, **options)), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        return pickle.dumps((False, ValueError("reading it takes more memory than a document may")))
    except Exception as error:  # it is raised where it was called from
        return pickle.dumps((False, error))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
