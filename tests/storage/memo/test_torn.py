from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.keys import digest
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.memo.query_vectors import QueryMemo

if TYPE_CHECKING:
    from pathlib import Path

BATCHES, ROWS = 4, 10


def keys(start: int) -> list[str]:
    return [digest(str(row)) for row in range(start, start + ROWS)]


def append(memo: PairMemo | QueryMemo, start: int) -> None:
    if isinstance(memo, QueryMemo):
        memo.append(keys(start), np.ones((ROWS, 3), dtype=np.float32))
    else:
        memo.append(pa.table({"query_key": keys(start), "chunk_hash": keys(start)}), np.ones(ROWS, dtype=np.float32))


def open_memo(kind: str, folder: Path) -> PairMemo | QueryMemo:
    return PairMemo(folder, reranker="r") if kind == "pairs" else QueryMemo(folder, embedder="e")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["pairs", "queries"])
def test_wherever_writing_stops_whole_batches_are_there_and_more_can_follow(tmp_path: Path, kind: str) -> None:
    whole = tmp_path / "whole"
    with open_memo(kind, whole) as memo:
        for batch in range(BATCHES):
            append(memo, batch * ROWS)
        # What lies on the disk at this moment: the file, and the log of what was committed since it was made.
        kept = {path.name: path.read_bytes() for path in whole.iterdir()}
    [log] = [name for name in kept if name.endswith(".wal")]
    found = set()
    for length in np.linspace(0, len(kept[log]), 40, dtype=int):
        torn = tmp_path / "torn"
        torn.mkdir()
        for name, content in kept.items():
            (torn / name).write_bytes(content[:length] if name == log else content)
        with open_memo(kind, torn) as memo:
            count = len(memo)
            append(memo, 1000)
            assert len(memo) == count + ROWS
        assert count % ROWS == 0
        found.add(count)
        shutil.rmtree(torn)
    assert found >= {0, ROWS, BATCHES * ROWS}
