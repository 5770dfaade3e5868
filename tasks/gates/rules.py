"""Gates: what must hold before a release is published. Each is a function from facts to a verdict.

Who gathers the facts is ``tasks.stages.gate.ask``. Where there is nothing to compare with, a gate passes and says so.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.release.manifest import Gate
from nightrank.tasks.gates.query_names import plain_name
from nightrank.tasks.names import judged_queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nightrank.storage.judged import JudgedBy
    from nightrank.tasks.bm25.audit import Bm25Audit
    from nightrank.tasks.evaluate.single_stages import BestStage
    from nightrank.tasks.gates.ranking_changes import LostQueries, RankingChanges

GATES = (
    "integrity",
    "bm25_audit",
    "non_inferiority",
    "overlap",
    "top1",
    "kept",
    "empty",
    "judged",
    "judgments",
    "known_items",
    "quality_drift",
    "overlap_drift",
    "top1_drift",
    "best_stage",
    "coverage",
    "source_age",
    "account",
    "unrelated",
    "profile",
    "near_error",
)
ALWAYS = "integrity"  # the gate that nobody can override
FAULTS = (ALWAYS, "bm25_audit")  # where these fail something is broken: nobody means that
# They look at the clock, at past releases, or at what was left out of the inputs.
MAY_CHANGE = ("quality_drift", "overlap_drift", "top1_drift", "coverage", "source_age", "account")
# Of the same release beside the same live one they say the same again; of what is broken another build may not be.
SAY_THE_SAME = tuple(name for name in GATES if name not in (*FAULTS, *MAY_CHANGE))
OFF = 1.0  # a margin, or a share that may be lost, which is everything


@dataclass(frozen=True, slots=True)
class Incomparable:
    """Why a release cannot be held against the one that is live.

    Attributes:
        reason: A clause.
        damaged: Whether there is one that could be compared with, were it whole.
    """

    reason: str
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class QualityChange:
    """What a measure did on the judged queries that the live release answers: after less before.

    Attributes:
        measure: Its name.
        queries: How many.
        before: Mean of the current release.
        after: Mean of the new one.
        difference: Of the means; 0 where it is rounding.
        low: Lower end of the one-sided interval of the mean difference.
        worst: Ids of the queries that lost most, the worst first; those alone that lost something.
        judged_by: Whose judgments it is by, in words, where they are not those of today.
        kind: What these judgments rest on.
    """

    measure: str
    queries: int
    before: float
    after: float
    difference: float
    low: float
    worst: Sequence[str]
    judged_by: str = ""
    kind: JudgedBy = "people"


def integrity_gate(faults: Mapping[str, int]) -> Gate:
    """Passes where nothing is missing and nothing is left over.

    Args:
        faults: What was looked for, and how often it was found; all zero in a whole release.
    """
    found = {name: count for name, count in faults.items() if count}
    reason = (
        "; ".join(f"{count} {name}" for name, count in found.items()) or "chunks, vectors, candidates and results agree"
    )
    return Gate(name="integrity", passed=not found, value=float(sum(found.values())), threshold=0.0, reason=reason)


def bm25_gate(audit: Bm25Audit) -> Gate:
    """Passes where a sample of scores is what rank-bm25 computes from the texts of chunks, and none is missing."""
    reason = f"{audit.pairs} scores compared with rank-bm25, terms of {audit.chunks} chunks with their text"
    if audit.misread:
        misread = _listed([*map(plain_name, audit.misread)])
        reason += f"; the index does not hold what the queries' analysis reads in {misread}"
    if audit.missed:
        reason += f"; {audit.missed} that belong among the candidates are not there"
    return Gate(
        name="bm25_audit",
        passed=audit.passed,
        value=audit.largest_difference,
        threshold=audit.tolerance,
        reason=reason,
    )


def non_inferiority_gate(change: QualityChange | Incomparable, *, margin: float) -> Gate:
    """Fails where the mean fell, and may have fallen by a margin or more: results must not be worse, with confidence.

    Where the mean did not fall, a wide interval says only that few queries are judged, or that many results changed.
    """
    if isinstance(change, Incomparable):
        return Gate.not_compared("non_inferiority", change.reason, value=0.0, threshold=-margin)
    above = change.low > -margin
    by = f", by {change.judged_by}" if change.judged_by else ""
    reason = (
        f"{change.measure} on {change.queries} {judged_queries(change.kind)}{by}: {change.before:.4f} live, "
        f"{change.after:.4f} now; the difference may be as low as {change.low:+.4f}"
    )
    if above or change.difference < 0.0:
        reason += f", and must be above {-margin:g}"
    else:
        reason += f": the interval is wide ({change.queries} {judged_queries(change.kind)}), but the mean did not fall"
    if change.worst:
        reason += f"; lost most: {_listed(change.worst)}"
    passed = above or change.difference >= 0.0 or margin >= OFF
    return Gate(name="non_inferiority", passed=passed, value=change.low, threshold=-margin, reason=reason)


def known_items_gate(change: QualityChange | Incomparable, *, margin: float) -> Gate:
    """As ``non_inferiority_gate``, on titles and headings that ask for their own documents."""
    return non_inferiority_gate(change, margin=margin).model_copy(update={"name": "known_items"})


def overlap_gate(changes: RankingChanges | Incomparable, *, least_alike: Sequence[str], min_overlap: float) -> Gate:
    """Passes where the results are, in the mean, enough like the current release's.

    Args:
        changes: Of both releases' rankings; at least one query is compared.
        least_alike: Names of the queries that changed most.
        min_overlap: What the mean rank-biased overlap must be at least.
    """
    if isinstance(changes, Incomparable):
        return Gate.not_compared("overlap", changes.reason, value=1.0, threshold=min_overlap)
    overlap = changes.overlap
    reason = (
        f"mean rank-biased overlap {overlap:.4f} over {changes.compared} queries, at least {min_overlap:g} is asked"
    )
    if least_alike:
        reason += f"; least alike: {_listed(least_alike)}"
    return Gate(name="overlap", passed=overlap >= min_overlap, value=overlap, threshold=min_overlap, reason=reason)


def top1_gate(changes: RankingChanges | Incomparable, *, max_top1_changed: float) -> Gate:
    """Passes where few enough queries have another first document than in the current release.

    Args:
        changes: Of both releases' rankings; at least one query is compared.
        max_top1_changed: The share that may.
    """
    if isinstance(changes, Incomparable):
        return Gate.not_compared("top1", changes.reason, value=0.0, threshold=max_top1_changed)
    share = changes.top1_changed / changes.compared
    reason = (
        f"{changes.top1_changed} of {changes.compared} queries have another first document ({share:.1%}), "
        f"up to {max_top1_changed:.1%} may"
    )
    return Gate(name="top1", passed=share <= max_top1_changed, value=share, threshold=max_top1_changed, reason=reason)


def kept_gate(changes: LostQueries | Incomparable, *, named: Sequence[str], min_kept: float) -> Gate:
    """Passes where enough of the current release's queries are still answered.

    Args:
        changes: Of the current release's rankings.
        named: Names of a few that are lost.
        min_kept: The share that must be kept at least.
    """
    if not isinstance(changes, Incomparable) and not changes.queries:
        changes = Incomparable("people asked nothing of what the current release answers")
    if isinstance(changes, Incomparable):
        return Gate.not_compared("kept", changes.reason, value=1.0, threshold=min_kept)
    kept = changes.queries - changes.lost
    share = kept / changes.queries
    reason = (
        f"{kept} of the {changes.queries} queries of the current release are still answered ({share:.1%}), "
        f"at least {min_kept:.1%} is asked"
    )
    if named:
        reason += f"; among those lost: {_listed(named)}"
    return Gate(name="kept", passed=share >= min_kept, value=share, threshold=min_kept, reason=reason)


def empty_gate(changes: RankingChanges, *, named: Sequence[str], max_empty: float) -> Gate:
    """Passes where few enough queries have no result.

    Args:
        changes: Of the release's rankings; it holds at least one query.
        named: Names of a few queries without.
        max_empty: The share that may.
    """
    share = changes.empty / changes.queries
    reason = f"{changes.empty} of {changes.queries} queries have no result ({share:.1%}), up to {max_empty:.1%} may"
    if named:
        reason += f"; among them: {_listed(named)}"
    return Gate(name="empty", passed=share <= max_empty, value=share, threshold=max_empty, reason=reason)


def judged_gate(judged: float, *, queries: int, kind: JudgedBy | None = None, min_judged: float) -> Gate:
    """Passes where enough of the results were judged for measures to say something.

    Args:
        judged: Mean Judged@10 over all judged queries; 0 where nothing is judged.
        queries: How many are judged.
        kind: What the judgments rest on; None of none.
        min_judged: What it must be at least.
    """
    reason = f"mean Judged@10 of {queries} {judged_queries(kind)} {judged:.4f}, at least {min_judged:g} is asked"
    if queries == 0:
        reason = "nothing is judged"
    return Gate(name="judged", passed=judged >= min_judged, value=judged, threshold=min_judged, reason=reason)


def best_stage_gate(found: BestStage | None, *, judged: JudgedBy | None, max_loss: float) -> Gate:
    """Fails where a single stage is better than the order to be published, beyond chance and by more than is tolerated.

    Args:
        found: The best single stage that is better beyond chance; None where none is.
        judged: What the judgments rest on; None where nothing is judged.
        max_loss: What the published order may lose against it, in the measure of the gates.
    """
    loss = 0.0 if found is None else found.difference
    if judged is None:
        reason = "nothing is judged"
    elif found is not None:
        reason = f"{found.told}; up to {max_loss:g} may be lost"
    else:
        reason = "no single stage is better than the published order beyond chance"
    if judged not in (None, "people"):
        reason += f", on {judged_queries(judged)}"
    return Gate(name="best_stage", passed=loss <= max_loss, value=loss, threshold=max_loss, reason=reason)


def coverage_gate(coverage: float | None, *, min_coverage: float) -> Gate:
    """Passes where the chosen queries answer enough of the log's traffic.

    Args:
        coverage: The share that they answer; None where people asked nothing.
        min_coverage: What it must be at least.
    """
    if coverage is None:
        return Gate.not_compared("coverage", "people asked nothing", value=1.0, threshold=min_coverage)
    reason = f"{coverage:.4f} of the log's traffic is answered, at least {min_coverage:g} is asked"
    return Gate(name="coverage", passed=coverage >= min_coverage, value=coverage, threshold=min_coverage, reason=reason)


def source_age_gate(days: float, *, max_days: float) -> Gate:
    """Passes where the source is fresh enough.

    Args:
        days: Since its newest file was written.
        max_days: What that may be.
    """
    return Gate(
        name="source_age",
        passed=days <= max_days,
        value=days,
        threshold=max_days,
        reason=f"the newest file of the source was written {days:.1f} days ago, up to {max_days:g} are allowed",
    )


def overridden(gates: Iterable[Gate], accept: Iterable[str]) -> list[Gate]:
    """The gates, where those that failed and are named are marked as accepted all the same."""
    names = frozenset(accept)
    return [gate.model_copy(update={"accepted": not gate.passed and gate.name in names}) for gate in gates]


def check_overrides(accept: Iterable[str]) -> None:
    """Make sure that gates of these names can be overridden.

    Raises:
        InputError: There is no gate of a name, or it is never overridden.
    """
    for name in accept:
        if name == ALWAYS:
            raise InputError(
                f"The gate {ALWAYS} cannot be overridden: where the stores of a release do not agree, its answers are "
                "wrong, whatever their quality.",
                remedy="Look into its reason; `nightrank refresh` builds what is missing.",
            )
        if name not in GATES:
            near = difflib.get_close_matches(name.casefold(), GATES, n=1, cutoff=0.5)
            raise InputError(
                f"There is no gate {name!r}.",
                remedy=(f'Did you mean "{near[0]}"? ' if near else "") + f"Gates: {', '.join(GATES)}.",
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
