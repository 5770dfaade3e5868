"""What surrounds the stages of a night: its plan, its clock, and whether it is needed."""

from __future__ import annotations

import shutil
import time
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from nightrank.flows.settings_file import portable
from nightrank.flows.workers.pool import sharding
from nightrank.storage.keys import fingerprint
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import (
    Inputs,
    Manifest,
    current_manifest,
    new_release_id,
    readable_and_damaged,
)
from nightrank.storage.release.whole import is_there, whole_file
from nightrank.storage.retracted.listed import read_retracted
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.chunk.boundaries import chunking_fingerprint
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.embed.lazy import LazyEmbedder
from nightrank.tasks.evaluate.measures import parse_measure
from nightrank.tasks.night import BUILT_UPON, Before, Night
from nightrank.tasks.query_log.budget import measured_pairs_per_second
from nightrank.tasks.rank.order_file import learned_order, order_fingerprint
from nightrank.tasks.rerank.find import plan_reranker
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.sparse.lazy import LazySparse
from nightrank.tasks.sparse.stored import planned_sparse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from prefect import Task

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.release.files import Queries
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.rank.learned import LearnedOrder
    from nightrank.tasks.rerank.hosted.plan import HostedPlan
    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparsePlan
    from nightrank.tasks.stages.read import InputsRead
    from nightrank.tasks.workers.cut import Sharding

P = ParamSpec("P")
T = TypeVar("T")

# Raise it when a stage comes to compute something else from the same inputs: then everything is made from nothing. What
# characters are, and so terms and grams, is as this Python's version of Unicode has it.
PIPELINE = f"11, Unicode {unicodedata.unidata_version}"


@dataclass(frozen=True, slots=True)
class Build:
    """One run: the night as stages see it, its models (None where there is no such one), workers, and the clock."""

    night: Night
    embedder: LazyEmbedder
    sparse: LazySparse | None
    reranker: LazyReranker | None
    learned: LearnedOrder | None
    analyser: Analyser
    sharding: Sharding | None
    started: float
    seconds: dict[str, float] = field(default_factory=dict)

    def stage(self, task: Task[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a stage and note how long it took, in seconds."""
        start = time.perf_counter()
        outcome = task(*args, **kwargs)
        self.seconds[task.name] = time.perf_counter() - start
        return outcome

    def inputs_of(self, read: InputsRead) -> Inputs:
        """The keys of everything that decides the release."""
        settings, embedder = self.night.settings, self.embedder.plan
        plan = None if self.reranker is None else self.reranker.plan
        runs = {run.leg: run.key for run in read.runs}
        return Inputs(
            documents=read.documents_key,
            queries=read.queries_key,
            judgments=read.judgments_key,
            settings=fingerprint(portable(settings, self.night.workspace).what() | ({"runs": runs} if runs else {})),
            chunking=chunking_fingerprint(settings.chunking, embedder),
            embedder=embedder.fingerprint,
            sparse="none" if self.sparse is None else self.sparse.plan.fingerprint,
            reranker="none" if plan is None else plan.key,
            analysis=self.analyser.fingerprint(),
            pipeline=PIPELINE,
            order=order_fingerprint(self.learned),
        )

    def is_current(self, read: InputsRead) -> bool:
        """Whether the current release was made from the very same inputs, lacks no score, can be read, and is there."""
        current = self.night.current
        return (
            current is not None
            and current.inputs == self.inputs_of(read)
            and current.counts.pairs_left == 0
            and not current.erased
            and ReleaseFiles.results.name in current.files
            and is_there(self.night.workspace, current)
        )

    def total_seconds(self) -> dict[str, float]:
        """Seconds by stage, with the total first."""
        return {"total": time.perf_counter() - self.started, **self.seconds}


@contextmanager
def building(configuration: Configuration, *, now: datetime) -> Iterator[Build]:
    """Plan a run and give it a staging folder, which goes unless the run has committed it."""
    settings, base, workspace = configuration.settings, configuration.base, configuration.workspace
    started = time.perf_counter()
    parse_measure(settings.gates.measure)  # a name that nobody knows is an error before the night's work, not after it
    embedder = plan_embedder(settings.embedder, settings.execution, base=base)
    sparse = planned_sparse(settings, base=base)
    reranker = plan_reranker(settings.reranker, settings.execution, base=base)
    learned = learned_order(settings, base=base)
    plans = _Plans(embedder, sparse, reranker)
    current = current_manifest(workspace)
    release_id = new_release_id(now)
    seed = int(fingerprint(release_id)[:8], 16)
    night = Night(
        settings=settings,
        base=base,
        workspace=workspace,
        release_id=release_id,
        before=None if current is None else _built_upon(current, workspace, settings, plans),
        current=current,
        now=now,
        seed=seed,
        answered=None if current is None else _answered(current, workspace, settings),
        retracted=read_retracted(workspace).documents.keys(),
    )
    night.staging.mkdir(parents=True)
    try:
        with sharding(settings.execution, night.shards) as cut:
            yield Build(
                night=night,
                embedder=LazyEmbedder(embedder, settings, seed=seed, sharding=cut),
                sparse=None if sparse is None else LazySparse(sparse, settings, seed=seed, sharding=cut),
                reranker=None if reranker is None else LazyReranker(reranker, settings, sharding=cut),
                learned=learned,
                analyser=Analyser.of(settings.bm25),
                sharding=cut,
                started=started,
            )
    finally:
        shutil.rmtree(night.staging, ignore_errors=True)


class _Plans(NamedTuple):
    """The models of a run."""

    embedder: EmbedderPlan
    sparse: SparsePlan | None
    reranker: RerankerPlan | HostedPlan | None


def _built_upon(
    current: Manifest,
    workspace: Workspace,
    settings: Settings,
    plans: _Plans,
) -> Before | None:
    inputs, sparse, reranker = current.inputs, plans.sparse, plans.reranker
    measured = None
    if reranker is not None and settings.queries.budget_seconds is not None:
        manifests, _ = readable_and_damaged(workspace)
        measured = measured_pairs_per_second(manifests, reranker=reranker.fingerprint)
    before = Before(
        files=ReleaseFiles.of(workspace, current.release_id, only=BUILT_UPON),
        same_chunking=inputs.chunking == chunking_fingerprint(settings.chunking, plans.embedder),
        same_embedder=inputs.embedder == plans.embedder.fingerprint,
        same_sparse=sparse is not None and inputs.sparse == sparse.fingerprint,
        pairs_per_second=measured,
    )
    return before if inputs.pipeline == PIPELINE and before.is_whole(current.files) else None


def _answered(current: Manifest, workspace: Workspace, settings: Settings) -> Queries | None:
    """What is live stays answered whatever a run builds upon, so this asks for no model and no release before."""
    if settings.queries.budget_seconds is None:
        return None
    return whole_file(ReleaseFiles.of(workspace, current.release_id, only=[ReleaseFiles.queries]).queries, current)
