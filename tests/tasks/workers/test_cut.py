from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pytest

from nightrank.storage.bucket.shards import FolderOnDisk
from nightrank.storage.errors import MachineError
from nightrank.tasks.workers.cut import Place, Sharding, asked_and_made

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.workers.cut import Workers


def test_workers_compute_where_the_run_would_unless_a_device_is_named() -> None:
    workers = cast("Workers", None)  # which are not asked
    assert Sharding(workers, Place(()), texts=1, pairs=1, scores=1).place_on("cuda").devices == ("cuda",)
    assert Sharding(workers, Place(("cuda:1",)), texts=1, pairs=1, scores=1).place_on("cpu").devices == ("cuda:1",)


@pytest.mark.parametrize("keys", [["b", "a"], ["a"]])
def test_what_a_worker_made_of_other_rows_than_it_was_given_is_refused(tmp_path: Path, keys: list[str]) -> None:
    folder = FolderOnDisk(tmp_path / "shards")
    folder.make()
    source = folder.write("given", pa.table({"key": ["a", "b"], "text": ["x", "y"]}))
    made = folder.write("made", pa.table({"key": ["a", "b"], "score": [1.0, 2.0]}))
    assert asked_and_made(source, made, keys=["key"], kind="texts")[1].column("score").to_pylist() == [1.0, 2.0]
    other = folder.write("other", pa.table({"key": keys}))
    with pytest.raises(MachineError, match="returned other texts than it was given"):
        asked_and_made(source, other, keys=["key"], kind="texts")
