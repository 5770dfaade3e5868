"""The check that candidates stand in the order that a release names: its learned order, or its weights, once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.doctor.faults import fault_of
from nightrank.storage.records import are_people_s
from nightrank.tasks.doctor.examined import Findings
from nightrank.tasks.rank.order import Weighing, entries_of
from nightrank.tasks.rank.order_file import order_fingerprint, order_of_release
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    import pyarrow as pa

    from nightrank.storage.doctor.faults import Fault
    from nightrank.tasks.doctor.examined import Examined


def check_order(examined: Examined) -> Findings:
    """The manifest's learned order is the one that it names, and gives the candidates' scores once more.

    So do plain weights where these order. Nothing is compared where the manifest does not hold the learned order, as
    those of older versions do not, or where several chunks of a document are candidates: of equal entries the first
    ranks higher, and candidates do not tell which that was.
    """
    manifest = examined.manifest
    release = StoredRelease.open(examined.workspace, manifest.release_id)
    learned = order_of_release(manifest)
    if learned is not None and not manifest.order_model:
        return Findings({}, [])
    if order_fingerprint(learned) != manifest.inputs.order:
        return Findings({}, fault_of("learned order that is not the one that the release names", ["order_model"]))
    if release.settings.retrieval.chunks_per_document > 1:
        return Findings({}, [])
    candidates = examined.files.candidates.read().sort_by([("query_key", "ascending"), ("fused_rank", "ascending")])
    inputs, named = manifest.inputs, release.settings.reranker.weight
    weight = inputs.reranker_weight if named is None else named
    weighing = Weighing.of(release.settings, learned, weight=weight, log=manifest.log_means)
    return Findings({"scores": candidates.num_rows}, _faults(candidates, weighing, examined.files.queries.read()))


def _faults(candidates: pa.Table, weighing: Weighing, asked: pa.Table) -> list[Fault]:
    """Means over the log, and final scores, that are not what the candidates, by query and fused rank, give again."""
    if not candidates.num_rows:
        return []
    groups = candidates.column("query_key").combine_chunks().dictionary_encode()
    entries = entries_of(candidates, queries=groups.indices.to_numpy(zero_copy_only=False))
    people = are_people_s(groups.dictionary, asked)
    pair_scores = candidates.column("pair_score").to_numpy()  # NaN where it is null
    told, means = weighing.log or {}, weighing.log_means(entries, pair_scores, people=people)
    moved = [name for name in means if means[name] != told.get(name)]
    differing = np.flatnonzero(weighing.final_scores(entries, pair_scores) != candidates.column("score").to_numpy())
    names = [f"{row['query_key']} {row['chunk_id']}" for row in candidates.take(differing).to_pylist()]
    return [
        *fault_of("lists whose means over the log are others", moved),
        *fault_of("candidates with another final score", names),
    ]
