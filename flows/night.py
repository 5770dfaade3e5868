"""What surrounds the stages of a night: its plan, its clock, whether it is needed, and its end."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from flows.artifacts import show_in_prefect
from flows.summary import Refused, Summary
from storage.documents import changes_between
from storage.keys import fingerprint
from storage.releases import Counts, Inputs, Manifest, current_manifest, new_release_id, settings_as_json
from tasks.analysis import Analyser
from tasks.embedder import EmbedderPlan, plan_embedder
from tasks.night import Night
from tasks.publishing import publish
from tasks.reranker import RerankerPlan, plan_reranker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from prefect import Task

    from flows.settings import Configuration
    from storage.releases import Gate
    from tasks.indexing import ChunksEmbedded
    from tasks.reading import InputsRead
    from tasks.reranking import PairsScored

T = TypeVar("T")

# Raise it when a stage comes to compute something else from the same inputs.
PIPELINE = "1"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the night as stages see it, the models' plans, what is live, and the clock."""

    night: Night
    embedder: EmbedderPlan
    reranker: RerankerPlan | None
    analyser: Analyser
    current: Manifest | None
    now: datetime
    started: float
    seconds: dict[str, float] = field(default_factory=dict)

    def stage(self, task: Task[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 (as the task takes them)
        """Run a stage and note how long it took, in seconds."""
        start = time.perf_counter()
        outcome: T = task(*args, **kwargs)
        self.seconds[task.name] = time.perf_counter() - start
        return outcome

    @property
    def seed(self) -> int:
        """Of everything random in this run; another one every night."""
        return int(fingerprint(self.night.release_id)[:8], 16)

    def inputs_of(self, read: InputsRead) -> Inputs:
        """The keys of everything that decides the release."""
        settings = self.night.settings
        reranker = "none" if self.reranker is None else f"{self.reranker.fingerprint} at {self.reranker.weight:g}"
        return Inputs(
            documents=read.documents_key,
            queries=read.queries_key,
            judgments=read.judgments_key,
            settings=fingerprint(settings.what()),
            embedder=self.embedder.fingerprint,
            reranker=reranker,
            analysis=self.analyser.fingerprint(),
            pipeline=PIPELINE,
        )

    def is_current(self, read: InputsRead) -> bool:
        """Whether the current release was made from the very same inputs."""
        return self.current is not None and self.current.inputs == self.inputs_of(read)

    def total_seconds(self) -> dict[str, float]:
        """Seconds by stage, with the total first."""
        return {"total": time.perf_counter() - self.started, **self.seconds}


@contextmanager
def building(configuration: Configuration, *, now: datetime) -> Iterator[Run]:
    """Plan a run and give it a staging folder, which goes unless the run has sealed it."""
    settings, base, workspace = configuration.settings, configuration.base, configuration.workspace
    night = Night(settings=settings, base=base, workspace=workspace, release_id=new_release_id(now))
    started = time.perf_counter()
    run = Run(
        night=night,
        embedder=plan_embedder(settings.embedder, settings.execution, base=base),
        reranker=plan_reranker(settings.reranker, settings.execution, base=base),
        analyser=Analyser.of(settings.bm25),
        current=current_manifest(workspace),
        now=now,
        started=started,
    )
    night.staging.mkdir(parents=True)
    try:
        yield run
    finally:
        shutil.rmtree(night.staging, ignore_errors=True)


def nothing_to_do(run: Run, read: InputsRead) -> Summary:
    """The summary of a run that found the current release up to date."""
    assert run.current is not None
    unchanged = {"documents_added": 0, "documents_edited": 0, "documents_removed": 0}
    counts = run.current.counts.model_copy(
        update={
            **unchanged,
            "chunks_embedded": 0,
            "pairs_scored": 0,
            "documents_bad": read.documents_bad,
            "queries_bad": read.queries_bad,
        }
    )
    return Summary(manifest=run.current, published=False, changed=False, counts=counts, seconds=run.total_seconds())


def finish(
    run: Run,
    read: InputsRead,
    *,
    chunks: int,
    embedded: ChunksEmbedded,
    pairs: PairsScored,
    measures: dict[str, dict[str, float]],
    gates: list[Gate],
) -> Summary:
    """Seal the release, publish it where every gate passed, and say what was done.

    Raises:
        Refused: A gate did not pass; the release is kept, marked rejected.
    """
    night = run.night
    before = None if run.current is None else night.workspace.release(run.current.release_id) / "documents.parquet"
    changes = changes_between(before, night.document_digests)
    manifest = Manifest(
        release_id=night.release_id,
        created_at=run.now,
        status="accepted" if all(gate.passed for gate in gates) else "rejected",
        previous=None if run.current is None else run.current.release_id,
        nightrank=version("nightrank"),
        inputs=run.inputs_of(read),
        settings=settings_as_json(night.settings),
        chunk_table=embedded.table,
        counts=Counts(
            documents=read.documents,
            documents_added=changes.added,
            documents_edited=changes.edited,
            documents_removed=changes.removed,
            documents_bad=read.documents_bad,
            chunks=chunks,
            chunks_embedded=embedded.embedded,
            queries=read.queries,
            queries_bad=read.queries_bad,
            queries_judged=read.queries_judged,
            pairs=pairs.pairs,
            pairs_scored=pairs.scored,
        ),
        seconds=run.total_seconds(),
        measures=measures,
        gates=gates,
        files={},
    )
    run.stage(publish, night, manifest, now=run.now)
    summary = Summary(
        manifest=manifest,
        published=manifest.status == "accepted",
        changed=True,
        counts=manifest.counts,
        seconds=run.total_seconds(),
        warnings=_warnings(read),
    )
    show_in_prefect(summary, folder=night.workspace.release(night.release_id))
    if summary.refused:
        raise Refused(summary)
    return summary


def _warnings(read: InputsRead) -> tuple[str, ...]:
    if not read.judgments_unknown:
        return ()
    return (f"{read.judgments_unknown} judged queries are not among the queries of the release; each scores 0.",)
