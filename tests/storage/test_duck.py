from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from storage.duck import connect, only_row

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_installed_or_loaded_by_itself() -> None:
    with connect() as connection:
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert only_row(connection, "SELECT current_setting($name)", {"name": name}) == (False,)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with connect(tmp_path / "a.duckdb") as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    with connect(tmp_path / "a.duckdb", read_only=True) as connection:
        assert only_row(connection, "SELECT count(*) FROM t") == (0,)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("INSERT INTO t VALUES (1)")


def test_more_than_the_memory_spills_into_the_folder_and_completes(tmp_path: Path) -> None:
    with connect(memory_limit="30MB", spill_folder=tmp_path / "spill") as connection:
        statement = "SELECT count(*) FROM (SELECT DISTINCT i, hash(i) FROM range(2_000_000) AS numbers(i))"
        assert only_row(connection, statement) == (2_000_000,)
        assert (tmp_path / "spill").is_dir()


def test_a_connection_is_free_again_after_its_one_row() -> None:
    with connect() as connection:
        assert only_row(connection, "SELECT 1") == (1,)
        assert only_row(connection, "SELECT $x + 1", {"x": 2}) == (3,)
