"""A release made again without some documents, from its own files: no source, no model and no gate is asked.

Candidates go, what stands behind them moves up and is scored anew, as it would have been had they not been found; BM25
statistics are built from the texts that are left. Queries go that only the
documents may have asked. What says nothing of a document stays. The next night makes from the outcome what it makes
from nothing: the manifest says that documents were erased.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.parquet import write_table
from nightrank.storage.records import CANDIDATES, CHUNKS, are_people_s
from nightrank.storage.release.documents import documents_digest
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.near import copy_near_tables
from nightrank.storage.wide import coded, rows_at
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.rank.candidate_grams import of_this_version
from nightrank.tasks.rank.order import Weighing, entries_of, rank_candidates
from nightrank.tasks.rank.order_file import order_of_release
from nightrank.tasks.snippets.answers import write_answers
from nightrank.tasks.takedown.queries import queries_of_erased

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.release.manifest import LogMeans, Manifest
    from nightrank.tasks.release import StoredRelease

# Lists of documents or texts, with the list that says something of each of them.
_LISTS = {"chunk_hashes": "scores", "document_ids": "content_digests"}
_MADE_ANEW = (ReleaseFiles.statistics, ReleaseFiles.candidates, ReleaseFiles.results, ReleaseFiles.snippets)
_DROPPED = (ReleaseFiles.report,)  # for people; it may name anything, and the next night writes one


def release_without(
    release: StoredRelease, documents: Collection[str], staging: Path, *, release_id: str, now: datetime
) -> Manifest:
    """Write a release without some documents.

    Args:
        release: The release; the caller is the workspace's one writer.
        documents: Ids; those that it does not hold are taken out of what it says of others.
        staging: The folder to write to; it is there, and empty.
        release_id: Of the outcome.
        now: When.

    Returns:
        Its manifest, but for its files.
    """
    files, made = release.files, ReleaseFiles(staging)
    table, analyser = release.chunk_table(), Analyser.of(release.settings.bm25)
    chunks, listing = _chunks(files, analyser), staging / "kept-chunks.parquet"
    ids = pa.array(sorted(documents), pa.string())
    is_gone = pc.is_in(chunks.column("document_id"), value_set=ids).to_numpy()
    left = chunks.filter(pa.array(~is_gone))
    write_table(listing, left.cast(CHUNKS))
    build_bm25(made.statistics.path, listing, texts_of=lambda hashes: table.batches(hashes, ["text"]), analyse=analyser)
    listing.unlink()
    gone = pc.unique(chunks.column("chunk_hash").filter(pa.array(is_gone)))
    gone = gone.filter(pc.invert(pc.is_in(gone, value_set=pc.unique(left.column("chunk_hash")))))
    said = (text for batch in table.batches(gone, ["text"]) for text in batch.column("text").to_pylist())
    asked = queries_of_erased(files.queries.read(), files.candidates.read(), ids, said)
    named = {*release.manifest.files} - {file.name for file in (*_MADE_ANEW, *_DROPPED)}
    for name in sorted(named):
        of_items = name == ReleaseFiles.known_candidates.name
        _copy(release.folder / name, staging / name, ids=ids, gone=gone, asked=None if of_items else asked)
    _forget_items(files, made, ids)
    candidates, log = _candidates(release, ids, is_gone, asked)
    made.candidates.write(candidates)
    snippets = files.snippets if files.snippets.is_there() else None  # older releases have none
    write_answers(release.settings, made, made.candidates, made.queries, table, before=snippets)
    copy_near_tables(files.results.path, made.results.path)
    manifest, before = release.manifest, files.candidates.read(["pair_score"]).column(0)
    counts = manifest.counts
    return manifest.model_copy(
        update={
            "release_id": release_id,
            "created_at": now,
            "inputs": manifest.inputs.model_copy(update={"documents": documents_digest(made.documents.path)}),
            "counts": counts.model_copy(
                update={
                    "documents": made.documents.row_count(),
                    "chunks": left.num_rows,
                    "texts": len(pc.unique(left.column("chunk_hash"))),
                    "queries": counts.queries - len(asked),
                    "queries_from_documents": counts.queries_from_documents - len(asked),
                    "pairs": counts.pairs - (_valid(before) - _valid(candidates.column("pair_score"))),
                }
            ),
            "log_means": log,
            "erased": manifest.erased + len(documents),
        }
    )


def _chunks(files: ReleaseFiles, analyser: Analyser) -> pa.Table:
    """All chunks of a release by number, as CHUNKS has them.

    Raises:
        MachineError: An earlier version made them, or other settings than the release names.
    """
    with Bm25Store.open(files.statistics.path) as store:
        store.require_analysis(analyser)
        columns = [name if name != "language" else "declared" for name in CHUNKS.names]
        return store.chunks(columns).rename_columns(CHUNKS.names)


def _copy(path: Path, target: Path, *, ids: pa.Array, gone: pa.Array, asked: pa.Array | None) -> None:
    """Copy a file of a release without what it says of documents and of queries of theirs; columns of tables tell."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".parquet":
        target.write_bytes(path.read_bytes())
        return
    with pq.ParquetFile(path) as file:
        table = file.read()
    for name, values in (("document_id", ids), ("chunk_hash", gone), ("query_key", asked)):
        if name in table.schema.names and values is not None:
            table = table.filter(pc.invert(pc.is_in(table.column(name), value_set=values)))
    if "key" in table.schema.names:  # of a chunk, a query, or a query and a chunk
        table = table.filter(pc.invert(_names_any(table.column("key"), gone if asked is None else [*gone, *asked])))
    for name, beside in _LISTS.items():
        if {name, beside} <= {*table.schema.names}:
            table = _without_in_lists(table, name, beside, gone if name == "chunk_hashes" else ids)
    for name in ("reason", "where"):  # of rows that were set aside, and of what was met first
        if name in table.schema.names:
            table = _blanked(table, name, ids.to_pylist())
    write_table(target, table)


