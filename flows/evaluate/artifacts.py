"""An evaluation on Prefect's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext

from nightrank.flows.engine.artifacts import _stages
from nightrank.flows.engine.names import if_reachable
from nightrank.tasks.names import judged_queries

if TYPE_CHECKING:
    from nightrank.flows.evaluate.outcome import Evaluated


@if_reachable()
def show_evaluation_in_prefect(evaluated: Evaluated) -> None:
    """Create an evaluation's artifacts; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_table_artifact(
        table=_stages(evaluated.means),
        key="nightrank-evaluation",
        description=f"Measures on {evaluated.queries} {judged_queries(evaluated.judged_by)}, "
        f"release {evaluated.release_id}.",
    )
    if evaluated.comparison is not None:
        create_table_artifact(
            table=evaluated.comparison.to_pylist(),
            key="nightrank-comparison",
            description=f"Against {evaluated.baseline}, query by query.",
        )
    if evaluated.grid:
        create_table_artifact(
            table=[{**result.values, **result.measures["results"]} for result in evaluated.grid],
            key="nightrank-grid",
            description="Variants of the settings, the best results first.",
        )
