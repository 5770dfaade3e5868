"""What a refresh records of its release: the manifest, with the counts that the stages' outcomes give."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from nightrank.flows.settings_file import portable
from nightrank.storage.release.documents import changes_between
from nightrank.storage.release.manifest import Counts, Manifest, settings_as_json
from nightrank.tasks.hosted.key import without_key_place
from nightrank.tasks.read.account import totals

if TYPE_CHECKING:
    from nightrank.flows.night.build import Build
    from nightrank.storage.release.documents import Changes
    from nightrank.storage.release.manifest import KnownItemsMeasured
    from nightrank.tasks.stages.built import Built
    from nightrank.tasks.stages.gate.ask import GateVerdicts
    from nightrank.tasks.stages.measure import Measured


def record(
    build: Build, built: Built, measured: Measured, known: KnownItemsMeasured | None, verdicts: GateVerdicts
) -> Manifest:
    """The manifest of the release that a run has built, but for its files.

    Args:
        build: The run.
        built: What its stages made.
        measured: What was measured of it.
        known: By known items; None where there are none.
        verdicts: Of the gates.
    """
    night = build.night
    before = None if night.before is None else night.before.files.documents.path
    return Manifest(
        release_id=night.release_id,
        created_at=night.now,
        status="accepted" if all(gate.lets_through for gate in verdicts.gates) else "rejected",
        previous=None if night.current is None else night.current.release_id,
        nightrank=version("nightrank"),
        inputs=build.inputs_of(built.inputs),
        settings=settings_as_json(without_key_place(portable(night.settings, night.workspace))),
        chunk_table=built.index.vectors.table,
        counts=counts_of(built, changes_between(before, built.inputs.digests.path)),
        seconds=build.total_seconds(),
        measures={stage: dict(values) for stage, values in measured.means.items()},
        judged_by=measured.judged_by,
        known_items=known,
        gates=verdicts.gates,
        account=totals(built.account),
        log_means=built.reranked.log,
        order_model={} if build.learned is None else build.learned.stored(),
        files={},
    )


def counts_of(built: Built, changes: Changes) -> Counts:
    """How much a run saw and did.

    Args:
        built: What its stages made.
        changes: Of the documents.
    """
    vectors, pairs = built.index.vectors, built.reranked.pairs
    return Counts(
        **built.inputs.counts._asdict(),
        documents_added=changes.added,
        documents_edited=changes.edited,
        documents_metadata=changes.metadata,
        documents_removed=changes.removed,
        chunks=built.cut.count,
        texts=vectors.texts,
        chunks_embedded=vectors.embedded,
        vectors_checked=built.queries.checked + built.encoded.checked,
        postings_written=built.index.postings,
        queries_embedded=built.queries.embedded,
        queries_scanned=built.dense.scanned,
        pairs=pairs.pairs,
        pairs_scored=pairs.scored,
        scores_checked=pairs.checked,
        pairs_left=pairs.left,
        queries_left=pairs.queries_left,
        snippets_made=built.results.snippets_made,
        sparse_texts=0 if built.encoded.memo is None else vectors.texts,
        sparse_texts_encoded=built.encoded.texts,
        sparse_queries_encoded=built.encoded.queries,
        sparse_queries_scanned=built.weighted.scanned,
        searches=pairs.searches,
    )
