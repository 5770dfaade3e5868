"""What an offline evaluation found: the same facts for people, for scripts and for Prefect's pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from nightrank.tasks.evaluate.diagnosis import totals
from nightrank.tasks.evaluate.ladder import mean_by_depth
from nightrank.tasks.evaluate.measures import means

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from nightrank.storage.judged import JudgedBy
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.experiment.explain import Explained
    from nightrank.tasks.experiment.grid import GridResult


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """The outcome of an evaluation; what was not asked for is None or empty.

    Attributes:
        release_id: Of the release, where one was evaluated.
        evaluation: Schema EVALUATION: the stages of the release, and run files.
        judged_by: What the judgments rest on.
        explained: What lies behind the measures of the release.
        baseline: What it was held against, in the user's words.
        comparison: Schema COMPARISON.
        grid: The variants that were tried, best first.
        runs: TREC run files that were written, by stage.
        per_query: Whether figures of single queries are wanted.
    """

    release_id: str | None
    evaluation: pa.Table
    judged_by: JudgedBy
    explained: Explained | None = None
    baseline: str | None = None
    comparison: pa.Table | None = None
    grid: Sequence[GridResult] = ()
    runs: Mapping[str, Path] = field(default_factory=dict)
    per_query: bool = False

    @property
    def queries(self) -> int:
        """The judged queries; all of them count."""
        count: int = pc.count_distinct(self.evaluation.column("query_id")).as_py()
        return count

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """The mean of each measure by stage or run, over all judged queries."""
        return means(self.evaluation)

    @property
    def depths(self) -> list[tuple[int, dict[str, float]]]:
        """Reranking depths, ascending, and the mean of each measure."""
        return [] if self.explained is None else mean_by_depth(self.explained.depths)

    def values_by_query(self) -> dict[str, dict[str, dict[str, float]]]:
        """The value of each measure, by stage and query id."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for row in self.evaluation.to_pylist():
            found.setdefault(row["stage"], {}).setdefault(row["query_id"], {})[row["measure"]] = row["value"]
        return found

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``evaluate --json``."""
        reported: dict[str, JsonValue] = {
            "release_id": self.release_id,
            "queries": self.queries,
            "judged_by": self.judged_by,
            "measures": {stage: dict(values) for stage, values in self.means.items()},
        }
        if self.explained is not None:
            reported["ladder"] = [stage.as_json() for stage in self.explained.ladder]
            reported["depths"] = [{"depth": depth, **values} for depth, values in self.depths]
            best_stage = self.explained.best_stage
            reported["best_stage"] = None if best_stage is None else best_stage.as_json()
            reported["diagnosis"] = dict(totals(self.explained.diagnosis))
            if self.explained.diversity.num_rows:
                reported["diversity"] = self.explained.diversity.to_pylist()
        if self.comparison is not None:
            reported["baseline"] = self.baseline
            reported["comparison"] = self.comparison.to_pylist()
        if self.grid:
            reported["grid"] = [result.as_json() for result in self.grid]
        if self.runs:
            reported["runs"] = {stage: str(path) for stage, path in self.runs.items()}
        if self.per_query:
            reported["per_query"] = {
                stage: {query_id: dict(values) for query_id, values in queries.items()}
                for stage, queries in self.values_by_query().items()
            }
        return reported
