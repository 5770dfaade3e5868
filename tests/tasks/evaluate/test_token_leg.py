from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.evaluate.token_leg import static_leg
from nightrank.tasks.evaluate.token_vectors import StaticEmbedder
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from tests.conftest import Models
    from tests.support.collection import Collection

    # Query, rank and document of each entry.
    Leg = list[tuple[str, int, str]]

DEPTH = 4
FILTERED = "wild yeast and flour"
SHORT_TITLES = frozenset({"tea", "a-copy-of-tea", "glass", "tides"})  # of at most five letters


@pytest.fixture
def release(collection: Collection) -> StoredRelease:
    """The release that is live, with a text that two documents share and a query with a filter."""
    collection.settings["retrieval"] = {"candidate_depth": DEPTH}
    collection.documents.append({**collection.document("tea"), "_id": "a-copy-of-tea"})
    collection.filters["q-yeast"] = {"letters": {"lte": 5}}
    collection.write()
    refresh_plainly(collection.settings_file)
    return StoredRelease.open(FolderWorkspace(collection.workspace))


@pytest.fixture
def embedder(models: Models) -> StaticEmbedder:
    found = StaticEmbedder.of(models.embedder)
    assert found is not None
    return found


def some_queries(release: StoredRelease, *texts: str) -> pa.Table:
    queries = release.files.queries.read()
    return queries.filter(pc.is_in(queries.column("text"), value_set=pa.array(texts, pa.string())))


def by_static_leg(release: StoredRelease, embedder: StaticEmbedder, queries: pa.Table) -> Leg:
    text_of = dict(zip(queries.column("query_key").to_pylist(), queries.column("text").to_pylist(), strict=True))
    leg = static_leg(release, queries, embedder).to_pylist()
    return sorted((text_of[row["query_key"]], row["rank"], row["document_id"]) for row in leg)


def by_loop(release: StoredRelease, embedder: StaticEmbedder, *queries: str, only: frozenset[str] | None = None) -> Leg:
    """The leg by its definition, over some documents or all."""
    with Bm25Store.open(release.files.statistics.path) as store:
        chunks = store.chunks(["chunk_hash", "document_id"]).to_pylist()
    rows = [row for batch in release.chunk_table().stream(["chunk_hash", "text"]) for row in batch.to_pylist()]
    vectors = {row["chunk_hash"]: embedder.embed([row["text"]])[0].astype(np.float64) for row in rows}
    chunks = [chunk for chunk in chunks if only is None or chunk["document_id"] in only]
    leg = []
    for query in queries:
        vector = embedder.embed([query])[0].astype(np.float64)
        scores = [float(np.float32(vector @ vectors[chunk["chunk_hash"]])) for chunk in chunks]
        best = sorted(range(len(chunks)), key=lambda chunk: (-scores[chunk], chunk))[:DEPTH]
        leg += [(query, rank, chunks[chunk]["document_id"]) for rank, chunk in enumerate(best, start=1)]
    return sorted(leg)


def test_the_leg_of_a_release_is_its_definition(release: StoredRelease, embedder: StaticEmbedder) -> None:
    texts = ("black tea", "sun and salt")
    found = by_static_leg(release, embedder, some_queries(release, *texts))
    assert found == by_loop(release, embedder, *texts)
    assert {document for _, _, document in found} >= {"tea", "a-copy-of-tea"}


@pytest.mark.long
def test_a_query_with_a_filter_meets_what_that_lets_through(release: StoredRelease, embedder: StaticEmbedder) -> None:
    texts = ("black tea", FILTERED)
    found = by_static_leg(release, embedder, some_queries(release, *texts))
    filtered = by_loop(release, embedder, FILTERED, only=SHORT_TITLES)
    assert found == sorted([*by_loop(release, embedder, "black tea"), *filtered])


def test_without_a_query_there_is_an_empty_leg(release: StoredRelease, embedder: StaticEmbedder) -> None:
    assert by_static_leg(release, embedder, some_queries(release)) == []
