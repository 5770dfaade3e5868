"""The second tier online: a query is answered from what was found for the known ones nearest to it, and by BM25."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from nightrank.storage.keys import normalise_query
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.records import LEG
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.serving.cache import CachedResults
from nightrank.tasks.near.pool import KnownPools, pool_fused
from nightrank.tasks.near.tiers import pool_move, told_query
from nightrank.tasks.rank.diversity import stored_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nightrank.storage.release.near_record import NearMove
    from nightrank.tasks.legs.texts import Texts
    from nightrank.tasks.online.search import LiveSearch
    from nightrank.tasks.release import StoredRelease


@dataclass(frozen=True, slots=True, eq=False)
class PoolSearch:
    """What the second tier asks; made by ``of``. Threads may share one.

    Attributes:
        live: The collection and the embedder; no reranker, for what is lost was measured without.
        texts: Of the collection.
        pools: What was found for the known queries.
        measured: What such answers may lose.
        release_id: Of the release.
    """

    live: LiveSearch
    texts: Texts
    pools: KnownPools
    measured: NearMove
    release_id: str

    @classmethod
    def of(cls, release: StoredRelease, live: LiveSearch, texts: Texts) -> Self | None:
        """The second tier of a release; None where it has none.

        Args:
            release: It.
            live: Its collection and models.
            texts: Of its collection.

        Raises:
            MachineError: The release's files cannot be read.
        """
        wanted = (ReleaseFiles.near, ReleaseFiles.queries, ReleaseFiles.candidates)
        files = ReleaseFiles.of(release.workspace, release.release_id, only=wanted)
        measured = pool_move(files)
        if measured is None:
            return None
        queries = files.queries.read(["query_key", "text", "filter"])
        with QueryMemo(release.workspace.memo, embedder=release.manifest.inputs.embedder) as memo:
            pools = KnownPools.of(queries, files.candidates.read(["query_key", "chunk_number"]), memo)
        return cls(replace(live, reranker=None), texts, pools, measured, release.release_id)

    @property
    def expected_overlap(self) -> float:
        """How alike such answers and the queries' own are, as the release has measured in the mean."""
        return self.measured.overlap or 0.0

    def answer(self, query: str, condition: str | None, allowed: NDArray[np.bool_] | None) -> CachedResults | None:
        """What is found for a query; None where no known query with its filter is near enough.

        Args:
            query: As typed.
            condition: The canonical text of its filter.
            allowed: bool (n_chunks,), what may be found; None: all.
        """
        text = normalise_query(query)
        vector = self.live.embedder.embed_queries([text])[0]
        pool = self.pools.near(vector, condition)
        if pool is None or pool.similarity < (self.measured.least_similarity or 0.0):
            return None
        settings, stage = self.live.settings, self.live.first_stage
        depth = settings.retrieval.candidate_depth
        has_bm25 = "bm25" in settings.retrieval.own_legs
        bm25 = stage.bm25([text], allowed, settings=settings, depth=depth) if has_bm25 else LEG.empty_table()
        fused = pool_fused(
            pool,
            bm25,
            vector,
            allowed=allowed,
            texts=self.texts,
            vectors=stored_vectors(self.live.table),
            documents=stage.documents(settings),
            settings=settings,
        )
        results = self.live.results(text, self.live.reranked(text, fused).candidates)
        return CachedResults(
            text,
            self.release_id,
            results,
            condition,
            how="near",
            from_query=told_query(self.pools.texts[pool.nearest]),
            expected_overlap=self.expected_overlap,
        )
