"""What a query costs online, stage by stage: judged queries through the online path, one at a time.

Each leg is timed as live search runs it, exact and from the stores of the release.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.keys import fingerprint
from nightrank.storage.release.evaluation import Timings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import readable_and_damaged
from nightrank.tasks.evaluate.ladder import read_timings
from nightrank.tasks.online.search import LiveSearch
from nightrank.tasks.rank.fusion import fuse
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.sparse.stored import open_sparse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.legs import LegName
    from nightrank.storage.release.files import Statistics
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.rank.order import Weighing
    from nightrank.tasks.rerank.lazy import LazyReranker
    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparsePlan

CPUINFO = Path("/proc/cpuinfo")
SIZE_CHANGE = 0.5  # of the collection, beyond which times are taken anew


def time_stages(
    live: LiveSearch,
    queries: Sequence[str],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median milliseconds of a query, by stage; each holds what its own answer needs, from the query's text on.

    Args:
        live: The online path; without a reranker ``reranked`` is not timed.
        queries: Normalised, at least one.
        clock: Seconds.
    """
    _time_query(live, queries[0], clock)  # a model's first call sets up what later ones share
    timed = [_time_query(live, query, clock) for query in queries]
    return {stage: 1000.0 * median(seconds[stage] for seconds in timed) for stage in timed[0]}


def _time_query(live: LiveSearch, query: str, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds by stage."""
    seconds: dict[str, float] = {}
    legs: dict[LegName, pa.Table] = {}
    for leg in live.settings.retrieval.own_legs:
        start = clock()
        legs[leg] = live.leg(leg, query)
        seconds[leg] = clock() - start
    start = clock()
    documents = live.first_stage.documents(live.settings)
    fused = fuse(legs, settings=live.settings.retrieval, documents=documents)
    seconds["fused"] = sum(seconds.values()) + clock() - start
    if live.reranker is not None:
        start = clock()
        live.reranked(query, fused)
        seconds["reranked"] = seconds["fused"] + clock() - start
    return seconds


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a time depends on.

    Attributes:
        key: Of models, depths, device and machine.
        texts: Distinct ones in the collection.
    """

    key: str
    texts: int

    @classmethod
    def of(
        cls,
        settings: Settings,
        embedder: EmbedderPlan,
        sparse: SparsePlan | None,
        reranker: RerankerPlan | HostedPlan | None,
        *,
        texts: int,
    ) -> Self:
        """The conditions of a night."""
        key = fingerprint(
            {
                "embedder": embedder.fingerprint,
                "sparse": None if sparse is None else sparse.fingerprint,
                "reranker": None if reranker is None else reranker.fingerprint,
                "depth": settings.reranker.depth,
                "legs": list(settings.retrieval.own_legs),
                "candidate_depth": settings.retrieval.candidate_depth,
                "device": embedder.device,
                "machine": machine(embedder.device),
                "threads": settings.execution.threads,
                "queries": settings.evaluation.timed_queries,
            }
        )
        return cls(key, texts)

    def hold_for(self, timings: Timings) -> bool:
        """Whether what was measured then is what would be measured now.

        >>> then = Timings(milliseconds={}, queries=1, measured_in="", machine="", conditions="k", texts=100)
        >>> [Conditions("k", texts).hold_for(then) for texts in (49, 50, 150, 151)]
        [False, True, True, False]
        """
        return self.key == timings.conditions and abs(self.texts - timings.texts) <= SIZE_CHANGE * timings.texts


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """What is timed.

    Attributes:
        embedder: Of the dense leg.
        sparse: Of the sparse leg; None where there is none of our own.
        reranker: None where the fused order is kept.
        table: Texts and vectors.
        statistics: Of BM25.
        texts: Distinct ones in the collection.
    """

    embedder: LazyEmbedder
    sparse: SparsePlan | None
    reranker: LazyReranker | None
    table: ChunkTable
    statistics: Statistics
    texts: int


def timings_of(
    settings: Settings,
    workspace: Workspace,
    timed: Timed,
    *,
    queries: pa.ChunkedArray,
    release_id: str,
    weighing: Weighing,
    seed: int,
) -> Timings:
    """The timings of a release; models are loaded only where no kept release has any that hold.

    Args:
        settings: What is computed, and where.
        workspace: Of the kept releases.
        timed: What is timed.
        queries: Texts to draw from, string (n,), at least one.
        release_id: Of the release.
        weighing: Of its final order.
        seed: Of the draw.
    """
    embedder, reranker = timed.embedder, timed.reranker
    plan = None if reranker is None else reranker.plan
    conditions = Conditions.of(settings, embedder.plan, timed.sparse, plan, texts=timed.texts)
    known = known_timings(workspace, conditions)
    if known is not None:
        return known
    generator = np.random.default_rng(seed)
    count = min(settings.evaluation.timed_queries or 0, len(queries))
    drawn = generator.choice(len(queries), size=count, replace=False)
    with (
        Bm25Store.open(timed.statistics.path) as store,
        open_sparse(timed.sparse, settings, memos=workspace.memo) as sparse,
    ):
        # To time a hosted reranker would be to pay for pairs that were paid for already.
        local = reranker is not None and not isinstance(reranker.plan, HostedPlan)
        loaded = reranker.load() if reranker is not None and local else None
        live = LiveSearch.of(
            settings,
            store,
            timed.table,
            embedder=embedder.load(None),
            sparse=sparse,
            reranker=loaded,
            weighing=weighing,
        )
        milliseconds = time_stages(live, queries.take(pa.array(drawn)).to_pylist())
    return Timings(
        milliseconds=milliseconds,
        queries=count,
        measured_in=release_id,
        machine=machine(embedder.plan.device),
        conditions=conditions.key,
        texts=conditions.texts,
    )


def known_timings(workspace: Workspace, conditions: Conditions) -> Timings | None:
    """The timings of the newest release whose timings hold, or None."""
    manifests, _ = readable_and_damaged(workspace)
    for manifest in reversed(manifests):
        timings = read_timings(ReleaseFiles.of(workspace, manifest.release_id, only=[ReleaseFiles.timings]).timings)
        if timings is not None and conditions.hold_for(timings):
            return timings
    return None


def machine(device: str) -> str:
    """Where times were taken, in words.

    Args:
        device: As torch calls it.
    """
    if device.startswith("cuda"):
        import torch

        return f"{torch.cuda.get_device_name(device)}, {os.cpu_count()} CPU cores"
    return f"{device}, {os.cpu_count()} cores, {_processor()}"


def _processor() -> str:
    """The processor's model where the system tells it, else its kind."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
