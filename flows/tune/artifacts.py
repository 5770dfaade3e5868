"""A tuning on Prefect's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext

from nightrank.flows.engine.names import if_reachable

if TYPE_CHECKING:
    from nightrank.tasks.tune.cross_validate import Tuned


@if_reachable()
def show_tuning_in_prefect(tuned: Tuned) -> None:
    """Create a tuning's artifacts; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_table_artifact(
        table=[{"key": key, "now": tuned.present.get(key), "chosen": tuned.chosen.get(key)} for key in tuned.chosen],
        key="nightrank-tuning",
        description=f"What {tuned.queries} judged queries choose, release {tuned.release_id}.",
    )
    create_table_artifact(
        table=[{"compared_with": name, **found._asdict()} for name, found in tuned.compared_with.items()],
        key="nightrank-tuning-worth",
        description="nDCG@10 of what is chosen, cross-validated.",
    )
