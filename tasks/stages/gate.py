"""The stage that asks the gates: facts about the new release are gathered, and held against the one that is live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.records import ACCOUNT
from nightrank.storage.release.chunks import texts_without_row
from nightrank.storage.release.compare import former_rankings, paired_rankings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.whole import whole_file
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.audit import audit_bm25
from nightrank.tasks.evaluate.measures import named_queries
from nightrank.tasks.evaluate.single_stages import best_stage
from nightrank.tasks.gates.account import account_gate
from nightrank.tasks.gates.drift import (
    overlap_drift_gate,
    quality_drift,
    quality_drift_gate,
    ranking_drifts,
    top1_drift_gate,
)
from nightrank.tasks.gates.judgments import JudgmentCounts, judgments_gate, still_meant
from nightrank.tasks.gates.profile import profile_gate, shifts, unrelated_gate
from nightrank.tasks.gates.quality import judged_rankings, judged_share, quality_change, worse_of
from nightrank.tasks.gates.query_names import query_names
from nightrank.tasks.gates.ranking_changes import lost_queries, ranking_changes
from nightrank.tasks.gates.rules import (
    Incomparable,
    best_stage_gate,
    bm25_gate,
    coverage_gate,
    empty_gate,
    integrity_gate,
    judged_gate,
    kept_gate,
    non_inferiority_gate,
    overlap_gate,
    overridden,
    source_age_gate,
    top1_gate,
)
from nightrank.tasks.rank.documents import document_numbers, documents_behind
from nightrank.tasks.read.account import Account, as_rows, of_rows
from nightrank.tasks.read.age import source_age_days
from nightrank.tasks.read.folder.named import files_named
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.stages.gate_records import (
    LiveRecords,
    all_candidates,
    digests_of,
    keep_judgments,
    keep_past,
    profile_of,
)
from nightrank.tasks.trec.leg import run_filtered, runs_of
from nightrank.tasks.trec.qrels import judgments_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.records import Judgment
    from nightrank.storage.release.manifest import Gate, Manifest
    from nightrank.tasks.bm25.audit import Bm25Audit
    from nightrank.tasks.filters.queries import QueryFilters
    from nightrank.tasks.gates.past import Past
    from nightrank.tasks.gates.quality import JudgedRankings
    from nightrank.tasks.gates.ranking_changes import LostQueries, RankingChanges
    from nightrank.tasks.gates.rules import QualityChange
    from nightrank.tasks.night import Night
    from nightrank.tasks.read.account import Entry
    from nightrank.tasks.stages.built import Built
    from nightrank.tasks.stages.measure import Measured
    from nightrank.tasks.trec.leg import RunFiltered

AUDITED_SCORES = 200


class GateVerdicts(NamedTuple):
    """What the gates said, and what the user should know of it though nothing failed."""

    gates: list[Gate]
    warnings: tuple[str, ...]


@stage_task("gates")
def ask_gates(night: Night, built: Built, measured: Measured, accept: Sequence[str] = ()) -> GateVerdicts:
    """Ask every gate.

    Args:
        night: The run.
        built: The new release.
        measured: What was measured of it.
        accept: Gates that may fail: they are marked as accepted where they do.
    """
    live, queries, inputs = _live(night, night.current), built.asked.queries.read(), built.inputs
    new = _New(built, queries, built.asked.filters(queries), judgments_in(night))
    runs, kept = _runs_filtered(night, new), LiveRecords.of(night)
    gates = [*_soundness(night, new), *_changes(night, live, runs, new, kept)]
    limits, alone = night.settings.gates, measured.single_stages.read()
    found, max_loss = best_stage(alone), _limit(limits.best_stage, off=1.0)
    gates.append(best_stage_gate(found, judged=alone.num_rows > 0, max_loss=max_loss))
    gates.append(coverage_gate(inputs.coverage, min_coverage=_limit(limits.min_coverage, off=0.0)))
    if limits.max_source_age_days is not None:
        days = source_age_days(
            night.settings.documents, base=night.base, named=files_named(night.settings, base=night.base), now=night.now
        )
        gates += [] if days is None else [source_age_gate(days, max_days=limits.max_source_age_days)]
    gates.append(_account_gate(night, built, kept.past))
    gates += _profile_gates(night, built, kept)
    gates = overridden(gates, accept)
    keep_judgments(night, new.judgments)
    keep_past(night, built, kept.past, new.judgments, accepted=[gate.name for gate in gates if gate.accepted])
    warnings = [warning for run in runs for warning in run.warnings()]
    if isinstance(live, Incomparable) and live.damaged:
        warnings.append(f"The release was not compared with the live one: {live.reason}.")
    return GateVerdicts(gates, tuple(warnings))


def judgments_in(night: Night) -> list[Judgment]:
    """The qrels of today."""
    return judgments_of(night.settings.judgments, base=night.base, account=Account())


def _profile_gates(night: Night, built: Built, kept: LiveRecords) -> list[Gate]:
    """What of texts and queries, judged or not, has moved."""
    limits, profile = night.settings.gates, profile_of(night, built)
    found = kept.profile if isinstance(kept.profile, Incomparable) else shifts(kept.profile, profile)
    return [
        unrelated_gate(kept.profile, profile, max_unrelated=_limit(limits.max_unrelated, off=1.0)),
        profile_gate(found, max_shift=_limit(limits.max_shift, off=1.0)),
    ]


def _account_gate(night: Night, built: Built, past: Past) -> Gate:
    """What was read, kept for the next night, against what the live release was made from."""
    kept = night.files.account
    kept.write(pa.Table.from_pylist(as_rows(built.account), schema=ACCOUNT))
    before: tuple[Entry, ...] | Incomparable
    if night.current is None:
        before = Incomparable("it is the first release")
    else:
        files = ReleaseFiles.of(night.workspace, night.current.release_id, only=[ReleaseFiles.account])
        whole = whole_file(files.account, night.current)
        before = Incomparable("the live release has no account") if whole is None else of_rows(whole.read().to_pylist())
    limit = _limit(night.settings.gates.max_text_lost, off=1.0)
    held = past.held_for("account").releases
    most = (max((of.documents_with_text for of in held), default=0), max((of.characters for of in held), default=0))
    days = night.settings.gates.drift_days
    return account_gate(built.account, before, most=most, days=days, max_text_lost=limit)


@dataclass(frozen=True, slots=True)
class _New:
    """The new release, its queries, schema QUERIES, with their filters, and the qrels."""

    built: Built
    queries: pa.Table
    filters: QueryFilters
    judgments: Sequence[Judgment]


def _soundness(night: Night, new: _New) -> list[Gate]:
    """Whether the new release is what its inputs make of it."""
    built, chunks = new.built, new.built.index.chunks
    table = night.open_chunks(built.index.vectors.table)
    with Bm25Store.open(new.built.index.statistics.path) as store:
        faults = {
            "texts without a vector": texts_without_row(chunks.path, table.hashes()),
            "chunks that BM25 lacks": chunks.row_count() - store.chunk_count,
            "documents without a chunk": built.inputs.documents.row_count() - store.document_count(),
            "queries without an entry in the cache": new.queries.num_rows - built.results.queries,
            "candidates that a filter does not let through": _outside_filters(new),
        }
        audits = [bm25_gate(_audit(night, store, table, new))] if "bm25" in night.settings.retrieval.legs else []
        return [integrity_gate(faults), *audits]


def _outside_filters(new: _New) -> int:
    if not new.filters.allowed.packed:
        return 0
    candidates = new.built.candidates.read(["query_key", "chunk_number"])
    return new.filters.outside(new.queries.column("query_key"), candidates).size


def _audit(night: Night, store: Bm25Store, table: ChunkTable, new: _New) -> Bm25Audit:
    def texts_of(hashes: pa.Array) -> dict[str, str]:
        rows = table.rows(hashes, ["text"])
        return dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))

    return audit_bm25(
        store,
        new.queries.column("text").to_pylist(),
        new.built.bm25_leg.read(),
        texts_of=texts_of,
        settings=night.settings.bm25,
        analyser=Analyser.of(night.settings.bm25),
        depth=night.settings.retrieval.candidate_depth,
        sample=AUDITED_SCORES,
        generator=np.random.default_rng(night.seed),
        documents=documents_behind(document_numbers(store), night.settings),
        filters=new.filters,
    )


def _runs_filtered(night: Night, new: _New) -> list[RunFiltered]:
    """What filters leave out of the runs that stand in for legs."""
    names, filters, runs = runs_of(night.settings.retrieval), new.filters, new.built.inputs.external_runs
    if not runs or not filters.allowed.packed:
        return []
    with Bm25Store.open(new.built.index.statistics.path) as store:
        documents = store.chunks(["document_id"]).column(0).combine_chunks()
    return [run_filtered(run.read(), documents, name=names[leg], allowed=filters.by_query) for leg, run in runs.items()]


@dataclass(frozen=True, slots=True)
class _Live:
    """What readers see, as its manifest says: the search cache, and its queries, schema QUERIES."""

    results: Path
    queries: pa.Table


def _changes(
    night: Night, live: _Live | Incomparable, runs: Sequence[RunFiltered], new: _New, kept: LiveRecords
) -> list[Gate]:
    """What readers would see change, and what that is worth on judged queries.

    Where a filter leaves nothing of another engine's leg, the other leg alone answers, and may have nothing either.
    """
    limits, queries, results = night.settings.gates, new.queries, new.built.results.results.path
    judged_live = () if isinstance(kept.judgments, Incomparable) else kept.judgments
    judged = {judgment.query_id for judgment in (*new.judgments, *judged_live)}
    ids_by_key = named_queries(queries, judged)
    query_keys = queries.column("query_key")
    emptied = query_keys.take(pa.array(sorted({query for run in runs for query in run.emptied}), pa.int32()))
    without_chunks = new.filters.letting_nothing_through(query_keys)
    changes = ranking_changes(
        paired_rankings(live.results if isinstance(live, _Live) else None, results),
        judged=ids_by_key.keys(),
        persistence=limits.rbo_p,
        unanswerable=without_chunks.union(emptied.to_pylist()),
    )
    quality: QualityChange | Incomparable
    alike: RankingChanges | Incomparable
    former: LostQueries | Incomparable
    if isinstance(live, Incomparable):
        quality = alike = former = live
        rankings, lost = judged_rankings((changes.judged, ids_by_key)), []
    else:
        former_ids = named_queries(live.queries, judged)
        former = lost_queries(former_rankings(live.results, results), judged=former_ids.keys())
        rankings = judged_rankings((changes.judged, ids_by_key), (former.judged, former_ids))
        lost = query_names(live.queries, former.lost_keys)
        quality = _quality(night, new, rankings, judged_live)
        alike = changes if changes.compared else Incomparable("no query has results in both releases")
    ignore_identical_ids = night.settings.judgments.ignore_identical_ids
    judged_at_10 = judged_share(rankings.after, new.judgments, ignore_identical_ids=ignore_identical_ids)
    judged_now = len({judgment.query_id for judgment in new.judgments})
    least_alike, empty = (query_names(queries, keys) for keys in (changes.least_alike, changes.empty_keys))
    return [
        non_inferiority_gate(quality, margin=_limit(limits.margin, off=1.0)),
        overlap_gate(alike, least_alike=least_alike, min_overlap=_limit(limits.min_overlap, off=0.0)),
        top1_gate(alike, max_top1_changed=_limit(limits.max_top1_changed, off=1.0)),
        kept_gate(former, named=lost, min_kept=_limit(limits.min_kept, off=0.0)),
        empty_gate(changes, named=empty, max_empty=_limit(limits.max_empty, off=1.0)),
        judged_gate(judged_at_10, queries=judged_now, min_judged=_limit(limits.min_judged, off=0.0)),
        judgments_gate(
            new.judgments,
            kept.judgments,
            most=JudgmentCounts.most([of.judged for of in kept.past.held_for("judgments").releases]),
            days=limits.drift_days,
            max_lost=_limit(limits.max_judgments_lost, off=1.0),
        ),
        *_drift_gates(night, new, kept.past, rankings.after),
    ]


def _quality(
    night: Night, new: _New, rankings: JudgedRankings, judged_live: Sequence[Judgment]
) -> QualityChange | Incomparable:
    """Both releases by the judgments of today, and by those of the live release, whichever says worse."""

    def by(judgments: Sequence[Judgment], whose: str = "") -> QualityChange | Incomparable:
        return quality_change(
            rankings,
            judgments,
            measure=night.settings.gates.measure,
            confidence=night.settings.gates.confidence,
            ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
            generator=np.random.default_rng(new.built.inputs.seed),
            judged_by=whose,
        )

    today = by(new.judgments)
    documents = digests_of(new.built, [judgment.document_id for judgment in judged_live])
    meant = still_meant(judged_live, new.judgments, answered=rankings.after.keys(), documents=documents.keys())
    if set(meant) == set(new.judgments):
        return today
    return worse_of(today, by(meant, "the judgments of the live release"))


def _drift_gates(night: Night, new: _New, past: Past, judged: Mapping[str, Sequence[str]]) -> list[Gate]:
    """The new release against the best of some days.

    Args:
        night: The run.
        new: The new release.
        past: The releases of these days.
        judged: What the new release answers judged queries with, by query id.
    """
    limits, days = night.settings.gates, night.settings.gates.drift_days
    quality = quality_drift(
        past.held_for("quality"),
        judged,
        new.judgments,
        measure=limits.measure,
        confidence=limits.confidence,
        ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
        generator=np.random.default_rng(new.built.inputs.seed),
    )
    relevant = {judgment.document_id for judgment in new.judgments if judgment.grade > 0}
    held = past.held_for("rankings")
    keys = held.rankings.column("query_key").unique().to_pylist()
    then = pc.list_flatten(held.rankings.column("document_ids")).unique().to_pylist()
    digests = digests_of(new.built, [*relevant, *then])
    drifts = ranking_drifts(held, all_candidates(new.built, keys), digests, persistence=limits.rbo_p)
    return [
        quality_drift_gate(
            quality, days=days, gone=len(relevant - digests.keys()), max_drift=_limit(limits.max_drift, off=1.0)
        ),
        overlap_drift_gate(drifts, days=days, min_overlap=_limit(limits.min_overlap, off=0.0)),
        top1_drift_gate(drifts, days=days, max_top1_changed=_limit(limits.max_top1_changed, off=1.0)),
    ]


def _limit(wanted: float | None, *, off: float) -> float:
    """A limit; where it is switched off, the one that everything keeps: its gate says what it saw, and passes."""
    return off if wanted is None else wanted


def _live(night: Night, current: Manifest | None) -> _Live | Incomparable:
    """The release that readers see, where it is as its manifest says."""
    if current is None:
        return Incomparable("it is the first release")
    if ReleaseFiles.former_results.name in current.files:
        reason = f"the results of the current release {current.release_id} were made by an earlier version"
        return Incomparable(reason, damaged=True)
    files = ReleaseFiles.of(night.workspace, current.release_id)
    for file, what in ((files.results, "results"), (files.queries, "queries")):
        if whole_file(file, current) is None:
            reason = f"the {what} of the current release {current.release_id} are missing or damaged"
            return Incomparable(reason, damaged=True)
    return _Live(files.results.path, files.queries.read())
