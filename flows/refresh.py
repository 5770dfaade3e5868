"""One night, from documents and a query log to a published release: the table of contents of Nightrank."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow

from flows.night import building, finish, nothing_to_do
from flows.settings import load_settings
from flows.summary import Summary
from storage.workspace import writing
from tasks.indexing import build_statistics, chunk_documents, embed_chunks
from tasks.publishing import ask_gates, measure_stages, write_results
from tasks.reading import read_inputs
from tasks.reranking import rerank_candidates
from tasks.retrieval import fuse_legs, retrieve_lexical, retrieve_semantic


@flow(name="refresh")
def refresh(settings_file: str = "nightrank.toml") -> Summary:
    """Bring the published release up to date with its inputs, or find that it is.

    Args:
        settings_file: Path of the settings.

    Returns:
        What was done; its release is published where every gate passed.

    Raises:
        InputError: A setting, a file or too many rows are wrong; nothing has changed.
        GateRefused: The release was built and kept, and is not published.
        WorkspaceBusy: Another run is at work.
    """
    configuration = load_settings(Path(settings_file))
    now = datetime.now(UTC)
    with writing(configuration.workspace, now=now), building(configuration, now=now) as run:
        night, embedder, reranker, stage = run.night, run.embedder, run.reranker, run.stage

        inputs = stage(read_inputs, night)
        if run.is_current(inputs):
            return nothing_to_do(run, inputs)

        chunks = stage(chunk_documents, night, embedder)
        embedded = stage(embed_chunks, night, embedder)
        stage(build_statistics, night)

        stage(retrieve_lexical, night)
        stage(retrieve_semantic, night, embedder, embedded.table)
        stage(fuse_legs, night)
        pairs = stage(rerank_candidates, night, reranker, embedded.table)

        answered = stage(write_results, night, embedded.table)
        measures = stage(measure_stages, night)
        gates = stage(ask_gates, night, embedded.table, answered=answered, seed=run.seed)

        return finish(run, inputs, chunks=chunks, embedded=embedded, pairs=pairs, measures=measures, gates=gates)