def _names_any(keys: pa.ChunkedArray, values: Iterable[pa.Scalar]) -> pa.Array:
    """Which of some keys, (n,), have one of some values among their words."""
    wanted = pa.array([value.as_py() for value in values], pa.string())
    words = pc.split_pattern(keys, " ").combine_chunks()
    found = np.zeros(len(keys), dtype=np.bool_)
    found[pc.list_parent_indices(words).filter(pc.is_in(words.flatten(), value_set=wanted)).to_numpy()] = True
    return pa.array(found)


def _forget_items(files: ReleaseFiles, made: ReleaseFiles, ids: pa.Array) -> None:
    """Take out of the copied files what known items of some documents found, so that memos forget their words."""
    if not files.known_items.is_there():
        return
    items = files.known_items.read(["item", "query_key", "document_id"])
    items = items.filter(pc.is_in(items.column("document_id"), value_set=ids))
    candidates, evaluation = of_this_version(made.known_candidates.read()), made.known_evaluation.read()
    for file, table, name, of in (
        (made.known_candidates, candidates, "query_key", items.column("query_key")),
        (made.known_evaluation, evaluation, "query_id", items.column("item")),
    ):
        file.write(table.filter(pc.invert(pc.is_in(table.column(name), value_set=of.combine_chunks()))))


def _without_in_lists(table: pa.Table, name: str, beside: str, values: pa.Array) -> pa.Table:
    """A table whose lists lack some values, and the lists beside them what was said of these."""
    unwanted = frozenset(values.to_pylist())
    found = [
        [(one, of) for one, of in zip(listed, said, strict=True) if one not in unwanted]
        for listed, said in zip(table.column(name).to_pylist(), table.column(beside).to_pylist(), strict=True)
    ]
    for place, column in enumerate((name, beside)):
        number = table.schema.get_field_index(column)
        kept = pa.array([[pair[place] for pair in row] for row in found], table.schema.field(column).type)
        table = table.set_column(number, table.schema.field(column), kept)
    return table


def _blanked(table: pa.Table, name: str, ids: Collection[str]) -> pa.Table:
    """A table whose texts name none of some ids."""
    texts = ["" if any(one in (text or "") for one in ids) else text for text in table.column(name).to_pylist()]
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(texts, field.type))


def _candidates(
    release: StoredRelease, ids: pa.Array, is_gone: NDArray[np.bool_], asked: pa.Array
) -> tuple[pa.Table, LogMeans]:
    """The candidates that are left, in the final order that they give, and what lists say in the mean then."""
    candidates = of_this_version(release.files.candidates.read())
    left = candidates.filter(pc.invert(pc.is_in(candidates.column("document_id"), value_set=ids)))
    left = left.filter(pc.invert(pc.is_in(left.column("query_key"), value_set=asked)))
    named = coded(left.column("query_key"))
    people, queries = are_people_s(named.dictionary, release.files.queries.read()), named.indices
    order = np.lexsort((left.column("fused_rank").to_numpy(), queries.to_numpy(zero_copy_only=False)))
    left = rows_at(left, order)
    numbers = queries.take(pa.array(order)).to_numpy(zero_copy_only=False)
    numbered = np.cumsum(~is_gone, dtype=np.int32) - 1
    columns = {name: left.column(name) for name in left.schema.names}
    columns["chunk_number"] = pa.array(numbered[left.column("chunk_number").to_numpy()], pa.int32())
    for name in [name for name in left.schema.names if name.endswith("_rank")]:
        columns[name] = _closed_up(numbers, left.column(name))
    left = pa.table(columns).select(CANDIDATES.names).cast(CANDIDATES)
    manifest = release.manifest
    own, learned = release.settings.reranker.weight, order_of_release(manifest)
    weight = manifest.inputs.reranker_weight if own is None else own
    weighing = Weighing.of(release.settings, learned, weight=weight, log=manifest.log_means)
    entries, pair_scores = entries_of(left, queries=numbers), left.column("pair_score").to_numpy()
    log = weighing.log_means(entries, pair_scores, people=people)
    scores = weighing.over(log).final_scores(entries, pair_scores) if left.num_rows else np.zeros(0, np.float32)
    order, ranks = rank_candidates(numbers, scores, left.column("chunk_number").to_numpy())
    told: Mapping[str, pa.Array] = {"score": pa.array(scores[order]), "rank": pa.array(ranks)}
    left = rows_at(left, order)
    for name, values in told.items():
        left = left.set_column(left.schema.get_field_index(name), left.schema.field(name), values)
    return left.cast(CANDIDATES), log


def _closed_up(queries: NDArray[np.integer], ranks: pa.ChunkedArray) -> pa.Array:
    """Ranks without the gaps that what is gone has left: of each query the first is 1. A null stays one.

    >>> _closed_up(np.array([0, 0, 0, 1]), pa.chunked_array([pa.array([2, 5, 2, None], pa.int32())])).to_pylist()
    [1, 2, 1, None]
    """
    there = pc.is_valid(ranks).to_numpy()
    values = ranks.fill_null(0).to_numpy()
    pairs, places = np.unique(np.stack([queries[there], values[there]], axis=1), axis=0, return_inverse=True)
    starts = np.searchsorted(pairs[:, 0], pairs[:, 0])
    closed = np.zeros(values.size, dtype=np.int32)
    closed[there] = (np.arange(len(pairs)) - starts + 1)[places.ravel()]
    return pa.array(closed, pa.int32(), mask=~there)


def _valid(column: pa.ChunkedArray) -> int:
    return int(pc.count(column).as_py())
