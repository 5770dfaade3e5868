"""What a refresh reports: the same facts for people, for scripts and for Prefect's pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import GateRefused
from nightrank.storage.release.manifest import settings_as_json
from nightrank.tasks.counts import memo_use
from nightrank.tasks.gates.rules import FAULTS
from nightrank.tasks.read.account import as_rows

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Counts, Gate, Manifest
    from nightrank.tasks.evaluate.ladder import LadderStage
    from nightrank.tasks.evaluate.single_stages import BestStage
    from nightrank.tasks.query_log.dropped import Dropped
    from nightrank.tasks.read.account import Entry


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of one run.

    Attributes:
        manifest: Of the release that was made, or of the current one where there was nothing to do.
        published: Whether this run made a new release current.
        changed: Whether a new release was made; without one, the manifest's was made from the very same inputs.
        counts: Of this run.
        seconds: Of this run, by stage and in total.
        coverage: Share of the log's traffic that the chosen queries answer; None where people asked nothing.
        dropped: What of the log was not kept.
        account: What was read, and what of it was left out.
        ladder: What each stage of the release is worth and costs; empty without judgments.
        depths: Reranking depths and means by measure; empty without judgments or a reranker.
        best_stage: A single stage that is better than the published order beyond chance.
        warnings: What the user should know, though nothing failed.
    """

    manifest: Manifest
    published: bool
    changed: bool
    counts: Counts
    seconds: dict[str, float]
    coverage: float | None
    dropped: tuple[Dropped, ...]
    account: tuple[Entry, ...] = ()
    ladder: tuple[LadderStage, ...] = ()
    depths: tuple[tuple[int, dict[str, float]], ...] = ()
    best_stage: BestStage | None = None
    warnings: tuple[str, ...] = ()

    @property
    def refused(self) -> list[Gate]:
        """The gates that keep the release from being published."""
        return [gate for gate in self.manifest.gates if not gate.lets_through]

    @property
    def overridden(self) -> list[Gate]:
        """The gates that the release failed, and was published all the same."""
        return [gate for gate in self.manifest.gates if gate.accepted]

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``refresh --json``."""
        return {
            "release_id": self.manifest.release_id,
            "published": self.published,
            "changed": self.changed,
            "counts": self.counts.model_dump(),
            "memos": {
                name: {"needed": use.needed, "found": use.found, "hit_rate": round(use.hit_rate, 6)}
                for name, use in memo_use(self.counts).items()
            },
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "coverage": None if self.coverage is None else round(self.coverage, 6),
            "dropped": {drop.reason: {"rows": drop.rows, "traffic": drop.traffic} for drop in self.dropped},
            "account": [*as_rows(self.account)],
            "judged_by": self.manifest.judged_by,
            "known_items": None if self.manifest.known_items is None else settings_as_json(self.manifest.known_items),
            "measures": {stage: dict(values) for stage, values in self.manifest.measures.items()},
            "ladder": [stage.as_json() for stage in self.ladder],
            "depths": [{"depth": depth, **measures} for depth, measures in self.depths],
            "best_stage": None if self.best_stage is None else self.best_stage.as_json(),
            "gates": [settings_as_json(gate) for gate in self.manifest.gates],
            "warnings": list(self.warnings),
        }


class Refused(GateRefused):
    """A gate did not pass; it carries what the run did."""

    def __init__(self, summary: Summary) -> None:
        reasons = ". ".join(f"{gate.name}: {gate.reason}" for gate in summary.refused)
        names = [gate.name for gate in summary.refused]
        release_id = summary.manifest.release_id
        look = f"look into the reason (`nightrank report --release {release_id}`)"
        if summary.changed:
            message = f"The release {release_id} was built and is not published."
            remedy = f"The release that was live stays live; {look} and run again."
        else:
            at = f"{summary.manifest.created_at:%Y-%m-%d %H:%M} UTC"
            message = f"Nothing was built: from the very same inputs came the release {release_id}, refused {at}."
            remedy = (
                "The release that was live stays live; another is built once documents, log, judgments, models or "
                f"settings change, or another release is live; {look}."
            )
        if not any(name in FAULTS for name in names):
            accept = " ".join(f"--accept {name}" for name in names)
            remedy += f" If this change is meant: `nightrank refresh {accept}`."
        super().__init__(f"{message} {reasons}.", remedy=remedy)
        self.summary = summary

    @property
    def outcome(self) -> str:
        """Which gates refused."""
        return f"refused by {', '.join(gate.name for gate in self.summary.refused)}"

    @property
    def details(self) -> tuple[str, ...]:
        """The release, and why each gate refused."""
        gates = (f"Gate {gate.name}: {gate.reason}" for gate in self.summary.refused)
        made = "built" if self.summary.changed else f"built {self.summary.manifest.created_at:%Y-%m-%d %H:%M} UTC"
        return (f"Release: {self.summary.manifest.release_id}, {made} and not published", *gates)
