"""Workers that are this process, in whom nothing passes but what could have been sent."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nightrank.storage.bucket.shards import FolderOnDisk
from nightrank.tasks.legs.ranges import Ranges
from nightrank.tasks.workers.cut import Place, Sharding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass
class Here:
    """Workers that compute at once, the last shard first.

    Attributes:
        shards: How many they have done.
    """

    shards: int = 0

    def compute(self, task: Any, shards: Sequence[Any]) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
        for shard in reversed(shards):
            self.shards += 1
            yield shard, _sent(task.fn(_sent(shard)))


def ranges_here(folder: Path, workers: Here, *, scores: int, device: str = "cpu") -> Ranges:
    """Scans in shards of so many scores."""
    return Ranges(
        Sharding(workers, Place((), threads=1), texts=1, pairs=1, scores=scores), device, FolderOnDisk(folder)
    )


def _sent(record: Any) -> Any:  # noqa: ANN401
    return pickle.loads(pickle.dumps(record))
