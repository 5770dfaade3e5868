"""Live search: both stages now, for any query, on the collection of the current release. Slow, exact, unstored."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.compute as pc

from nightrank.flows.settings_file import as_made
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.serving.cache import CachedResults, condition_of, seen_by_readers
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.near.pool_search import PoolSearch
from nightrank.tasks.online.search import LiveSearch, require_own_leg
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import learned_order
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.find import plan_reranker
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.sparse.stored import stored_sparse
from nightrank.tasks.takedown.chunks import still_there
from nightrank.tasks.trec.leg import runs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Counts, Manifest
    from nightrank.tasks.settings.whole import Settings

READ = (ReleaseFiles.statistics, ReleaseFiles.queries, ReleaseFiles.candidates)


def search_live(configuration: Configuration, query: str, *, filter_by: JsonValue = None) -> CachedResults:
    """The results of both stages now, our own legs and every pair of the reranker's depth.

    A refresh under these settings publishes the same, but where ``live_warnings`` names a reason. Pair scores that the
    release holds of the same reranker are taken as they are: only other pairs are scored, or paid for.

    Args:
        configuration: Settings; what they compute must be what the release was made with.
        query: As typed.
        filter_by: Its filter, as ``storage.filters.language`` has it.

    Raises:
        InputError: Nothing is published, the settings have changed since, no leg is our own, or the filter cannot
            be applied.
        WorkspaceBusy: The sparse leg is on, and a refresh has been writing its vectors for a minute.
    """
    condition = condition_of(filter_by)
    with configuration.workspace.reading():
        return _search(configuration, query, condition)


def live_warnings(configuration: Configuration) -> tuple[str, ...]:
    """Why live results may differ from what a refresh publishes, or has published.

    Raises:
        InputError: Nothing is published.
    """
    with configuration.workspace.reading():
        manifest = read_manifest(configuration.workspace, configuration.workspace.require_current())
    return differences(configuration.settings, manifest.counts)


def differences(settings: Settings, counts: Counts) -> tuple[str, ...]:
    """As ``live_warnings``, of settings and of what was counted in the current release."""
    own = settings.retrieval.own_legs
    found = [
        f"Live search asks {'our own' if leg in own else 'no'} {leg} leg: {name}, which a refresh takes for it, knows "
        "the log's queries alone."
        for leg, name in runs_of(settings.retrieval).items()
    ]
    if counts.queries_left:
        found.append(
            f"Live search scores every pair; {counts.queries_left:,} queries of the release are ordered without it, "
            "since its spending cap was reached."
        )
    return tuple(found)


def search_pool(configuration: Configuration, query: str, *, filter_by: JsonValue = None) -> CachedResults | None:
    """What the second tier of near answers finds; None where it is off, or no known query is near enough.

    Args:
        configuration: As of ``search_live``; but such answers are computed by the settings that the release was made
            with, for which their loss was measured.
        query: As typed.
        filter_by: Its filter.

    Raises:
        InputError: As ``search_live``.
    """
    condition = condition_of(filter_by)
    workspace = configuration.workspace
    with workspace.reading():
        stored = StoredRelease.open(workspace)
        if "same_pool" not in stored.settings.near.tiers:
            return None
        with _opened(configuration, as_made(stored.settings, configuration), with_reranker=False) as opened:
            texts = Texts.of(opened.live.first_stage.statistics.chunks(["chunk_hash"]).column(0))
            pools = PoolSearch.of(stored, opened.live, texts)
            return None if pools is None else pools.answer(query, condition, opened.allowed(condition))


class _Opened(NamedTuple):
    """The current release, open for live search.

    Attributes:
        manifest: Its own.
        files: Of ``READ``.
        live: Its collection and models.
        retracted: Ids of documents that were taken down.
        knows_scores: Whether its pair scores are of the reranker that is loaded.
    """

    manifest: Manifest
    files: ReleaseFiles
    live: LiveSearch
    retracted: Collection[str]
    knows_scores: bool

    def allowed(self, condition: str | None) -> NDArray[np.bool_] | None:
        """The chunks that a query with a filter may find, bool (n_chunks,); None for all.

        Raises:
            InputError: The filter cannot be applied.
        """
        stage = self.live.first_stage
        return still_there(stage.statistics, stage.allowed(condition), self.retracted)


@contextmanager
def _opened(configuration: Configuration, settings: Settings, *, with_reranker: bool = True) -> Iterator[_Opened]:
    require_own_leg(settings)
    base, workspace = configuration.base, configuration.workspace
    release_id, listed = seen_by_readers(workspace)
    manifest, retracted = read_manifest(workspace, release_id), listed.documents.keys()
    embedder_plan = plan_embedder(settings.embedder, settings.execution, base=base)
    analyser = Analyser.of(settings.bm25)
    if (embedder_plan.fingerprint, analyser.fingerprint()) != (manifest.inputs.embedder, manifest.inputs.analysis):
        message = f"The embedder or the analysis in the settings is not what the release {release_id} was made with."
        raise InputError(message, remedy="Run `nightrank refresh` first.")
    reranker_plan = plan_reranker(settings.reranker, settings.execution, base=base)
    table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=release_id)
    batch_tokens, threads = settings.execution.batch_tokens, settings.execution.threads
    embedder = Embedder(embedder_plan, batch_tokens=batch_tokens, threads=threads)
    loads = reranker_plan is not None and with_reranker
    reranker = LazyReranker(reranker_plan, settings).load() if reranker_plan is not None and loads else None
    weighing = Weighing.of(
        settings,
        learned_order(settings, base=base),
        weight=0.0 if reranker_plan is None else reranker_plan.weight,
        log=manifest.log_means or None,
    )
    files = ReleaseFiles.of(workspace, release_id, only=READ)
    with (
        Bm25Store.open(files.statistics.path) as store,
        stored_sparse(settings, workspace, made_with=manifest.inputs.sparse, base=base) as sparse,
    ):
        live = LiveSearch.of(
            settings, store, table, embedder=embedder, sparse=sparse, reranker=reranker, weighing=weighing
        )
        same = reranker_plan is not None and reranker_plan.fingerprint == manifest.inputs.reranker_fingerprint
        yield _Opened(manifest, files, live, retracted, same)


def _search(configuration: Configuration, query: str, condition: str | None) -> CachedResults:
    text = normalise_query(query)
    with _opened(configuration, configuration.settings) as opened:
        live = opened.live
        fused = live.fused(text, opened.allowed(condition))
        known = _known_scores(opened.files, text) if opened.knows_scores else {}
        found = live.results(text, live.reranked(text, fused, known=known).candidates)
        return CachedResults(text, opened.manifest.release_id, found, condition, how="live")


def _known_scores(files: ReleaseFiles, text: str) -> dict[str, float]:
    """The pair scores of a text in a release, under whatever filter, by chunk hash."""
    queries = files.queries.read(["query_key", "text"])
    keys = queries.filter(pc.equal(queries.column("text"), text)).column("query_key")
    rows = files.candidates.read_rows("query_key", keys)
    rows = rows.filter(pc.is_valid(rows.column("pair_score")))
    return dict(zip(*(rows.column(name).to_pylist() for name in ("chunk_hash", "pair_score")), strict=True))
