from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pytest

from nightrank.storage.files.parquet import read_table
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.compare import draw_pairs
from tests.support.collection import LOG

if TYPE_CHECKING:
    from tests.support.collection import Collection


@pytest.mark.long
def test_pairs_are_the_queries_first_candidates_in_the_fused_order(published: Collection) -> None:
    release = StoredRelease.open(FolderWorkspace(published.workspace))

    drawn = draw_pairs(release, queries=100, depth=3, generator=np.random.default_rng(0))

    assert sorted(query for query, _ in drawn) == sorted(text.lower() for _, text, _ in LOG)
    keys = read_table(release.folder / "queries.parquet", columns=["query_key", "text"])
    candidates = read_table(release.folder / "candidates.parquet")
    for query, texts in drawn:
        key = keys.filter(pc.field("text") == query).column("query_key")[0]
        first = candidates.filter((pc.field("query_key") == key) & (pc.field("fused_rank") <= 3)).sort_by("fused_rank")
        hashes = first.column("chunk_hash")
        rows = release.chunk_table().rows(hashes.combine_chunks(), ["text"])
        says = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
        assert texts == [says[one] for one in hashes.to_pylist()]


def test_other_seeds_draw_other_queries(published: Collection) -> None:
    release = StoredRelease.open(FolderWorkspace(published.workspace))
    drawn = [
        [query for query, _ in draw_pairs(release, queries=3, depth=1, generator=np.random.default_rng(seed))]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 3
