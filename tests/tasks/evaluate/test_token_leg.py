from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.plain_nights import refresh_plainly
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.evaluate.token_leg import static_leg_of_release
from nightrank.tasks.evaluate.token_vectors import StaticEmbedder
from tests.support.collection import LOG, QRELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Models
    from tests.support.collection import Collection

    # Query, rank and document of each entry.
    Leg = list[tuple[str, int, str]]

DEPTH = 4
JUDGED = tuple(text.casefold() for query_id, text, _ in LOG if query_id in {query_id for query_id, *_ in QRELS})
UNJUDGED = "sun and salt"


def never() -> StaticEmbedder | None:
    message = "a static embedder was asked for"
    raise AssertionError(message)


class Release:
    """The release that is live, as whoever measures it opens it."""

    def __init__(self, collection: Collection) -> None:
        workspace = FolderWorkspace(collection.workspace)
        release_id = workspace.require_current()
        self.folder = workspace.release(release_id)
        name = read_manifest(workspace, release_id).chunk_table.name
        self.table = ChunkTable.of_release(workspace.lance, name=name, release_id=release_id)
        self.queries = read_table(self.folder / "queries.parquet")

    @property
    def lists(self) -> Path:
        return self.folder / "static.parquet"

    def judged(self) -> list[str]:
        """The texts of the queries that have a list."""
        keys = read_table(self.lists, columns=["query_key"]).column(0).combine_chunks()
        texts: list[str] = self.queries.filter(pc.is_in(self.queries.column("query_key"), value_set=keys))[
            "text"
        ].to_pylist()
        return texts

    def by_loop(self, embedder: StaticEmbedder, *queries: str) -> Leg:
        """The leg by its definition."""
        with Bm25Store.open(self.folder / "bm25.duckdb") as store:
            chunks = store.chunks(["chunk_hash", "document_id"]).to_pylist()
        rows = [row for batch in self.table.stream(["chunk_hash", "text"]) for row in batch.to_pylist()]
        vectors = {row["chunk_hash"]: embedder.embed([row["text"]])[0].astype(np.float64) for row in rows}
        leg = []
        for query in queries:
            vector = embedder.embed([query])[0].astype(np.float64)
            scores = [float(np.float32(vector @ vectors[chunk["chunk_hash"]])) for chunk in chunks]
            best = sorted(range(len(chunks)), key=lambda chunk: (-scores[chunk], chunk))[:DEPTH]
            leg += [(query, rank, chunks[chunk]["document_id"]) for rank, chunk in enumerate(best, start=1)]
        return sorted(leg)


@pytest.fixture
def release(collection: Collection) -> Release:
    collection.settings["retrieval"] = {"candidate_depth": DEPTH}
    collection.documents.append({**collection.document("tea"), "_id": "a-copy-of-tea"})
    collection.write()
    refresh_plainly(collection.settings_file)
    return Release(collection)


@pytest.fixture
def embedder(models: Models) -> StaticEmbedder:
    found = StaticEmbedder.of(models.embedder)
    assert found is not None
    return found


def by_query(
    release: Release, load: Callable[[], StaticEmbedder | None], *texts: str, depth: int = DEPTH
) -> Leg | None:
    """The leg of some queries of the release."""
    asked = release.queries.filter(pc.is_in(release.queries.column("text"), value_set=pa.array(texts, pa.string())))
    leg = static_leg_of_release(ReleaseFiles(release.folder), asked, release.table, load=load, depth=DEPTH)
    if leg is None:
        return None
    text_of = dict(zip(asked.column("query_key").to_pylist(), asked.column("text").to_pylist(), strict=True))
    return sorted((text_of[row["query_key"]], row["rank"], row["document_id"]) for row in leg.to_pylist())


def shorten(release: Release, *, to: int) -> None:
    """Keep so many texts of each list."""
    lists = read_table(release.lists)
    rows = [
        {**row, "chunk_hashes": row["chunk_hashes"][:to], "scores": row["scores"][:to], "floor": row["scores"][to]}
        for row in lists.to_pylist()
    ]
    write_table(release.lists, pa.Table.from_pylist(rows, schema=lists.schema))


def test_the_lists_of_a_release_are_those_of_its_judged_queries(release: Release) -> None:
    assert sorted(release.judged()) == sorted(JUDGED)


def test_the_leg_of_a_release_is_its_definition_read_from_its_lists(release: Release, embedder: StaticEmbedder) -> None:
    assert by_query(release, never, *JUDGED) == release.by_loop(embedder, *JUDGED)


def test_a_query_without_a_list_meets_the_whole_collection(release: Release, embedder: StaticEmbedder) -> None:
    queries = ("black tea", UNJUDGED)
    assert by_query(release, lambda: embedder, *queries) == release.by_loop(embedder, *queries)


def test_a_list_that_is_too_short_is_not_taken_for_the_leg(release: Release, embedder: StaticEmbedder) -> None:
    expected = release.by_loop(embedder, *JUDGED)
    shorten(release, to=DEPTH)
    assert by_query(release, never, *JUDGED) == expected
    shorten(release, to=DEPTH - 2)
    assert by_query(release, lambda: embedder, *JUDGED) == expected


def test_a_release_without_lists_is_scanned(release: Release, embedder: StaticEmbedder) -> None:
    release.lists.unlink()
    assert by_query(release, lambda: embedder, *JUDGED) == release.by_loop(embedder, *JUDGED)


def test_where_a_scan_is_needed_and_there_is_no_static_embedder_there_is_no_leg(release: Release) -> None:
    assert by_query(release, lambda: None, "black tea", UNJUDGED) is None
    assert by_query(release, lambda: None, "black tea") is not None
    assert by_query(release, never) == []
