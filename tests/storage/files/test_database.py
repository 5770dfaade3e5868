from __future__ import annotations

import re
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightrank.storage.errors import WorkspaceBusy
from nightrank.storage.files.database import (
    connect,
    connect_for_reading,
    connect_for_writing,
    one_file,
    only_row,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


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


READER = """
import sys
from pathlib import Path
from nightrank.storage.files.database import connect

held = connect(Path(sys.argv[1]), read_only=True)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def read_elsewhere(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A file that another process is reading until it is told to end."""
    path = tmp_path / "memo.duckdb"
    connect(path).close()
    command = [sys.executable, "-c", READER, str(path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield path, process


def test_who_wants_to_write_waits_until_readers_have_ended(
    read_elsewhere: tuple[Path, subprocess.Popen[str]],
) -> None:
    path, process = read_elsewhere
    assert process.stdin is not None
    end = threading.Timer(0.5, process.stdin.close)
    end.start()
    connect_for_writing(path).close()
    end.join()


def test_who_has_waited_long_enough_says_who_may_be_in_the_way(
    read_elsewhere: tuple[Path, subprocess.Popen[str]],
) -> None:
    with pytest.raises(WorkspaceBusy, match="has been reading") as caught:
        connect_for_writing(read_elsewhere[0], patience_seconds=0.2)
    assert "doctor" in (caught.value.remedy or "")


def test_names_of_folders_are_no_columns_and_stand_for_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "title=evil" / "[ab]*"
    (folder.parent / "a").mkdir(parents=True)
    folder.mkdir()
    pq.write_table(pa.table({"title": ["good"]}), folder / "rows.parquet")
    pq.write_table(pa.table({"title": ["another"]}), folder.parent / "a" / "rows.parquet")
    database = tmp_path / "empty.duckdb"
    connect(database).close()
    with connect(database, read_only=True) as connection:
        statement = "SELECT * FROM read_parquet($file, hive_partitioning = false)"
        assert only_row(connection, statement, {"file": one_file(folder / "rows.parquet")}) == ("good",)


def test_no_statement_reads_parquet_with_the_names_of_its_folders() -> None:
    root = Path(__file__).parents[3]
    sources = [path for folder in ("flows", "tasks", "storage") for path in (root / folder).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in sources]
    readings = [found for text in texts for found in re.findall(r"\b(?:FROM|JOIN)\s+(?:read_\w+\([^)]*\)|')", text)]
    assert len(readings) > 20
    assert [found for found in readings if "hive_partitioning = false" not in found] == []


@pytest.mark.parametrize("size", [0, 1, 4096, 12_287])
def test_a_file_whose_making_was_cut_off_is_made_anew_and_one_that_was_cut_later_is_left_for_people(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "memo.duckdb"
    with closing(connect_for_writing(path)) as memo:
        memo.execute("CREATE TABLE rows AS SELECT range AS row FROM range(100000)")
    whole = path.read_bytes()
    path.write_bytes(whole[:size])

    with pytest.raises(duckdb.IOException):
        connect_for_reading(path)
    with closing(connect_for_writing(path)) as memo:
        assert memo.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]

    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(duckdb.Error), closing(connect_for_writing(path)) as memo:
        memo.execute("SELECT sum(row) FROM rows").fetchall()
    assert path.stat().st_size == len(whole) // 2


def test_a_file_whose_making_is_cut_off_each_time_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Path] = []

    def full(path: Path, **_: object) -> None:
        assert len(tries) < 5, "it is tried for ever"
        tries.append(path)
        path.write_bytes(b"")
        raise duckdb.IOException("Could not write file: No space left on device")

    monkeypatch.setattr("nightrank.storage.files.database.connect", full)
    with pytest.raises(duckdb.IOException, match="No space left"):
        connect_for_writing(tmp_path / "memo.duckdb")
