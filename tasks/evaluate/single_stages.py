"""Whether a single stage orders results better than what is published: then the stages after it do harm.

Each single stage is held against the final order, query by query, on what a release would publish of it. Told is only
what is more than chance. No verdict on the release is given here; the gate is in ``tasks.gates``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from nightrank.storage.legs import LEGS
from nightrank.storage.release.evaluation import COMPARISON
from nightrank.tasks.evaluate.ladder import UNREADABLE
from nightrank.tasks.evaluate.measures import evaluate_run, stage_runs
from nightrank.tasks.evaluate.significance import compare_paired, holm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nightrank.storage.records import JsonValue, Judgment
    from nightrank.storage.release.files import Comparison
    from nightrank.tasks.settings.ranking import ResultsSettings
    from nightrank.tasks.trec.runs import Entry

SINGLE_STAGES = (*LEGS, "fused")
FINAL_ORDER = "reranked"  # the stage whose first documents are published, where results are not diversified
SIGNIFICANT = 0.05
SUBJECTS = {
    "bm25": "BM25 alone has",
    "dense": "The dual encoder alone has",
    "sparse": "The learned sparse leg alone has",
    "fused": "The fused order, not reranked, has",
}


class BestStage(NamedTuple):
    """A single stage that is better than the published order, beyond chance.

    Attributes:
        stage: One of SINGLE_STAGES.
        measure: As ir_measures writes it.
        queries: How many are judged.
        published: Mean of the published order.
        alone: Mean of the stage.
        difference: What the published order is below it.
        low: Lower end of the 95 % bootstrap interval of the difference.
        high: Its upper end.
        p_holm: Of the paired randomisation test, corrected for the number of stages.
    """

    stage: str
    measure: str
    queries: int
    published: float
    alone: float
    difference: float
    low: float
    high: float
    p_holm: float

    @property
    def told(self) -> str:
        """What was found, in one sentence without its full stop.

        >>> BestStage("dense", "nDCG@10", 120, 0.625, 0.641, 0.016, 0.004, 0.028, 0.01).told[:67]
        'The dual encoder alone has nDCG@10 0.641, the published order 0.625'
        """
        return (
            f"{SUBJECTS[self.stage]} {self.measure} {self.alone:.3f}, the published order {self.published:.3f}: "
            f"{self.difference:.3f} less (95 % interval {self.low:.3f} to {self.high:.3f}, {self.queries} judged "
            "queries)"
        )

    @property
    def warning(self) -> str:
        """What was found, and what to do."""
        return f"{self.told}. Run `nightrank tune`."

    def as_json(self) -> dict[str, JsonValue]:
        """It in ``refresh --json`` and ``evaluate --json``."""
        return dict(self._asdict())


def compare_single_stages(
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    *,
    measure: str,
    candidate_depth: int,
    results: ResultsSettings,
    ignore_identical_ids: bool,
    generator: np.random.Generator,
) -> pa.Table:
    """Hold every single stage against the final order, on the same judged queries.

    Args:
        candidates: Schema CANDIDATES.
        queries: Schema QUERIES.
        judgments: The qrels; every query in them counts, and one that is not answered scores 0 for all.
        measure: As ir_measures writes it.
        candidate_depth: Chunks that count as candidates.
        results: Of each ranking as many documents count as there are results a query. Where results are diversified,
            the order that they are chosen from stands for them.
        ignore_identical_ids: Leave out the document that has the query's own id.
        generator: What decides the resamples.

    Returns:
        A table of schema COMPARISON, a row for each single stage that found anything: ``before`` is the final order,
        ``after`` the stage alone. Holm's correction is over the table. Empty where nobody judged.
    """
    if not judgments:
        return COMPARISON.empty_table()
    runs = stage_runs(
        candidates,
        queries,
        {judgment.query_id for judgment in judgments},
        legs=LEGS,
        candidate_depth=candidate_depth,
        results=results.undiversified(),
        ignore_identical_ids=ignore_identical_ids,
    )
    values = {
        stage: _values(runs[stage], judgments, measure=measure, depth=results.depth)
        for stage in (FINAL_ORDER, *SINGLE_STAGES)
        if runs.get(stage)
    }
    if (published := values.pop(FINAL_ORDER, None)) is None:
        return COMPARISON.empty_table()
    found = [(stage, compare_paired(published, alone, generator=generator)) for stage, alone in values.items()]
    corrected = holm([compared.p_value for _, compared in found])
    rows = [
        {"stage": stage, "measure": measure, **compared._asdict(), "p_holm": p_value}
        for (stage, compared), p_value in zip(found, corrected, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=COMPARISON)


def best_stage(comparison: pa.Table) -> BestStage | None:
    """The best of the single stages that are better than the published order beyond chance; None where none is.

    Beyond chance is a corrected p-value below 0.05, and a 95 % interval above 0.

    Args:
        comparison: Schema COMPARISON, as ``compare_single_stages`` gives it.
    """
    proved = [row for row in comparison.to_pylist() if row["p_holm"] < SIGNIFICANT and row["low"] > 0.0]
    if not proved:
        return None
    best = max(proved, key=lambda row: row["difference"])
    told = {name: best[name] for name in ("stage", "measure", "queries", "difference", "low", "high", "p_holm")}
    return BestStage(published=best["before"], alone=best["after"], **told)


def read_best_stage(file: Comparison) -> BestStage | None:
    """That of a release; None too where it was not compared, or the file cannot be read."""
    try:
        return best_stage(file.read()) if file.is_there() else None
    except UNREADABLE:
        return None


def _values(
    run: Iterable[Entry], judgments: Sequence[Judgment], *, measure: str, depth: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the first documents of a run are worth, by query id: float64 (n_queries,)."""
    first = [entry for entry in run if -entry.score <= depth]  # its scores are ranks: see ``stage_runs``
    return np.array([value for _, _, value in evaluate_run(first, judgments, [measure])])
