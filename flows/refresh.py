"""One night, from documents and a query log to a published release: the table of contents of Nightrank."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nightrank.flows.engine.abandoned import tell_of_abandoned, this_run
from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.night.build import building
from nightrank.flows.night.export import export
from nightrank.flows.night.finish import finish, nothing_to_do, refuse_again
from nightrank.flows.night.lineage import making_release
from nightrank.flows.night.record import record
from nightrank.flows.night.refused import refused_before
from nightrank.flows.night.summary import Summary
from nightrank.flows.settings_file import load_settings
from nightrank.tasks.embed.account import warnings_of_embedder
from nightrank.tasks.gates.rules import check_overrides
from nightrank.tasks.stages.built import Built
from nightrank.tasks.stages.filter import compile_filters
from nightrank.tasks.stages.gate.ask import ask_gates
from nightrank.tasks.stages.index import build_statistics, chunk_documents, embed_chunks
from nightrank.tasks.stages.known_items import measure_known_items
from nightrank.tasks.stages.measure import measure_stages
from nightrank.tasks.stages.near import Answered, answer_near
from nightrank.tasks.stages.publish import prune_unreachable, publish, write_results
from nightrank.tasks.stages.read import read_inputs
from nightrank.tasks.stages.report import report_release
from nightrank.tasks.stages.rerank import rerank_candidates
from nightrank.tasks.stages.retrieve import embed_queries, fuse_legs, retrieve_lexical, retrieve_semantic
from nightrank.tasks.stages.sparse import encode_sparse, retrieve_weighted


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
        GateRefused: The release was built and kept, and is not published; or was so before, from the same inputs.
        WorkspaceBusy: Another run is at work.
    """
    check_overrides(accept)
    configuration = load_settings(Path(settings_file))
    now = datetime.now(UTC)
    with (
        configuration.workspace.writing(now=now, run=this_run()) as abandoned,
        building(configuration, now=now) as build,
    ):
        tell_of_abandoned(abandoned, configuration.settings, base=configuration.base)
        night, embedder, sparse, reranker = build.night, build.embedder, build.sparse, build.reranker
        stage = build.stage

        inputs = stage(read_inputs, night)
        if build.is_current(inputs):
            return nothing_to_do(build, inputs)
        if (refused := refused_before(build, inputs, accept)) is not None:
            refuse_again(build, inputs, refused, accept=accept)

        cut = stage(chunk_documents, night, inputs.documents, embedder.plan)
        vectors = stage(embed_chunks, night, cut, embedder)
        index = stage(build_statistics, night, cut.chunks, vectors)

        asked = stage(compile_filters, night, inputs.queries, index)
        queries = stage(embed_queries, night, asked.queries, vectors, embedder)
        encoded = stage(encode_sparse, night, asked, index, sparse)
        bm25_leg = stage(retrieve_lexical, night, asked, index, sharding=build.sharding)
        dense = stage(retrieve_semantic, night, asked, queries, index, sharding=build.sharding)
        weighted = stage(retrieve_weighted, night, asked, encoded, index, sharding=build.sharding)
        fused = stage(
            fuse_legs, night, bm25_leg, dense.leg, weighted.leg, runs=inputs.external_runs, asked=asked, index=index
        )
        reranked = stage(rerank_candidates, night, fused, asked.queries, index, reranker, learned=build.learned)
        results = stage(write_results, night, reranked.candidates, asked.queries, index, inputs.watched)
        answered = Answered(results, queries, bm25_leg, reranked)
        near = stage(answer_near, night, inputs, asked.queries, index, answered, learned=build.learned)

        built = Built(inputs, cut, index, asked, queries, encoded, bm25_leg, dense, weighted, reranked, results, near)
        measured = stage(measure_stages, night, built, embedder, sparse, reranker, learned=build.learned)
        known = stage(measure_known_items, night, built, embedder, sparse, reranker, learned=build.learned)
        verdicts = stage(ask_gates, night, built, measured, known, accept)
        manifest = record(build, built, measured, known, verdicts)

        reported = stage(report_release, night, manifest)
        published = stage(making_release(publish, night, manifest), night, reported)
        not_pruned = stage(prune_unreachable, night, published.workspace)
        exported = export(build, published.live_id)
        told = (*verdicts.warnings, *warnings_of_embedder(built.account), reported.fault, published.warning)
        return finish(build, built, published, warnings=(*told, not_pruned, *exported))
