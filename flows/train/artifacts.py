"""A training on Prefect's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.context import FlowRunContext

from nightrank.flows.engine.names import if_reachable

if TYPE_CHECKING:
    from nightrank.flows.train.promotion import Trained


@if_reachable()
def show_training_in_prefect(trained: Trained) -> None:
    """Create the artifacts of a training; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_link_artifact(
        link=trained.folder.resolve().as_uri(),
        link_text=f"Model {trained.folder.name}",
        key="nightrank-model",
        description="The folder of the model, with its card and its loss curve.",
    )
    create_table_artifact(
        table=[figure.model_dump() for figure in trained.card.figures],
        key="nightrank-training",
        description="The trained model against the present one, on held-out queries.",
    )
