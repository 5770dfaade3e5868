from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.evaluation import Timings
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.online.search import LiveSearch
from nightrank.tasks.online.timing import Conditions, time_stages
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.collection import Collection


@pytest.fixture
def live(published: Collection) -> Iterator[LiveSearch]:
    """The online path of the small collection."""
    workspace = FolderWorkspace(published.workspace)
    release_id = workspace.require_current()
    manifest = read_manifest(workspace, release_id)
    settings = Settings.model_validate(manifest.settings)
    table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=release_id)
    embedder = plan_embedder(settings.embedder, settings.execution, base=published.folder)
    reranker = plan_local(settings.reranker, settings.execution, base=published.folder)
    with Bm25Store.open(workspace.release(release_id) / "bm25.duckdb") as store:
        yield LiveSearch.of(
            settings,
            store,
            table,
            embedder=Embedder(embedder, batch_tokens=4096),
            reranker=Reranker(reranker, batch_tokens=4096),
            weighing=Weighing.of(settings, read_order(), weight=reranker.weight, log=manifest.log_means),
        )


@pytest.mark.long
def test_each_rung_costs_what_its_own_answer_needs(live: LiveSearch) -> None:
    ticks = count()  # every look at the clock is a second later than the one before
    milliseconds = time_stages(live, ["black tea", "sun and salt"], clock=lambda: float(next(ticks)))
    # One look between beginning and end; the hybrid needs both legs and fusion.
    assert milliseconds == {"bm25": 1000.0, "dense": 1000.0, "fused": 3000.0, "reranked": 4000.0}


def test_what_is_not_there_is_not_timed(live: LiveSearch) -> None:
    without = replace(live, reranker=None)
    assert set(time_stages(without, ["black tea"])) == {"bm25", "dense", "fused"}


def test_timings_without_conditions_hold_for_nothing() -> None:
    old = Timings(milliseconds={}, queries=1, measured_in="r", machine="m")
    assert not Conditions("k", 10).hold_for(old)
