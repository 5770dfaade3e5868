"""The stage that asks the gates: facts about the new release are gathered, and held against the one that is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.records import ACCOUNT, kind_of
from nightrank.storage.release.chunks import texts_without_row
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.whole import whole_file
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.audit import audit_bm25
from nightrank.tasks.evaluate.single_stages import best_stage
from nightrank.tasks.gates.account import account_gate
from nightrank.tasks.gates.advisory import RESTING, advised
from nightrank.tasks.gates.judgments import changed_kind
from nightrank.tasks.gates.known_items import known_change
from nightrank.tasks.gates.near import near_gate, near_warning
from nightrank.tasks.gates.profile.gates import profile_gate, shifts, unrelated_gate
from nightrank.tasks.gates.rules import (
    Incomparable,
    best_stage_gate,
    bm25_gate,
    coverage_gate,
    integrity_gate,
    known_items_gate,
    overridden,
    source_age_gate,
)
from nightrank.tasks.judge.shown import read_shown, why_advisory
from nightrank.tasks.rank.documents import document_numbers, documents_behind
from nightrank.tasks.read.account import Account, as_rows, of_rows
from nightrank.tasks.read.age import source_age_days
from nightrank.tasks.read.folder.named import files_named
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.stages.gate.changes import New, bound, change_gates, live_release
from nightrank.tasks.stages.gate.profiled import profile_of
from nightrank.tasks.stages.gate.records import LiveRecords, keep_judgments, keep_past
from nightrank.tasks.trec.leg import run_filtered, runs_of
from nightrank.tasks.trec.qrels import judgments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.records import Judgment
    from nightrank.storage.release.manifest import Gate, KnownItemsMeasured
    from nightrank.tasks.bm25.audit import Bm25Audit
    from nightrank.tasks.gates.past import Past
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
def ask_gates(
    night: Night, built: Built, measured: Measured, known: KnownItemsMeasured | None, accept: Sequence[str] = ()
) -> GateVerdicts:
    """Ask every gate.

    Args:
        night: The run.
        built: The new release.
        measured: What was measured of it.
        known: By known items; None where there are none.
        accept: Gates that may fail: they are marked as accepted where they do.
    """
    live, queries, inputs = live_release(night, night.current), built.asked.queries.read(), built.inputs
    new = New(built, queries, built.asked.filters(queries), judgments_in(night))
    runs, kept = _runs_filtered(night, new), LiveRecords.of(night)
    gates = [*_soundness(night, new), *change_gates(night, live, runs, new, kept)]
    limits, alone = night.settings.gates, measured.single_stages.read()
    found, max_loss = best_stage(alone), bound(limits.best_stage, off=1.0)
    if known is not None or limits.known_items is not None:
        gates.append(_known_items_gate(night, built, known))
    gates.append(best_stage_gate(found, judged=kind_of(new.judgments), max_loss=max_loss))
    gates.append(coverage_gate(inputs.coverage, min_coverage=bound(limits.min_coverage, off=0.0)))
    if limits.max_source_age_days is not None:
        named = files_named(night.settings, base=night.base)
        days = source_age_days(
            night.settings.documents, base=night.base, named=named, now=night.now, keeping=night.keeping
        )
        gates += [] if days is None else [source_age_gate(days, max_days=limits.max_source_age_days)]
    gates.append(_account_gate(night, built, kept.past))
    gates += _profile_gates(night, built, kept)
    near = built.near.record
    gates += [] if near is None else [near_gate(near, required=night.settings.near.required)]
    gates = overridden(_advised(night, new, gates, live=kept.judgments), accept)
    keep_judgments(night, new.judgments)
    ended = [gate.name for gate in gates if gate.accepted]
    if not isinstance(kept.judgments, Incomparable) and changed_kind(new.judgments, kept.judgments):
        ended.append("judgments")  # how much was judged of another kind is nothing to hold later nights against
    keep_past(night, built, kept.past, new.judgments, ended=ended)
    warnings = [warning for run in runs for warning in run.warnings()]
    if isinstance(live, Incomparable) and live.damaged:
        warnings.append(f"The release was not compared with the live one: {live.reason}.")
    if kept.damaged:
        warnings.append(
            f"Of the live release {', '.join(kept.damaged)} are missing or damaged: they were not compared with, "
            "and the record begins anew."
        )
    if near is not None and (told := near_warning(near)) is not None:
        warnings.append(told)
    return GateVerdicts(gates, tuple(warnings))


def _known_items_gate(night: Night, built: Built, known: KnownItemsMeasured | None) -> Gate:
    """Known items against the live release's; off unless somebody asks for it, and told all the same."""
    limits = night.settings.gates
    nothing = Incomparable("nothing is measured by known items")
    change = nothing if known is None else _known_change(night, built)
    return known_items_gate(change, margin=bound(limits.known_items, off=1.0))


