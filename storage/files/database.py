"""DuckDB connections, opened one way."""

from __future__ import annotations

import glob
import tempfile
import time
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from nightrank.storage.errors import MachineError, WorkspaceBusy
from nightrank.storage.files.headers import HEADERS_BYTES, opened_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def connect(
    path: Path | None = None,
    *,
    read_only: bool = False,
    memory_limit: str = "4GB",
    spill_folder: Path | None = None,
    sees_variables: bool = True,
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, or a database in memory that spills to the system's temporary folder.

    Nothing is ever installed or loaded by itself, and insertion order is kept only where a query asks for
    an order. A file that is there is never made anew.

    Args:
        path: The file, or None for memory.
        read_only: Readers of a release never write.
        memory_limit: What it may hold before it spills.
        spill_folder: Where it spills; default: the system's temporary folder.
        sees_variables: Whether a table that is not there may be a variable of the code that asks.

    Raises:
        MachineError: DuckDB did not find a file that is there; it is as it was.
    """

    def opened() -> duckdb.DuckDBPyConnection:
        return duckdb.connect(
            ":memory:" if path is None else str(path),
            read_only=read_only,
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "memory_limit": memory_limit,
                "preserve_insertion_order": "false",
                "python_enable_replacements": "true" if sees_variables else "false",
                "temp_directory": tempfile.gettempdir() if spill_folder is None else str(spill_folder),
            },
        )

    return opened() if path is None or read_only else opened_whole(path, opened)


def one_file(path: Path) -> str:
    """A path as ``read_parquet`` takes it: no character of it stands for others.

    Whoever reads says ``hive_partitioning = false`` too: by itself DuckDB takes a folder's name, such as ``title=old``,
    for a column of what lies below it.

    >>> from pathlib import Path
    >>> one_file(Path("a[1]/b*.parquet"))
    'a[[]1]/b[*].parquet'
    """
    return glob.escape(str(path))


def is_unmade(path: Path) -> bool:
    """Whether a file of DuckDB is one that was being made as its process was killed or its disk failed: none it is."""
    return path.is_file() and path.stat().st_size < HEADERS_BYTES


def connect_for_writing(path: Path, *, patience_seconds: float = 60.0) -> duckdb.DuckDBPyConnection:
    """Open a file for writing; where another process is reading it, wait for a while.

    It is made where it is missing, and made anew where its making was cut off, before anything was in it.

    Args:
        path: The file.
        patience_seconds: How long to wait at most.

    Raises:
        WorkspaceBusy: Another process held it all the while.
    """
    return _connect(path, read_only=False, held="reading", who="doctor", patience_seconds=patience_seconds)


def connect_for_reading(path: Path, *, patience_seconds: float = 60.0) -> duckdb.DuckDBPyConnection:
    """Open a file for reading, as many processes may; where another is writing it, wait for a while.

    Args:
        path: The file.
        patience_seconds: How long to wait at most.

    Raises:
        WorkspaceBusy: Another process held it all the while.
    """
    return _connect(path, read_only=True, held="writing", who="refresh", patience_seconds=patience_seconds)


def _connect(path: Path, *, read_only: bool, held: str, who: str, patience_seconds: float) -> duckdb.DuckDBPyConnection:
    deadline, is_made_anew = time.monotonic() + patience_seconds, False
    while True:
        try:
            return connect(path, read_only=read_only)
        except duckdb.IOException as error:
            if "lock" not in str(error):
                if read_only or is_made_anew or not is_unmade(path):
                    raise
                path.unlink()  # nobody has it open, or it would be locked
                is_made_anew = True  # once: what cuts it off again, as a full disk does, stays
                continue
            if time.monotonic() >= deadline:
                message = f"Another process has been {held} {path} for {patience_seconds:g} seconds."
                raise WorkspaceBusy(
                    message, remedy=f"Wait for it to end (`nightrank {who}`?), then run again."
                ) from error
        time.sleep(0.1)


def only_row(connection: duckdb.DuckDBPyConnection, statement: str, parameters: object = None) -> tuple[Any, ...]:
    """The row of a statement that gives one row, fetched to the end so that the connection is free again."""
    rows = connection.execute(statement, parameters).fetchall()
    assert len(rows) == 1
    return rows[0]


def require_finite(values: NDArray[np.float32], *, what: str, section: str) -> None:
    """Refuse values that are not numbers before they are remembered for ever.

    Args:
        values: float32, of any shape; a value, or a row of them, for each entry.
        what: The entries' name for people, in the plural.
        section: Of the settings, where the model's precision is set.

    Raises:
        MachineError: One is infinite or not a number.
    """
    sound = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not sound.all():
        message = f"{np.count_nonzero(~sound)} of {len(values)} {what} are not finite."
        remedy = f'The model\'s arithmetic may overflow on this device: set `{section}.precision = "float32"`.'
        raise MachineError(message, remedy=remedy)
