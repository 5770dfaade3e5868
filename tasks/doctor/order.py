"""The check that candidates stand in the order that a release names: its learned order, or its weights, once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.doctor.faults import fault_of
from nightrank.storage.records import are_people_s
from nightrank.storage.wide import coded, rows_at, sorted_rows
from nightrank.tasks.doctor.examined import Findings
from nightrank.tasks.rank.candidate_grams import grams_of, texts_by_key
from nightrank.tasks.rank.learned import FORMAT
from nightrank.tasks.rank.order import Weighing, entries_of
from nightrank.tasks.rank.order_file import order_fingerprint, order_of_release
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.storage.doctor.faults import Fault
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.doctor.examined import Examined


def check_order(examined: Examined) -> Findings:
    """The manifest's learned order is the one that it names, and gives the candidates' scores once more.

    So do plain weights where these order. Nothing is compared where the manifest does not hold a learned order that
    this version reads, as those of older versions do not, or where several chunks of a document are candidates: of
    equal entries the first ranks higher, and candidates do not tell which that was.
    """
    manifest = examined.manifest
    release = StoredRelease.open(examined.workspace, manifest.release_id)
    learned = order_of_release(manifest)
    if learned is not None and manifest.order_model.get("format") != FORMAT:
        return Findings({}, [])
    if order_fingerprint(learned) != manifest.inputs.order:
        return Findings({}, fault_of("learned order that is not the one that the release names", ["order_model"]))
    if release.settings.retrieval.chunks_per_document > 1:
        return Findings({}, [])
    candidates = sorted_rows(
        examined.files.candidates.read(), [("query_key", "ascending"), ("fused_rank", "ascending")]
    )
    inputs, named = manifest.inputs, release.settings.reranker.weight
    weight = inputs.reranker_weight if named is None else named
    weighing = Weighing.of(release.settings, learned, weight=weight, log=manifest.log_means)
    asked = examined.files.queries.read()
    faults = _faults(candidates, weighing, asked)
    if learned is not None:
        faults += _other_grams(candidates, asked, examined.table())
    return Findings({"scores": candidates.num_rows}, faults)


def _faults(candidates: pa.Table, weighing: Weighing, asked: pa.Table) -> list[Fault]:
    """Means over the log, and final scores, that are not what the candidates, by query and fused rank, give again."""
    if not candidates.num_rows:
        return []
    groups = coded(candidates.column("query_key"))
    entries = entries_of(candidates, queries=groups.indices.to_numpy(zero_copy_only=False))
    people = are_people_s(groups.dictionary, asked)
    pair_scores = candidates.column("pair_score").to_numpy()  # NaN where it is null
    told, means = weighing.log or {}, weighing.log_means(entries, pair_scores, people=people)
    moved = [name for name in means if means[name] != told.get(name)]
    differing = np.flatnonzero(weighing.final_scores(entries, pair_scores) != candidates.column("score").to_numpy())
    return [
        *fault_of("lists whose means over the log are others", moved),
        *fault_of("candidates with another final score", _names(candidates, differing)),
    ]


def _other_grams(candidates: pa.Table, asked: pa.Table, table: ChunkTable) -> list[Fault]:
    """Candidates whose grams are not those of their queries and texts, as far as there are such ones."""
    texts = table.rows(pc.unique(candidates.column("chunk_hash")), []).column("chunk_hash").combine_chunks()
    there = pc.and_(
        pc.is_in(candidates.column("query_key"), value_set=asked.column("query_key").combine_chunks()),
        pc.is_in(candidates.column("chunk_hash"), value_set=texts),
    )
    known = candidates.filter(there)
    found = grams_of(known, texts_by_key(asked), table)
    differing = pc.fill_null(pc.not_equal(known.column("grams"), found), True).to_numpy()
    names = _names(known, np.flatnonzero(differing))
    return fault_of("candidates whose grams are not those of their texts", names)


def _names(candidates: pa.Table, rows: NDArray[np.intp]) -> list[str]:
    found = rows_at(candidates.select(["query_key", "chunk_id"]), rows).to_pylist()
    return [f"{row['query_key']} {row['chunk_id']}" for row in found]
