"""The sparse encoder of a night: loaded when a stage first needs it and never where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.sparse.encoder import SparseEncoder, check_stored_sparse

if TYPE_CHECKING:
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.memo.sparse_vectors import SparseMemo
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparsePlan


class LazySparse:
    """The sparse encoder of a night.

    Args:
        plan: What to load.
        settings: Where it runs, and how it is watched.
        seed: Of the drift check's sample.

    Attributes:
        plan: As given.
        vectors_checked: Stored vectors that were computed again and agreed.
    """

    def __init__(self, plan: SparsePlan, settings: Settings, *, seed: int) -> None:
        self.plan = plan
        self.vectors_checked = 0
        self._settings = settings
        self._seed = seed
        self._encoder: SparseEncoder | None = None
        self._is_checked = False

    def for_texts(self, stored: SparseMemo, texts: ChunkTable) -> SparseEncoder:
        """The encoder; the first time a sample of what is stored is encoded again and compared.

        Args:
            stored: Its vectors of texts so far.
            texts: What they say.

        Raises:
            InputError: The folder holds no model.
            MachineError: It does not say again what is stored.
        """
        encoder = self._planned()
        if not self._is_checked:
            self._check(encoder, stored, texts)
            self._is_checked = True
        return encoder

    def for_queries(self, stored: SparseMemo, texts: ChunkTable) -> SparseEncoder:
        """The same; where queries ask no network, none is loaded to be compared.

        Args:
            stored: Its vectors of texts so far.
            texts: What they say.
        """
        encoder = self._planned()
        return encoder if encoder.looks_queries_up else self.for_texts(stored, texts)

    def _planned(self) -> SparseEncoder:
        if self._encoder is None:
            execution = self._settings.execution
            self._encoder = SparseEncoder(self.plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
        return self._encoder

    def _check(self, encoder: SparseEncoder, stored: SparseMemo, texts: ChunkTable) -> None:
        watched = self._settings.drift_check
        sample = texts.sample(watched.sample or 0, ["text"], generator=np.random.default_rng(self._seed))
        positions, vectors = stored.vectors_of(sample.column("chunk_hash").combine_chunks())
        if positions.size:
            said = sample.column("text").take(positions).to_pylist()
            check_stored_sparse(encoder, said, vectors, settings=watched)
            self.vectors_checked = int(positions.size)
