from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.filters.allowed import AllowedChunks, read_allowed_chunks, write_allowed_chunks

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("count", [0, 1, 8, 13])
def test_sets_read_back_as_they_were_written(tmp_path: Path, count: int) -> None:
    masks = {
        '{"a":1}': np.arange(count) % 3 == 0,
        '{"a":2}': np.zeros(count, dtype=np.bool_),
        '{"a":3}': np.ones(count, dtype=np.bool_),
    }
    write_allowed_chunks(tmp_path / "allowed.parquet", AllowedChunks.of(masks, chunk_count=count))
    found = read_allowed_chunks(tmp_path / "allowed.parquet")
    assert {condition: found.by(condition).tolist() for condition in found.packed} == {
        condition: mask.tolist() for condition, mask in masks.items()
    }


def test_where_no_stage_wrote_any_there_are_none(tmp_path: Path) -> None:
    assert read_allowed_chunks(tmp_path / "allowed.parquet").packed == {}
