"""A thorough prune leaves no byte of a removed row, however few of a file's rows it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.prune import ChunkPruning
from nightrank.storage.lance.table import ChunkTable

if TYPE_CHECKING:
    from pathlib import Path


def test_one_row_of_a_hundred_is_gone_from_all_files(tmp_path: Path) -> None:
    place = LanceFolder(tmp_path)
    table = ChunkTable.create(place, embedder="e", dimensions=4)
    keys = [f"{number:032x}" for number in range(100)]
    vectors = np.random.default_rng(1).random((100, 4)).astype(np.float32)
    table.add(keys, [f"text {key}" for key in keys], [2] * 100, vectors)
    table.tag("a")
    [name] = place.table_names()

    def holding(vector: int) -> int:
        needle = vectors[vector].tobytes()
        return sum(needle in path.read_bytes() for path in tmp_path.rglob("*.lance") if path.is_file())

    assert holding(7) == holding(8) == 1
    pruning = ChunkPruning(place, name)
    rows = pruning.rows().read_all()
    gone = [number for number, key in enumerate(rows.column("chunk_hash").to_pylist()) if key == keys[7]]
    pruning.remove(rows.column("_rowid").to_numpy()[gone])
    pruning.write_anew()
    pruning.move_tags(["a"])
    pruning.remove_old_versions()
    assert (holding(7), holding(8)) == (0, 1)
    left = ChunkTable.of_release(place, name=name, release_id="a")
    assert len(left) == 99
    wanted = [key for key in keys if key != keys[7]]
    found = left.rows(pa.array(wanted), ["vector"])
    assert sorted(found.column("chunk_hash").to_pylist()) == wanted
    version = left.version
    ChunkPruning(place, name).write_anew()  # nothing is dead
    assert ChunkTable.of_release(place, name=name, release_id="a").version == version
