"""Tuning: what another fusion, order and depth would be worth, proved on queries that did not choose them.

Nothing of the workspace is changed, but that pairs which the search needs and nobody has scored yet are scored and
remembered. The settings file, and beside it the learned order that was fitted, are written only where that is asked
for, and the gain is proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.engine.steps import step
from nightrank.flows.evaluate.inputs import evaluation_context
from nightrank.flows.settings_file import load_settings
from nightrank.flows.tune.artifacts import show_tuning_in_prefect
from nightrank.flows.tune.write import write_tuned
from nightrank.storage.errors import InputError
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.tune.cross_validate import Tuned, tune_settings

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue


@dataclass(frozen=True, slots=True)
class Tuning:
    """The outcome of a tuning.

    Attributes:
        tuned: What was found.
        written: The settings file, where it was changed.
    """

    tuned: Tuned
    written: Path | None

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``tune --json``."""
        return {**self.tuned.as_json(), "written": None if self.written is None else str(self.written)}


@nightrank_flow("tune")
def tune(
    settings_file: str = "nightrank.toml",
    *,
    release_id: str | None = None,
    qrels: str | None = None,
    folds: int = 5,
    max_depth: int | None = None,
    scoring: bool = True,
    fields: bool = False,
    write: bool = False,
    seed: int = 0,
) -> Tuning:
    """Tune fusion, the learned order, the reranker's weight and depth, and whether there is a reranker at all.

    Args:
        settings_file: Path of the settings.
        release_id: Of the release over which they are tuned; None for the current one.
        qrels: A file of judgments; None for that of the settings.
        folds: How many the judged queries are cut into.
        max_depth: Candidates that may be reranked, where that is more than the settings rerank.
        scoring: Whether pairs that nobody has scored yet are scored; without it fewer fusions are tried.
        fields: Whether weights of BM25's fields are tuned as well, over statistics that are made for it.
        write: Write what is proved better into the settings file.
        seed: Of the folds, and of everything else random in it.

    Returns:
        What was found, and whether it was written.

    Raises:
        InputError: A setting, a file or a value is wrong, or there are too few judged queries.
        WorkspaceBusy: Pairs must be scored, and another run holds the workspace.
    """
    for name, value, least in (("--folds", folds, 2), ("--max-depth", max_depth, 1)):
        if value is not None and value < least:
            raise InputError(f"{name} {value} is too small.", remedy=f"Give at least {least}.")
    path, now = Path(settings_file), datetime.now(UTC)
    configuration = load_settings(path)
    context = evaluation_context(configuration, measures=None, qrels=qrels, now=now, seed=seed)
    release_id = StoredRelease.open(configuration.workspace, release_id).release_id
    tuned = step(
        tune_settings,
        context,
        release_id=release_id,
        folds=folds,
        max_depth=max_depth,
        scoring=scoring,
        fields=fields,
    )
    writes = write and tuned.recommended
    if writes:
        write_tuned(path, tuned, named=configuration.named, now=now)
    show_tuning_in_prefect(tuned)
    return Tuning(tuned, path.resolve() if writes else None)
