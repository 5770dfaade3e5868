"""File operations of a child process, each shown to its parent before the kernel does it: let pass, refused, or deadly.

The kernel asks us through a seccomp filter with user notification (Linux 5.5 and later), so what DuckDB, Lance, Arrow
and SQLite do in machine code is seen as well as what Python does; nothing is preloaded, and no code of theirs changed.
What files that are mapped into memory are read for is not seen, for no call is made.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.children import HANGS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

# name: (number on x86_64, number on aarch64); 64-bit ARM has no calls but those relative to a folder's descriptor.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "open": (2, None),
    "stat": (4, None),
    "lstat": (6, None),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "flock": (73, 32),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "rename": (82, None),
    "mkdir": (83, None),
    "rmdir": (84, None),
    "link": (86, None),
    "unlink": (87, None),
    "symlink": (88, None),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "getdents64": (217, 61),
    "openat": (257, 56),
    "mkdirat": (258, 34),
    "newfstatat": (262, 79),
    "unlinkat": (263, 35),
    "renameat": (264, 38),
    "linkat": (265, 37),
    "symlinkat": (266, 36),
    "fchmodat": (268, 53),
    "fallocate": (285, 47),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "renameat2": (316, 276),
    "copy_file_range": (326, 285),
    "sendfile": (40, 71),
    "statx": (332, 291),
}
_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}  # column, AUDIT_ARCH, seccomp's number

# Where a call has its path: the argument with it, and before it the one with the folder's descriptor, if there is one.
_PATHS: dict[str, tuple[int | None, int]] = {
    **dict.fromkeys(("open", "stat", "lstat", "truncate", "mkdir", "rmdir", "unlink", "chmod"), (None, 0)),
    **dict.fromkeys(("rename", "link", "symlink"), (None, 1)),
    **dict.fromkeys(("openat", "mkdirat", "newfstatat", "unlinkat", "fchmodat", "statx"), (0, 1)),
    **dict.fromkeys(("renameat", "linkat", "renameat2"), (2, 3)),
    "symlinkat": (1, 2),
}
_DESCRIPTORS = {"copy_file_range": 2}  # of other calls it is the first argument

_CREATES = os.O_CREAT
_EMPTY_PATH = 0x1000
_AT_FDCWD = -100

_READS = {"read", "pread64", "readv", "preadv", "getdents64", "stat", "lstat", "newfstatat", "statx", "flock"}
_NEW_ENTRY = {"rename", "renameat", "renameat2", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat"}
_SPACE = {"write", "pwrite64", "writev", "pwritev", "ftruncate", "truncate", "fallocate", "fsync", "fdatasync"} | {
    "copy_file_range",
    "sendfile",
}

_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # ioctls of a listener
_NOTICE = struct.Struct("=QII iIQ 6Q")
_ANSWER = struct.Struct("=Qqi I")
_CONTINUE = 1


@dataclass(frozen=True, slots=True)
class Operation:
    """What a process is about to do to a file.

    Attributes:
        call: The system call's name.
        path: The file's, below the folder that is watched; names that are made anew each time are replaced.
        creates: Whether it opens a file that it may make.
    """

    call: str
    path: str
    creates: bool

    def __str__(self) -> str:
        return f"{self.call}{'+' if self.creates else ''} {self.path}"

    @property
    def changes(self) -> bool:
        """Whether it may change what is on the disk."""
        return self.creates or self.call not in _READS | {"open", "openat"}

    @property
    def errors(self) -> tuple[str, ...]:
        """How it can fail, by the manual pages."""
        if self.call in _SPACE:
            return ("ENOSPC", "EIO", "ETIMEDOUT")
        if self.call in _NEW_ENTRY or self.creates:
            return ("ENOSPC", "EIO", "EACCES", "ETIMEDOUT")
        if self.call in {"read", "pread64", "readv", "preadv", "getdents64", "flock"}:
            return ("EIO", "ETIMEDOUT")
        return ("EIO", "EACCES", "ETIMEDOUT")


def is_possible() -> bool:
    """Whether this machine can do it at all; a container may forbid it, which ``watched`` finds out."""
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def watched(work: Callable[[], int], folder: Path, *, decide: Callable[[Operation], str | None]) -> int:
    """Run something in a child and ask about each of its operations on files of a folder.

    Args:
        work: What the child does; it gives its exit code. It may use no thread of this process.
        folder: Of the files.
        decide: Asked before each operation: None lets it pass, the name of an error has it fail with that, and
            "SIGKILL" kills the child instead.

    Returns:
        The child's exit code, or minus the signal that ended it.

    Raises:
        OSError: The kernel does not let us.
    """
    ours, theirs = socket.socketpair()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, and of LanceDB's: the child uses none of this process
        child = os.fork()
    if child == 0:
        code = 70
        try:
            ours.close()
            listener = _install()
            socket.send_fds(theirs, [b"."], [listener])
            os.close(listener)
            theirs.close()
            code = work()
        finally:
            os._exit(code)
    theirs.close()
    _, listeners, _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    if not listeners:
        os.waitpid(child, 0)
        raise OSError(errno.EPERM, "seccomp gives no listener")
    try:
        return _supervise(child, listeners[0], _Reader(folder), decide)
    finally:
        os.close(listeners[0])


def _supervise(child: int, listener: int, reader: _Reader, decide: Callable[[Operation], str | None]) -> int:
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(ended, select.POLLIN)
    notice = bytearray(_NOTICE.size)
    try:
        while True:
            ready = dict(poll.poll(1000 * HANGS_SECONDS))
            if not ready:
                os.kill(child, signal.SIGKILL)
            if ready.get(listener, 0) & select.POLLIN:
                notice[:] = bytes(_NOTICE.size)
                try:
                    fcntl.ioctl(listener, _RECEIVE, notice)
                except OSError as error:  # its thread was interrupted or is gone
                    if error.errno in {errno.ENOENT, errno.EINTR}:
                        continue
                    raise
                identity, thread, _, number, _, _, *arguments = _NOTICE.unpack(notice)
                operation = reader.operation(thread, number, arguments)
                decided = None if operation is None else decide(operation)
                if decided == "SIGKILL":
                    os.kill(child, signal.SIGKILL)
                    continue
                answer = (
                    _ANSWER.pack(identity, 0, 0, _CONTINUE)
                    if decided is None
                    else _ANSWER.pack(identity, 0, -int(getattr(errno, decided)), 0)
                )
                try:
                    fcntl.ioctl(listener, _SEND, bytearray(answer))
                except OSError as error:
                    if error.errno != errno.ENOENT:
                        raise
            elif ended in ready:
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(ended)


class _Reader:
    """Reads from a stopped thread what it is about to do."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        column = _MACHINES[platform.machine()][0]
        self._names = {numbers[column]: name for name, numbers in _NUMBERS.items() if numbers[column] is not None}

    def operation(self, thread: int, number: int, arguments: list[int]) -> Operation | None:
        """What it is; None where it is of no file of ours."""
        call = self._names[number]
        try:
            path = self._path(thread, call, arguments)
        except OSError:  # a descriptor of something else, or a thread that is gone
            return None
        if not path.startswith(self._folder + "/") and path != self._folder:
            return None
        creates = call in {"open", "openat"} and bool(arguments[1 if call == "open" else 2] & _CREATES)
        return Operation(call, without_passing_names(path[len(self._folder) + 1 :]), creates)

    def _path(self, thread: int, call: str, arguments: list[int]) -> str:
        if call not in _PATHS:
            descriptor = arguments[_DESCRIPTORS.get(call, 0)]
            return str(Path(f"/proc/{thread}/fd/{_signed(descriptor)}").readlink()).removesuffix(" (deleted)")
        at, place = _PATHS[call]
        name = _text(thread, arguments[place])
        if name.startswith("/"):
            return os.path.normpath(name)
        descriptor = _AT_FDCWD if at is None else _signed(arguments[at])
        base = Path(f"/proc/{thread}", "cwd" if descriptor == _AT_FDCWD else f"fd/{descriptor}").readlink()
        return os.path.normpath(f"{base}/{name}")


