"""The models of a night: loaded where something must be computed, once, and watched before they are trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nightrank.storage.lance.table import vectors_of
from nightrank.tasks.models.canary import compare_with_stored
from nightrank.tasks.embed.encoder import Embedder
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.rerank.hosted.spending import RunSpending
from nightrank.tasks.rerank.openvino import OpenvinoReranker
from nightrank.tasks.rerank.find import Reranker

if TYPE_CHECKING:
    import pyarrow as pa

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.rerank.hosted.client import HostedReranker
    from nightrank.tasks.rerank.find import RerankerPlan
    from nightrank.tasks.settings.file import Settings
    from nightrank.tasks.workers.cut import Sharding

LoadedReranker: TypeAlias = "Reranker | OpenvinoReranker | HostedReranker"


class EmbedderOnDemand:
    """The embedder of a night.

    Args:
        plan: What to load.
        settings: Where it runs, and how it is watched.
        seed: Of the canary's sample.
        sharding: How workers embed what is much; None where this process embeds all.

    Attributes:
        plan: As given.
        sharding: As given.
        vectors_checked: Stored vectors that were computed again and agreed.
    """

    def __init__(self, plan: EmbedderPlan, settings: Settings, *, seed: int, sharding: Sharding | None = None) -> None:
        self.plan = plan
        self.sharding = sharding
        self.vectors_checked = 0
        self._settings = settings
        self._seed = seed
        self._loaded: Embedder | None = None

    def load(self, stored: ChunkTable | None) -> Embedder:
        """The embedder; when it is loaded, a sample of what is stored is embedded again and compared.

        Args:
            stored: Its vectors so far.

        Raises:
            InputError: The folder holds no model.
            MachineError: It does not say again what is stored.
        """
        if self._loaded is None:
            execution = self._settings.execution
            self._loaded = Embedder(self.plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
            if stored is not None:
                self._check(self._loaded, stored)
        return self._loaded

    def sharding_of(self, texts: int) -> Sharding | None:
        """How workers embed so many texts; None where this process does."""
        return self.sharding if self.sharding is not None and texts > self.sharding.texts else None

    def stored_sample(self, stored: ChunkTable) -> pa.Table:
        """What the embedder must say again: some ``text`` and ``vector`` of what is stored, the same all night."""
        generator = np.random.default_rng(self._seed)
        return stored.sample(self._settings.canary.sample, ["text", "vector"], generator=generator)

    def _check(self, embedder: Embedder, stored: ChunkTable) -> None:
        sample = self.stored_sample(stored)
        if sample.num_rows == 0:
            return
        compare_with_stored(
            "embeddings",
            vectors_of(sample, stored.dimensions),
            embedder.embed_passages(sample.column("text").to_pylist()),
            settings=self._settings.canary,
            precision=self.plan.precision,
        )
        self.vectors_checked = sample.num_rows


class RerankerOnDemand:
    """The reranker of a night.

    Args:
        plan: What to load.
        settings: Where it runs.
        spending: What the run spent so far on hosted ones; None where this is the only one of its run.
        sharding: How workers score what is much; None where this process scores all.

    Attributes:
        plan: As given.
        sharding: As given; None of a hosted one, whose budget is one.
    """

    def __init__(
        self,
        plan: RerankerPlan | HostedPlan,
        settings: Settings,
        *,
        spending: RunSpending | None = None,
        sharding: Sharding | None = None,
    ) -> None:
        self.plan = plan
        self.sharding = None if isinstance(plan, HostedPlan) else sharding
        self._spending = RunSpending() if spending is None else spending
        self._execution = settings.execution
        self._loaded: LoadedReranker | None = None

    def load(self) -> LoadedReranker:
        """The reranker.

        Raises:
            InputError: The folder holds no cross-encoder with one output, or there is no key for a hosted one.
        """
        if self._loaded is None:
            self._loaded = self._hosted(self.plan) if isinstance(self.plan, HostedPlan) else self._local(self.plan)
        return self._loaded

    def _local(self, plan: RerankerPlan) -> Reranker | OpenvinoReranker:
        kind = OpenvinoReranker if plan.runtime == "openvino" else Reranker
        return kind(plan, batch_tokens=self._execution.batch_tokens, threads=self._execution.threads)

    def _hosted(self, plan: HostedPlan) -> HostedReranker:
        from nightrank.tasks.rerank.hosted.client import HostedReranker  # its HTTP client is needed nowhere else

        return HostedReranker.connect(plan, self._spending.under(plan.hosted))
