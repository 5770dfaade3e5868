"""The embedder, loaded when a stage first needs it and never where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.embed.encoder import Embedder, check_stored_vectors

if TYPE_CHECKING:
    import pyarrow as pa

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.workers.cut import Sharding


class LazyEmbedder:
    """The embedder of a night.

    Args:
        plan: What to load.
        settings: Where it runs, and how it is watched.
        seed: Of the drift check's sample.
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
        return stored.sample(self._settings.drift_check.sample or 0, ["text", "vector"], generator=generator)

    def _check(self, embedder: Embedder, stored: ChunkTable) -> None:
        sample = self.stored_sample(stored)
        if sample.num_rows == 0:
            return
        check_stored_vectors(embedder, sample, settings=self._settings.drift_check)
        self.vectors_checked = sample.num_rows
