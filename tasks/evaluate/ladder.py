"""The ladder that explains two-stage retrieval: from embeddings without a network to the reranked hybrid.

Each stage adds one thing to what stands below it, with what it is worth and what it costs. Only files of a release are
read here, so that whoever shows a ladder loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from nightrank.storage.legs import LEGS
from nightrank.storage.places import read_bytes
from nightrank.storage.release.evaluation import Timings
from nightrank.tasks.names import STAGE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.files import Depths, TimingsFile

# What a damaged file is told by, or one of another version: it says nothing, and nothing depends on it.
UNREADABLE = (OSError, ValueError, KeyError, pa.ArrowException)
LADDER = ("static", *LEGS, "fused", "reranked")
FINAL_ORDER = "learned order"  # what people call the last where nothing was reranked


class LadderStage(NamedTuple):
    """A stage of the ladder.

    Attributes:
        stage: As the release's files call it.
        name: As people call it.
        measures: Means over all judged queries.
        milliseconds: Of a query online, where it was timed.
    """

    stage: str
    name: str
    measures: Mapping[str, float]
    milliseconds: float | None

    def as_json(self) -> dict[str, JsonValue]:
        """The stage in ``refresh --json``."""
        return {"stage": self.stage, "name": self.name, **self.measures, "milliseconds": self.milliseconds}


def ladder(means: Mapping[str, Mapping[str, float]], timings: Timings | None) -> list[LadderStage]:
    """The stages that were measured, from the lowest up.

    Without a reranker the last is there only where it is another order than the one before.

    Args:
        means: By stage and measure, as a manifest keeps them.
        timings: What a query costs, where that was measured.
    """
    milliseconds = {} if timings is None else timings.milliseconds
    names = STAGE_NAMES if "reranker" in means else STAGE_NAMES | {"reranked": FINAL_ORDER}
    same = "reranker" not in means and means.get("reranked") == means.get("fused")
    stages = [stage for stage in LADDER if stage in means and not (same and stage == "reranked")]
    return [LadderStage(stage, names[stage], means[stage], milliseconds.get(stage)) for stage in stages]


def read_timings(file: TimingsFile) -> Timings | None:
    """The timings of a release; None where nothing was timed, or the file cannot be read."""
    try:
        return Timings.model_validate_json(read_bytes(file.path)) if file.is_there() else None
    except UNREADABLE:
        return None


def read_depths(file: Depths) -> list[tuple[int, dict[str, float]]]:
    """The reranking depths of a release's curve, ascending, and the mean of each measure.

    Empty where there is none, or the file cannot be read.
    """
    if not file.is_there():
        return []
    try:
        return mean_by_depth(file.read(["depth", "measure", "value"]))
    except UNREADABLE:
        return []


def mean_by_depth(depths: pa.Table) -> list[tuple[int, dict[str, float]]]:
    """The reranking depths of a curve, ascending, and the mean of each measure.

    Args:
        depths: Schema DEPTHS.
    """
    found: dict[int, dict[str, float]] = {}
    for row in depths.group_by(["depth", "measure"], use_threads=False).aggregate([("value", "mean")]).to_pylist():
        found.setdefault(row["depth"], {})[row["measure"]] = row["value_mean"]
    return sorted(found.items())
