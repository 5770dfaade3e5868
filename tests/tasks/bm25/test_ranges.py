"""What workers find of the BM25 leg range by range is, to the bit, what one process finds."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.bm25.index import Bm25Store
from nightrank.tasks.bm25.ranges import SpreadScan
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.kernels.top_documents import Documents
from nightrank.tasks.rank.documents import document_numbers
from nightrank.tasks.settings.index import Bm25Settings
from tests.support.bm25_collections import PLAIN, VARIANTS, Variant
from tests.support.bm25_files import build
from tests.support.workers_here import Here, ranges_here
from tests.tasks.bm25.test_nights import COLLECTIONS, QUERIES, Document, chunks_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.mark.long
@given(
    nights=st.lists(COLLECTIONS, min_size=1, max_size=3),
    queries=st.lists(st.sampled_from(QUERIES), max_size=5),
    variant=st.sampled_from(VARIANTS),
    depth=st.integers(1, 6),
    chunks_a_document=st.none() | st.integers(1, 3),
    every=st.none() | st.integers(1, 9),
    scores=st.integers(8, 30),
    slots_per_block=st.integers(1, 7),
    heap_bytes=st.integers(1, 2000),
)
@settings(max_examples=40, deadline=None)
def test_any_leg_by_workers_is_that_of_one_process(
    tmp_path_factory: pytest.TempPathFactory,
    nights: Sequence[dict[str, Document]],
    queries: list[str],
    variant: Variant,
    depth: int,
    chunks_a_document: int | None,
    every: int | None,
    scores: int,
    slots_per_block: int,
    heap_bytes: int,
) -> None:
    folder, path = tmp_path_factory.mktemp("statistics"), None
    for number, collection in enumerate(nights):  # slots come, and stay free when their chunks have gone
        before, path = path, folder / f"{number}.duckdb"
        build(path, chunks_of(collection), analyse=PLAIN, before=before)
    assert path is not None
    bm25, shards = Bm25Settings(variant=variant), folder / "shards"
    with (
        patch("nightrank.storage.bm25.index.SLOTS_PER_BLOCK", slots_per_block),
        patch("nightrank.tasks.kernels.top_documents.BYTES_HELD", heap_bytes),
        Bm25Store.open(path) as store,
    ):
        documents, allowed = None, None
        if chunks_a_document is not None:
            documents = Documents(document_numbers(store), chunks_a_document)
        if every is not None:
            allowed = np.arange(store.chunk_count) % every == 0
        legs = [
            retrieve_bm25(
                store,
                queries,
                settings=bm25,
                analyser=PLAIN,
                depth=depth,
                documents=documents,
                allowed=allowed,
                scan=scan,
            )
            for scan in (None, SpreadScan(store, path, bm25, ranges_here(shards, Here(), scores=scores)))
        ]
    assert legs[1].equals(legs[0])
    assert not shards.exists() or list(shards.iterdir()) == []


def test_only_work_of_more_than_one_shard_is_sent(tmp_path: Path) -> None:
    collection = {"a": Document(["x", "x y", "y"], "{}"), "b": Document(["x", "z"], "{}")}
    path, bm25 = tmp_path / "bm25.duckdb", Bm25Settings()
    build(path, chunks_of(collection), analyse=PLAIN)
    with Bm25Store.open(path) as store:
        for scores, shards in ((10, 0), (9, 2), (2, 5)):
            workers = Here()
            scan = SpreadScan(store, path, bm25, ranges_here(tmp_path / "shards", workers, scores=scores))
            leg = retrieve_bm25(store, ["x", "y z"], settings=bm25, analyser=PLAIN, depth=9, scan=scan)
            assert workers.shards == shards
            assert leg.num_rows == 6
