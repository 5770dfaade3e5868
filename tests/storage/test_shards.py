from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from storage.errors import MachineError
from storage.shards import write_output, write_shards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("number", pa.int32(), nullable=False)])
SHARDS = [pa.table([["a", "b"], [1, 2]], schema=SCHEMA), pa.table([["c"], [3]], schema=SCHEMA)]


def test_each_shard_reads_as_it_was_written(tmp_path: Path) -> None:
    sources = write_shards(tmp_path / "shards" / "texts.parquet", SCHEMA, iter(SHARDS))

    assert [source.read() for source in sources] == SHARDS
    assert [(source.number, source.rows) for source in sources] == [(0, 2), (1, 1)]
    assert sources[1].read(["number"]).to_pydict() == {"number": [3]}


def test_what_came_of_a_shard_is_taken_once(tmp_path: Path) -> None:
    source = write_shards(tmp_path / "shards" / "texts.parquet", SCHEMA, SHARDS)[0]
    output = write_output(source, SHARDS[0])

    assert output.take() == SHARDS[0]
    with pytest.raises(MachineError, match=r"finds no .*texts-000000-.*share"):
        output.take()


def test_two_workers_at_the_same_shard_do_not_write_over_one_another(tmp_path: Path) -> None:
    source = write_shards(tmp_path / "shards" / "texts.parquet", SCHEMA, SHARDS)[0]
    first, second = write_output(source, SHARDS[0]), write_output(source, SHARDS[0])

    assert first.path != second.path
    assert first.take() == second.take()


def test_an_output_that_was_cut_short_is_not_believed(tmp_path: Path) -> None:
    source = write_shards(tmp_path / "shards" / "texts.parquet", SCHEMA, SHARDS)[0]
    output = write_output(source, SHARDS[0])
    whole = output.path.read_bytes()
    output.path.write_bytes(whole[:10] + b"?" + whole[11:])  # in the data, and not where Parquet would notice

    with pytest.raises(MachineError, match="not as its worker wrote it"):
        output.take()


def test_nothing_is_written_for_a_run_whose_folder_is_gone(tmp_path: Path) -> None:
    source = write_shards(tmp_path / "shards" / "texts.parquet", SCHEMA, SHARDS)[0]
    shutil.rmtree(tmp_path / "shards")

    with pytest.raises(FileNotFoundError):
        write_output(source, SHARDS[0])
    assert list(tmp_path.iterdir()) == []


def test_stages_that_fail_leave_no_half_file(tmp_path: Path) -> None:
    def breaking() -> Iterator[pa.Table]:
        yield SHARDS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "shards" / "texts.parquet", SCHEMA, breaking())
    assert list((tmp_path / "shards").iterdir()) == []
