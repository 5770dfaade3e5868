"""A grid of variants of the settings over one release: what each is worth, and whether it differs from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.errors import InputError
from nightrank.tasks.evaluate.significance import compare_evaluations, holm
from nightrank.tasks.experiment.variants import BESIDE_HOSTED, differences, varied
from nightrank.tasks.rerank.find import NO_RERANKER, packaged_folder
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.settings.ranking import NOT_HOSTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.experiment.explain import EvaluationContext
    from nightrank.tasks.settings.whole import Settings

COMPARED = "results"  # what readers see, and what a variant is chosen by
SHOWN = ("fused", COMPARED)


@dataclass(frozen=True, slots=True, eq=False)
class GridResult:
    """What a variant is worth.

    Attributes:
        values: Of the keys that the grid varies.
        is_current: Whether it is the settings themselves.
        measures: Means by stage and measure, of the fused order and the results.
        comparison: Rows of COMPARISON, its results against those of the settings as they are, with Holm's correction
            over all variants but the settings themselves.
    """

    values: Mapping[str, JsonValue]
    is_current: bool
    measures: Mapping[str, Mapping[str, float]]
    comparison: Sequence[Mapping[str, JsonValue]]

    def as_json(self) -> dict[str, JsonValue]:
        """The variant in ``evaluate --json``."""
        measures: dict[str, JsonValue] = {stage: dict(values) for stage, values in self.measures.items()}
        compared: list[JsonValue] = [dict(row) for row in self.comparison]
        return {
            "values": dict(self.values),
            "is_current": self.is_current,
            "measures": measures,
            "comparison": compared,
        }


@stage_task("grid")
def evaluate_grid(
    grid: Sequence[Mapping[str, JsonValue]], context: EvaluationContext, *, release_id: str | None = None
) -> list[GridResult]:
    """Run every variant over a release, the judged queries alone.

    Args:
        grid: Values by key of each variant.
        context: What they are measured by; its settings are what they vary.
        release_id: Of the release; None for the current one.

    Returns:
        The variants, the best results by the first measure first, equal ones in the grid's order.

    Raises:
        InputError: A value is not allowed, or the release was made with other chunks, vectors or terms.
    """
    settings = context.settings
    variants = [varied(settings, values) for values in grid]
    require_names_of_the_api(settings, variants, base=context.base)
    generator = np.random.default_rng(context.seed)
    with context.experiment(release_id) as experiment:
        experiment.prepare([settings, *variants])
        baseline = _of(experiment.evaluate(settings).evaluation, COMPARED)
        means, compared = [], []
        with progress("variants", len(variants)) as advance:
            for variant in variants:
                outcome = experiment.evaluate(variant)
                means.append({stage: outcome.means[stage] for stage in SHOWN})
                after = _of(outcome.evaluation, COMPARED)
                compared.append(compare_evaluations(baseline, after, generator=generator))
                advance(1)
    is_current = [not differences(settings, variant) for variant in variants]
    others = iter(_corrected([table for table, same in zip(compared, is_current, strict=True) if not same]))
    results = [
        GridResult(values, same, measured, table.to_pylist() if same else [next(others) for _ in range(table.num_rows)])
        for values, same, measured, table in zip(grid, is_current, means, compared, strict=True)
    ]
    return sorted(results, key=lambda one: -one.measures[COMPARED][context.measures[0]])


def require_names_of_the_api(settings: Settings, variants: Sequence[Settings], *, base: Path) -> None:
    """Refuse variants by which a hosted API would be asked for a model that is here.

    Args:
        settings: What they are variants of.
        variants: With the same ``[reranker.hosted]``.
        base: The folder that paths in the settings are relative to.

    Raises:
        InputError: One names such a model.
    """
    if settings.reranker.hosted.api == NOT_HOSTED:
        return
    for model in sorted({variant.reranker.model for variant in variants} - {settings.reranker.model, NO_RERANKER}):
        if packaged_folder(model) is not None or (base / model).is_dir():
            message = (
                f"--grid reranker.model: {model!r} is a model that runs here, and {settings.reranker.hosted.api!r} "
            )
            raise InputError(f"{message}would be asked for it.", remedy=BESIDE_HOSTED)


def _of(evaluation: pa.Table, stage: str) -> pa.Table:
    return evaluation.filter(pc.field("stage") == stage)


def _corrected(comparisons: Sequence[pa.Table]) -> list[dict[str, JsonValue]]:
    """The rows of all comparisons, with Holm's correction over all of them."""
    rows: list[dict[str, JsonValue]] = pa.concat_tables(comparisons).to_pylist() if comparisons else []
    p_values = holm([float(str(row["p_value"])) for row in rows])
    return [row | {"p_holm": p_value} for row, p_value in zip(rows, p_values, strict=True)]
