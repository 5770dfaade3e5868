from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.files import parquet as module
from nightrank.storage.files.parquet import (
    RowWriter,
    copy_columns,
    read_rows,
    read_table,
    row_count,
    stream_rows,
    table_writer,
    write_table,
)

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = pa.schema([pa.field("name", pa.string(), nullable=False), pa.field("size", pa.int64())])


def rows(count: int) -> list[dict[str, object]]:
    return [{"name": f"row {number}", "size": number} for number in range(count)]


def test_rows_are_read_in_the_order_they_were_written_over_several_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 3)
    with RowWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        for row in rows(8):
            writer.write(row)
    assert writer.rows_written == 8
    assert list(stream_rows(tmp_path / "t.parquet", batch_rows=2)) == rows(8)
    assert row_count(tmp_path / "t.parquet") == 8
    assert read_table(tmp_path / "t.parquet", columns=["size"]).column_names == ["size"]


def test_a_batch_is_cut_by_characters_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 10)
    with RowWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        for held, name in ((0, "nine char"), (0, "x"), (2, "y"), (2, "ten  chars")):
            assert writer.rows_written == held
            writer.write({"name": name, "size": None})
        assert writer.rows_written == 4


def test_no_row_makes_an_empty_file(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "t.parquet", SCHEMA):
        pass
    assert read_table(tmp_path / "t.parquet") == SCHEMA.empty_table()


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        writer.write({"name": "x", "size": 1})
        assert not (tmp_path / "t.parquet").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def write_rows_and_fail(path: Path) -> None:
    with RowWriter(path, SCHEMA) as writer:
        writer.write({"name": "new", "size": 1})
        raise KeyboardInterrupt


def write_table_and_fail(path: Path) -> None:
    with table_writer(path, SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows(1), schema=SCHEMA))
        raise KeyboardInterrupt


@pytest.mark.parametrize("write", [write_rows_and_fail, write_table_and_fail])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, write: object) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, pa.Table.from_pylist(rows(2), schema=SCHEMA))
    with pytest.raises(KeyboardInterrupt):
        write(path)  # type: ignore[operator]  # one of the two above
    assert list(stream_rows(path)) == rows(2)
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def write_one(path: Path, row: dict[str, object]) -> None:
    with RowWriter(path, SCHEMA) as writer:
        writer.write(row)


@pytest.mark.parametrize("row", [{"name": None, "size": 1}, {"name": "x", "size": "big"}, {"size": 1}])
def test_a_row_that_the_schema_refuses_leaves_nothing_behind(tmp_path: Path, row: dict[str, object]) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_one(tmp_path / "t.parquet", row)
    assert list(tmp_path.iterdir()) == []


def test_some_columns_of_a_file_become_a_file_of_their_own(tmp_path: Path) -> None:
    write_table(tmp_path / "table.parquet", pa.Table.from_pylist(rows(3), schema=SCHEMA))
    copy_columns(tmp_path / "table.parquet", tmp_path / "sizes.parquet", columns=["size"])
    assert read_table(tmp_path / "sizes.parquet") == pa.Table.from_pylist(rows(3), schema=SCHEMA).select(["size"])


def test_the_rows_of_some_values_are_read_in_their_order(tmp_path: Path) -> None:
    table = pa.table({"name": ["b", "a", "c", "b", "d"], "size": [1, 2, 3, 4, 5]}).cast(SCHEMA)
    write_table(tmp_path / "table.parquet", table)
    for values, expected in ((["b", "d", "nobody"], [1, 4, 5]), (["nobody"], []), ([], [])):
        found = read_rows(tmp_path / "table.parquet", "name", pa.chunked_array([pa.array(values, pa.string())]))
        assert (found.schema, found.column("size").to_pylist()) == (SCHEMA, expected)
