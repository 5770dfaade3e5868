"""The first stage over a release's stores gives the candidates that the refresh gave, filter by filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.bm25.index import Bm25Store
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from tests.support.collection import Collection

COLUMNS = ["chunk_number", "bm25_score", "bm25_rank", "dense_score", "dense_rank", "fused_score", "fused_rank"]


@pytest.mark.long
def test_every_query_finds_its_candidates_again_and_a_filter_makes_a_smaller_collection(collection: Collection) -> None:
    collection.settings["retrieval"] = {"candidate_depth": 6}
    collection.filters["q-yeast"] = {"letters": {"lte": 5}}
    collection.write()
    refresh_plainly(collection.settings_file)
    configuration = load_settings(collection.settings_file)
    release = StoredRelease.open(configuration.workspace)
    queries = release.files.queries.read()
    plan = plan_embedder(configuration.settings.embedder, configuration.settings.execution, base=configuration.base)
    vectors = Embedder(plan, batch_tokens=4096).embed_queries(queries.column("text").to_pylist())
    with Bm25Store.open(release.files.statistics.path) as store:
        first_stage = FirstStage.over(store, StoredVectors(release.chunk_table()))
        filters = QueryFilters.of_release(queries, store)
        found = [
            first_stage.fused(
                [row["text"]], QueryVectors(vectors[[number]]), filters.by_query(number), settings=release.settings
            )
            for number, row in enumerate(queries.to_pylist())
        ]
    candidates = release.files.candidates.read()
    assert [leg.num_rows for leg in found if leg.num_rows < 6] == [3]  # the titles of at most five letters
    for key, leg in zip(queries.column("query_key").to_pylist(), found, strict=True):
        order = [("fused_rank", "ascending"), ("fused_score", "descending"), ("chunk_number", "ascending")]
        kept = candidates.filter(pc.field("query_key") == key).sort_by(order)
        assert kept.select(COLUMNS).to_pylist() == leg.select(COLUMNS).to_pylist()
