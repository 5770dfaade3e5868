"""The one place where failures of the machine and of libraries become ours: what, what to do, whether it may pass."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightrank.storage.errors import MachineError, NightrankError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AGAIN = "Run the same command again: what was done so far is kept."

# What a person does about a failure of the operating system, by its number.
_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: f"Make room on that disk (`nightrank prune` frees some). {AGAIN}",
    errno.EDQUOT: f"Make room within the quota (`nightrank prune` frees some), or raise it. {AGAIN}",
    errno.EFBIG: "Put it on a file system that takes larger files.",
    errno.EROFS: "Mount it for writing, or choose another `workspace` in the settings.",
    errno.EACCES: "See that the user who runs this may read and write there.",
    errno.EPERM: "See that the user who runs this may read and write there.",
    errno.ENOLCK: "Mount it with locks, or put the workspace on another disk.",
    errno.EIO: "See the system's log about that disk before you run anything again.",
    errno.ENOENT: f"See that its disk is mounted and nobody removes files there. {AGAIN}",
    errno.ESTALE: f"Mount it again. {AGAIN}",
    errno.ENODEV: f"Mount it again. {AGAIN}",
    errno.ENOTCONN: f"Mount it again. {AGAIN}",
    errno.EHOSTDOWN: f"See that its server runs and is reached. {AGAIN}",
    errno.ETIMEDOUT: f"See that its server runs and is reached. {AGAIN}",
    errno.ECONNREFUSED: f"See that its server runs and is reached. {AGAIN}",
    errno.ECONNRESET: f"See that its server runs and is reached. {AGAIN}",
    errno.EMFILE: "Let the process open more files (`ulimit -n`).",
    errno.ENFILE: "Let the machine open more files.",
    errno.ENOMEM: "Give the process more memory, or set `[execution].batch_tokens` lower.",
    errno.ENAMETOOLONG: "Give it a shorter name.",
}
# What libraries say of the same failures in messages of their own.
_SAID = (
    (("no space left", "disk full", "database or disk is full", "enospc"), errno.ENOSPC),
    (("quota exceeded",), errno.EDQUOT),
    (("read-only file system",), errno.EROFS),
    (("permission denied", "access denied", "unable to open database file", "readonly database"), errno.EACCES),
    (("accessdenied", "lacked the necessary privileges"), errno.EACCES),
    (("input/output error", "disk i/o error", "fsync failed"), errno.EIO),
    (("stale file handle",), errno.ESTALE),
    (("no such file or directory", "no files found that match the pattern", "database does not exist"), errno.ENOENT),
    (("too many open files",), errno.EMFILE),
    (("cannot allocate memory", "out of memory", "failed to allocate", "not enough memory"), errno.ENOMEM),
    (("timed out", "timeout"), errno.ETIMEDOUT),
    (("connection refused", "error trying to connect", "dns error"), errno.ECONNREFUSED),
)
_CREDENTIALS = (
    *("expiredtoken", "expired token", "invalidaccesskeyid", "signaturedoesnotmatch", "tokenrefreshrequired"),
    "lacked valid authentication credentials",
)
_EXPIRED = ("expiredtoken", "expired token", "tokenrefreshrequired", "requestexpired")
# S3 answers HEAD so where a token has expired: such an answer has no body that could say why.
_UNTOLD = re.compile(r"\bhead\b.*\b400 bad request", re.DOTALL)
_STORES = ("duckdb", "_duckdb", "sqlite3", "pyarrow", "lance", "lancedb", "obstore")
# Errors of DuckDB that quote statements and values, in which any word may be.
_ABOUT_DATA = ("BinderException", "ConversionException", "ParserException", "CatalogException", "ConstraintException")
# What is wrong with a path that was given, and not with the machine.
_ABOUT_THE_PATH = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
}
_SOURCE = re.compile(r",? /\S+\.rs:\d+(:\d+)?")  # a line of a library's own source, which says nothing to anybody here
LONGEST = 300  # characters of what a library said


def machine_error(error: BaseException) -> MachineError | None:
    """What a person is told of a failure that is none of ours; None where it may be a fault in our own code.

    Args:
        error: As it was raised; what it was raised from on purpose counts as well.

    >>> import os
    >>> full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/workspace/releases")
    >>> machine_error(full).message
    '/data/workspace/releases: No space left on device.'
    >>> machine_error(KeyError("rank")) is None
    True
    """
    for each in _chain(error):
        if isinstance(each, NightrankError):
            return None
        if isinstance(each, MemoryError):
            return MachineError("There is not enough memory.", remedy=_REMEDIES[errno.ENOMEM])
        if _is_of_a_store(each) and is_about_credentials(each):  # before what else its many words may stand for
            return MachineError(said_by(each), remedy=f"Renew the credentials of the object store. {AGAIN}")
        number = _number_of(each)
        if number is not None:
            return MachineError(said_by(each), remedy=_REMEDIES[number])
    return None


@contextmanager
def placed(where: object) -> Iterator[None]:
    """Have failures in this block that libraries tell without a place say where they were.

    Args:
        where: A path, or what shows an address.

    Raises:
        MachineError: In place of what a library raised for the machine's sake.
    """
    try:
        yield
    except Exception as error:
        told = machine_error(error)
        if told is None or str(where) in told.message:
            raise
        raise _at(where, told) from error


def passing_failure(error: BaseException, *, where: object = None) -> MachineError | None:
    """What a person is told where a file could not be read although nothing is wrong with it.

    Args:
        error: As it was raised.
        where: What was read, for errors that do not say so.

    Returns:
        None where the cause is what the user gave: there is no such file, it is a folder, this user may not read it.

    >>> import os
    >>> passing_failure(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a")) is None
    True
    >>> passing_failure(OSError(errno.EIO, os.strerror(errno.EIO), "a")).message
    'a: Input/output error.'
    """
    if any(isinstance(each, OSError) and each.errno in _ABOUT_THE_PATH for each in _chain(error)):
        return None
    told = machine_error(error)
    return told if told is None or where is None or str(where) in told.message else _at(where, told)


def _at(where: object, told: MachineError) -> MachineError:
    return MachineError(f"{where}: {told.message}", remedy=told.remedy)


def is_about_credentials(error: BaseException) -> bool:
    """Whether a store refused credentials that are wrong or have expired; some answer so with a plain 400."""
    said = str(error).lower()
    return any(word in said for word in _CREDENTIALS) or _UNTOLD.search(said) is not None


def has_expired(error: BaseException) -> bool:
    """Whether a store refused credentials that were good before, whatever the status it answered with."""
    said = str(error).lower()
    return any(word in said for word in _EXPIRED)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__


def _number_of(error: BaseException) -> int | None:
    """Which failure of the operating system it is, where people can do something about that."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _REMEDIES else None
    if not _is_of_a_store(error) or type(error).__name__ in _ABOUT_DATA:
        return None
    said = str(error).lower()
    return next((number for words, number in _SAID if any(word in said for word in words)), None)


def _is_of_a_store(error: BaseException) -> bool:
    """Whether a store's library raised it; LanceDB's come as plain errors whose words name Lance."""
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    is_lances = isinstance(error, RuntimeError | ValueError) and re.search(r"\blance", str(error).lower()) is not None
    return is_lances or bool(modules & set(_STORES))


def said_by(error: BaseException) -> str:
    """What an error says, in one line of bounded length, without a line of a library's own source."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}."
    said = _SOURCE.sub("", " ".join(str(error).partition("\n\nLINE ")[0].split()))  # DuckDB quotes the statement
    shown = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."
