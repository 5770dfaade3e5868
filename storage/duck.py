"""DuckDB connections, opened one way."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path


def connect(
    path: Path | None = None,
    *,
    read_only: bool = False,
    memory_limit: str = "4GB",
    spill_folder: Path | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, or a database in memory that spills to the system's temporary folder.

    Nothing is ever installed or loaded by itself, and insertion order is kept only where a query asks for
    an order.

    Args:
        path: The file, or None for memory.
        read_only: Readers of a release never write.
        memory_limit: What it may hold before it spills.
        spill_folder: Where it spills; default: the system's temporary folder.
    """
    return duckdb.connect(
        ":memory:" if path is None else str(path),
        read_only=read_only,
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": memory_limit,
            "preserve_insertion_order": "false",
            "temp_directory": tempfile.gettempdir() if spill_folder is None else str(spill_folder),
        },
    )


def only_row(connection: duckdb.DuckDBPyConnection, statement: str, parameters: object = None) -> tuple[Any, ...]:
    """The row of a statement that gives one row, fetched to the end so that the connection is free again."""
    rows = connection.execute(statement, parameters).fetchall()
    assert len(rows) == 1
    return rows[0]
