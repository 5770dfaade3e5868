"""Offline evaluation: every stage of a stored release against judged queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.errors import InputError
from storage.releases import read_manifest
from storage.tables import read_table
from tasks.judgments import read_judgments
from tasks.measures import evaluate_stages, means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.settings import Configuration
    from storage.records import JsonValue


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The means of each stage of a release, over all judged queries."""

    release_id: str
    queries: int
    means: dict[str, dict[str, float]]

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``evaluate --json``."""
        measures: dict[str, JsonValue] = {stage: dict(values) for stage, values in self.means.items()}
        return {"release_id": self.release_id, "queries": self.queries, "measures": measures}


def evaluate_release(configuration: Configuration, *, release_id: str | None, measures: Sequence[str]) -> Evaluated:
    """Measure a stored release against the judgments that the settings name now.

    Args:
        configuration: Where the workspace and the judgments are.
        release_id: The release, or None for the current one.
        measures: As ir_measures writes them.

    Raises:
        InputError: There is no such release, no judgments are named, or a measure is unknown.
    """
    settings, workspace = configuration.settings, configuration.workspace
    release_id = workspace.require_current() if release_id is None else release_id
    manifest = read_manifest(workspace, release_id)
    if settings.judgments.qrels is None:
        message = "The settings name no judgments to evaluate against."
        raise InputError(message, remedy="Set `qrels` in [judgments].")
    judgments = read_judgments(configuration.base / settings.judgments.qrels, name=settings.judgments.qrels)
    folder = workspace.release(release_id)
    made_with = type(settings).model_validate(manifest.settings)
    evaluation = evaluate_stages(
        read_table(folder / "candidates.parquet"),
        read_table(folder / "queries.parquet"),
        judgments,
        measures=measures,
        candidate_depth=made_with.retrieval.candidate_depth,
        results=made_with.results,
        ignore_identical_ids=settings.judgments.ignore_identical_ids,
    )
    return Evaluated(release_id, len({judgment.query_id for judgment in judgments}), means(evaluation))
