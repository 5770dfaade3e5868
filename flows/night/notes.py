"""What the user should know of a refresh, though nothing failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.counts import spending_cap
from nightrank.tasks.gates.rules import source_age_gate
from nightrank.tasks.read.age import source_age_days
from nightrank.tasks.read.folder.named import files_named
from nightrank.tasks.read.told import warnings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.night.build import Build
    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.evaluate.single_stages import BestStage
    from nightrank.tasks.read.account import Entry
    from nightrank.tasks.stages.read import InputsRead

MOST_SCREENED = 0.5  # of a log's traffic; with more it is likelier that a rule is wrong than that the log is


def notes_on_release(
    inputs: InputsRead, account: Sequence[Entry], manifest: Manifest, best_stage: BestStage | None
) -> tuple[str, ...]:
    """Of a new release, what it was made from, and the stage that is better than its order."""
    unknown = f"{inputs.judgments_unknown} judged queries are not among the queries of the release; each scores 0."
    notes = (
        unknown if inputs.judgments_unknown else None,
        *warnings_of(account),
        *_much_screened(inputs),
        *_of_external_runs(inputs),
        *note_on_best_stage(manifest, best_stage),
        spending_cap(manifest.counts),
    )
    return tuple(note for note in notes if note is not None)


def notes_on_nothing(build: Build, inputs: InputsRead) -> tuple[str, ...]:
    """Of a run that found the current release up to date."""
    return (*warnings_of(inputs.account), *_much_screened(inputs), *_of_external_runs(inputs), *_stale_source(build))


def note_on_best_stage(manifest: Manifest, best_stage: BestStage | None) -> tuple[str, ...]:
    """Of a stage that is better than a release's order; none where the gate has said it."""
    told = any(gate.name == "best_stage" and not gate.passed for gate in manifest.gates)
    return () if best_stage is None or told else (best_stage.warning,)


def _much_screened(inputs: InputsRead) -> tuple[str, ...]:
    if inputs.screened <= MOST_SCREENED:
        return ()
    rules = "[queries].max_per_minute, robot_agents and drop_list"
    told = f"{inputs.screened:.0%} of the log's traffic was taken for robots' or was on the drop list: check {rules}."
    return (told,)


def _of_external_runs(inputs: InputsRead) -> tuple[str, ...]:
    return tuple(warning for run in inputs.runs for warning in run.warnings(queries=inputs.counts.queries))


def _stale_source(build: Build) -> tuple[str, ...]:
    """A night that finds nothing to do asks no gate, and is what a source that is never delivered looks like."""
    settings, base = build.night.settings, build.night.base
    if settings.gates.max_source_age_days is None:
        return ()
    named, night = files_named(settings, base=base), build.night
    days = source_age_days(settings.documents, base=base, named=named, now=night.now, keeping=night.keeping)
    if days is None:
        return ()
    gate = source_age_gate(days, max_days=settings.gates.max_source_age_days)
    return () if gate.passed else (f"The source may be stale: {gate.reason}.",)
