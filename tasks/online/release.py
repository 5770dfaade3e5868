"""A release that any query can meet at once: its collection in memory, and loaded models."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.keys import normalise_query
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.online.held import HeldStage
from nightrank.tasks.online.pace import Pace, Speed
from nightrank.tasks.online.search import LiveSearch
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import order_of_release
from nightrank.tasks.sparse.stored import stored_sparse

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.storage.serving.cache import Result
    from nightrank.tasks.online.models import OnlineModels
    from nightrank.tasks.release import StoredRelease
    from nightrank.tasks.settings.whole import Settings

FIRST_SECONDS = 1.0  # of the first query, in which the reranker's speed is learned
FIRST_QUERY = "what is asked first, so that nobody waits for what is made once"


def held_collection(release: StoredRelease, settings: Settings, *, base: Path, with_sparse: bool) -> HeldStage:
    """The collection of a release, in memory; nothing of the workspace is open afterwards.

    Args:
        release: It.
        settings: That it was made with, with models as this machine knows them.
        base: The folder that a model's path may be relative to.
        with_sparse: Whether the vectors of the sparse leg are wanted, where there is one.

    Raises:
        InputError: The sparse encoder is not there.
        MachineError: A store of the release cannot be read, or the disk of temporary files is full.
        WorkspaceBusy: A refresh has been writing the sparse vectors for a minute.
    """
    workspace = release.workspace
    files = ReleaseFiles.of(workspace, release.release_id, only=[ReleaseFiles.statistics])
    with (
        workspace.reading(),
        Bm25Store.open(files.statistics.path) as store,
        stored_sparse(settings, workspace, made_with=release.manifest.inputs.sparse, base=base)
        if with_sparse
        else nullcontext() as sparse,
    ):
        vectors = None if sparse is None else sparse.vectors
        return HeldStage.of(store, release.chunk_table(), vectors, settings=settings)


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """What both stages find for a query now.

    Attributes:
        query: Normalised.
        pairs_wanted: Passages that the reranker was to be asked about.
        pairs_scored: Those for which there was time, the best of the first stage.
    """

    query: str
    results: tuple[Result, ...]
    pairs_wanted: int
    pairs_scored: int


@dataclass(frozen=True, slots=True, eq=False)
class OnlineRelease:
    """A release that any query can meet; made by ``of``. Threads may share one.

    Attributes:
        live: Its collection and models.
        speed: How long pairs take.
    """

    live: LiveSearch
    speed: Speed

    @classmethod
    def of(cls, release: StoredRelease, stage: HeldStage, models: OnlineModels, *, settings: Settings) -> OnlineRelease:
        """A release, asked once, so that the next query waits for nothing.

        Args:
            release: It.
            stage: Its collection.
            models: That it was made with.
            settings: Likewise.
        """
        weighing = Weighing.of(
            settings,
            order_of_release(release.manifest),
            weight=0.0 if models.reranker is None else release.manifest.inputs.reranker_weight,
            log=release.manifest.log_means or None,
        )
        live = LiveSearch(settings, stage, stage.rows, models.embedder, models.sparse, models.reranker, weighing)
        online = cls(live, models.speed)
        online.answer(FIRST_QUERY, None, due=time.monotonic() + FIRST_SECONDS)
        return online

    def answer(self, query: str, allowed: NDArray[np.bool_] | None, *, due: float | None) -> LiveAnswer:
        """What both stages find for a query.

        Args:
            query: As typed.
            allowed: bool (n_chunks,), what it may find; None for all.
            due: When the answer is, by ``time.monotonic``: no pair is scored that would make it late. None: never.
        """
        text = normalise_query(query)
        pace = None if due is None else Pace(due, self.speed)
        reranked = self.live.reranked(text, self.live.fused(text, allowed), pace=pace)
        results = self.live.results(text, reranked.candidates)
        return LiveAnswer(text, results, reranked.wanted, reranked.scored)
