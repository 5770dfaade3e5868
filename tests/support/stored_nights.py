"""Nights on the level of storage: releases with the files that a collection reads, tiny vectors, real stores."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from nightrank.storage.files.database import connect
from nightrank.storage.files.parquet import write_table
from nightrank.storage.keys import digest
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors
from nightrank.storage.release.manifest import ChunkTableVersion, Counts, Inputs, Manifest, commit_release, digests_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.workspace.base import Workspace

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIMENSIONS = 128


@cache
def chunk_hash(text: str) -> str:
    return digest("chunk", text)


def vectors_for(texts: Sequence[str]) -> np.ndarray:
    """The vector of a text depends on nothing but the text."""
    seeds = [int(digest(text)[:8], 16) for text in texts]
    rows = [np.random.default_rng(seed).standard_normal(DIMENSIONS) for seed in seeds]
    return np.array(rows, dtype=np.float32).reshape(len(texts), DIMENSIONS)


def add_night(
    workspace: Workspace,
    release_id: str,
    *,
    texts: Sequence[str],
    queries: Sequence[str] = (),
    status: Literal["accepted", "rejected"] = "accepted",
    embedder: str = "e1",
    reranker: str = "r1 at 0.5",
    sparse: str = "none",
    publish: bool = True,
) -> Manifest:
    """Make a release of some texts; the candidates of each query are the texts that share its first character.

    The last candidate of a query is one that the reranker was not asked for.
    """
    table = ChunkTable.create(workspace.lance, embedder=embedder, dimensions=DIMENSIONS)
    known = set(table.hashes().read_all().column("chunk_hash").to_pylist())
    new = [text for text in texts if chunk_hash(text) not in known]
    if new:
        table.add([chunk_hash(text) for text in new], new, [1] * len(new), vectors_for(new))
    staging = workspace.staging(release_id)
    staging.mkdir(parents=True)
    with closing(connect(staging / "bm25.duckdb")) as statistics:
        statistics.register("hashes", pa.table({"chunk_hash": [chunk_hash(text) for text in texts]}))
        statistics.execute("CREATE TABLE chunks AS SELECT chunk_hash FROM hashes")
    keys = [digest("query", query) for query in queries]
    write_table(staging / "queries.parquet", pa.table({"query_key": pa.array(keys, pa.string())}))
    candidates = _candidates(texts, queries)
    write_table(staging / "candidates.parquet", candidates)
    asked = candidates.filter(pa.compute.is_valid(candidates.column("pair_score")))
    _remember(workspace, asked, queries, embedder=embedder, reranker=reranker.partition(" at ")[0])
    if sparse != "none":
        _remember_sparse(workspace, {chunk_hash(text): text for text in texts}, "texts", encoder=sparse)
        _remember_sparse(workspace, {digest("query", query): query for query in queries}, "queries", encoder=sparse)
    named = {"embedder": embedder, "reranker": reranker, "sparse": sparse}
    inputs = dict.fromkeys(Inputs.model_fields, "x") | named
    manifest = Manifest(
        release_id=release_id,
        created_at=NOW,
        status=status,
        previous=None,
        nightrank="0.1.0",
        inputs=Inputs.model_validate(inputs),
        settings={},
        chunk_table=ChunkTableVersion(name=table.name, version=table.version),
        counts=Counts.model_validate(dict.fromkeys(Counts.model_fields, 1)),
        seconds={},
        measures={},
        gates=[],
        files=digests_of(staging),
    )
    table.tag(release_id)
    commit_release(workspace, manifest, staging=staging)
    if publish and status == "accepted":
        workspace.publish(release_id, now=NOW)
    return manifest


def sparse_vector(text: str) -> SparseVectors:
    """The sparse vector of a text depends on nothing but the text."""
    return SparseVectors.of([(np.array([len(text), 100 + ord(text[0])]), np.array([0.5, 2.0]))])


def pair_score(query: str, text: str) -> float:
    return float(len(query) + len(text) / 1000)


def _candidates(texts: Sequence[str], queries: Sequence[str]) -> pa.Table:
    rows: list[tuple[str, str, float | None]] = []
    by_letter: dict[str, list[str]] = {}
    for text in texts:
        by_letter.setdefault(text[0], []).append(text)
    for query in queries:
        found = by_letter.get(query[0], [])
        key = digest("query", query)
        rows += [(key, chunk_hash(text), pair_score(query, text)) for text in found[:-1]]
        rows += [(key, chunk_hash(text), None) for text in found[-1:]]
    schema = pa.schema([("query_key", pa.string()), ("chunk_hash", pa.string()), ("pair_score", pa.float32())])
    return pa.table([list(column) for column in zip(*rows, strict=True)] or [[], [], []], schema=schema)


def _remember(workspace: Workspace, pairs: pa.Table, queries: Sequence[str], *, embedder: str, reranker: str) -> None:
    with PairMemo(workspace.memo, reranker=reranker) as memo:
        known, _ = memo.scores_of(pairs)
        missing = pairs.take(np.setdiff1d(np.arange(pairs.num_rows), known))
        if missing.num_rows:
            memo.append(missing, missing.column("pair_score").to_numpy())
    keys = [digest("query", query) for query in queries]
    with QueryMemo(workspace.memo, embedder=embedder) as memo:
        known, _ = memo.vectors_of(keys)
        new = sorted(set(range(len(keys))) - set(known.tolist()))
        if new:
            memo.append([keys[row] for row in new], vectors_for([queries[row] for row in new]))


def _remember_sparse(
    workspace: Workspace, texts: Mapping[str, str], kind: Literal["texts", "queries"], *, encoder: str
) -> None:
    with SparseMemo(workspace.memo, kind, encoder=encoder) as memo:
        known = memo.known(pa.array([*texts], pa.string()))
        new = [key for key, is_known in zip(texts, known, strict=True) if not is_known]
        if new:
            memo.append(new, SparseVectors.joined([sparse_vector(texts[key]) for key in new]))