def _signed(value: int) -> int:
    return ctypes.c_int32(value & 0xFFFFFFFF).value


def _text(thread: int, address: int) -> str:
    """A text that ends with a zero, out of the memory of a process."""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 (no file)
        memory.seek(address)
        found = b""
        while b"\0" not in found and len(found) < 8192:
            page = 4096 - (address + len(found)) % 4096
            found += memory.read(page)
    return os.fsdecode(found.partition(b"\0")[0])


# Release ids, UUIDs and other names that are drawn anew: the same operation of another run has others.
_PASSING = (
    (re.compile(r"\d{8}T\d{6}-\d{3}Z"), "<release>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"(?<![A-Za-z])[0-9a-f]{16,}(?![A-Za-z])"), "<hex>"),
    (re.compile(r"\b[01]{20,}"), "<lance>"),
    (re.compile(r"nightrank-lance-\w+|\btmp\w{6,}"), "<temporary>"),
    (re.compile(r"\d{8,}"), "<number>"),
)


def without_passing_names(path: str) -> str:
    """A path in which every name that another run would draw anew is replaced.

    >>> without_passing_names("workspace/releases/20260102T030405-678Z/.current.json.0123456789abcdef0.tmp")
    'workspace/releases/<release>/.current.json.<hex>.tmp'
    """
    for pattern, word in _PASSING:
        path = pattern.sub(word, path)
    return path


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def _install() -> int:
    """Have this thread, and all that it begins, ask before the calls above; the descriptor to answer on."""
    column, architecture, seccomp = _MACHINES[platform.machine()]
    numbers = [numbers[column] for numbers in _NUMBERS.values() if numbers[column] is not None]
    load, equal, give = 0x20, 0x15, 0x06
    allow, notify = 0x7FFF0000, 0x7FC00000
    lines: list[tuple[int, int, int, int]] = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, allow)]
    lines.append((load, 0, 0, 0))
    lines += [(equal, len(numbers) - place, 0, number or 0) for place, number in enumerate(numbers)]
    lines += [(give, 0, 0, allow), (give, 0, 0, notify)]
    instructions = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(lines), instructions)
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(38, 1, 0, 0, 0)  # no new privileges: then no others are needed
    listener: int = library.syscall(seccomp, 1, 8, ctypes.byref(program))  # a filter, with a listener
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp gives no listener")
    return listener
