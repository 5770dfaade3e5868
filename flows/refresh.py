"""One night, from documents and a query log to a published release: the table of contents of Nightrank."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.night.build import Work, building, finish, nothing_to_do
from nightrank.flows.night.summary import Summary
from nightrank.flows.settings import load_settings
from nightrank.tasks.gates.verdicts import check_overrides
from nightrank.tasks.stages.filter import compile_filters
from nightrank.tasks.stages.gate import ask_gates
from nightrank.tasks.stages.index import build_statistics, chunk_documents, embed_chunks
from nightrank.tasks.stages.measure import measure_stages
from nightrank.tasks.stages.publish import write_results
from nightrank.tasks.stages.read import read_inputs
from nightrank.tasks.stages.rerank import rerank_candidates
from nightrank.tasks.stages.retrieve import embed_queries, fuse_legs, retrieve_lexical, retrieve_semantic


@nightrank_flow("refresh")
def refresh(settings_file: str = "nightrank.toml", accept: tuple[str, ...] = ()) -> Summary:
    """Bring the published release up to date with its inputs, or find that it is.

    Args:
        settings_file: Path of the settings.
        accept: Gates that the release may fail and be published all the same.

    Returns:
        What was done; its release is published where every gate passed or is in ``accept``.

    Raises:
        InputError: A setting, a file or too many rows are wrong; nothing has changed.
        GateRefused: The release was built and kept, and is not published.
        WorkspaceBusy: Another run is at work.
    """
    check_overrides(accept)
    configuration = load_settings(Path(settings_file))
    now = datetime.now(UTC)
    with configuration.workspace.writing(now=now), building(configuration, now=now) as build:
        night, embedder, reranker, stage = build.night, build.embedder, build.reranker, build.stage

        inputs = stage(read_inputs, night)
        if build.is_current(inputs):
            return nothing_to_do(build, inputs)

        chunks = stage(chunk_documents, night, embedder.plan)
        embedded = stage(embed_chunks, night, embedder)
        postings = stage(build_statistics, night, embedded.table)

        stage(compile_filters, night)
        queries = stage(embed_queries, night, embedder, embedded.table)
        stage(retrieve_lexical, night)
        scanned = stage(retrieve_semantic, night, embedded.table, embedder=embedder.plan.fingerprint)
        stage(fuse_legs, night)
        pairs = stage(rerank_candidates, night, reranker, embedded.table)

        answered = stage(write_results, night, embedded.table)
        measures = stage(
            measure_stages, night, embedder, reranker, embedded.table, previous=build.current, seed=inputs.seed
        )
        asked = stage(
            ask_gates, night, embedded.table, inputs, current=build.current, answered=answered, now=now, accept=accept
        )

        work = Work(chunks, embedded, postings, queries, scanned, pairs)
        return finish(build, inputs, work, measures=measures, asked=asked)