def _known_change(night: Night, built: Built) -> QualityChange | Incomparable:
    if night.current is None:
        return Incomparable("it is the first release")
    files = ReleaseFiles.of(night.workspace, night.current.release_id, only=[ReleaseFiles.known_evaluation])
    before = whole_file(files.known_evaluation, night.current)
    if before is None:
        return Incomparable("the live release has no known items")
    rows = night.files.known_items.read(["item", "text"]).to_pylist()
    return known_change(
        before.read(),
        night.files.known_evaluation.read(),
        texts={row["item"]: row["text"] for row in rows},
        measure=night.settings.gates.measure,
        confidence=night.settings.gates.confidence,
        generator=np.random.default_rng(built.inputs.seed),
    )


def judgments_in(night: Night) -> list[Judgment]:
    """The qrels of today."""
    return judgments_of(night.settings.judgments, base=night.base, account=Account())


def _advised(night: Night, new: New, gates: list[Gate], *, live: Sequence[Judgment] | Incomparable) -> list[Gate]:
    """Where a model judged, its agreement with people decides whether gates rest on that.

    On the night after people's judgments the comparison with the live release rests on these, too, and refuses by them.
    """
    if kind_of(new.judgments) != "model" or night.settings.judgments.qrels is None:
        return gates
    qrels = night.base / night.settings.judgments.qrels
    by_people = not isinstance(live, Incomparable) and kind_of(live) == "people"
    resting = [name for name in RESTING if not (by_people and name == "non_inferiority")]
    record = read_shown(qrels)
    told = "" if record is None else f"a model judged; agreement {record.told}"
    return advised(gates, resting_on=told, why_not=why_advisory(qrels), resting=resting)


def _profile_gates(night: Night, built: Built, kept: LiveRecords) -> list[Gate]:
    """What of texts and queries, judged or not, has moved."""
    limits, profile = night.settings.gates, profile_of(night, built)
    found = kept.profile if isinstance(kept.profile, Incomparable) else shifts(kept.profile, profile)
    return [
        unrelated_gate(kept.profile, profile, max_unrelated=bound(limits.max_unrelated, off=1.0)),
        profile_gate(found, max_shift=bound(limits.max_shift, off=1.0)),
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
    most_lost = bound(night.settings.gates.max_text_lost, off=1.0)
    held = past.held_for("account").releases
    most = (max((of.documents_with_text for of in held), default=0), max((of.characters for of in held), default=0))
    days = night.settings.gates.drift_days
    return account_gate(built.account, before, most=most, days=days, max_text_lost=most_lost)


def _soundness(night: Night, new: New) -> list[Gate]:
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


def _outside_filters(new: New) -> int:
    if not new.filters.allowed.packed:
        return 0
    candidates = new.built.candidates.read(["query_key", "chunk_number"])
    return new.filters.outside(new.queries.column("query_key"), candidates).size


def _audit(night: Night, store: Bm25Store, table: ChunkTable, new: New) -> Bm25Audit:
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


def _runs_filtered(night: Night, new: New) -> list[RunFiltered]:
    """What filters leave out of the runs that stand in for legs."""
    names, filters, runs = runs_of(night.settings.retrieval), new.filters, new.built.inputs.external_runs
    if not runs or not filters.allowed.packed:
        return []
    with Bm25Store.open(new.built.index.statistics.path) as store:
        documents = store.chunks(["document_id"]).column(0).combine_chunks()
    return [run_filtered(run.read(), documents, name=names[leg], allowed=filters.by_query) for leg, run in runs.items()]
