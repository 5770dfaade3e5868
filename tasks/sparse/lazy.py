"""The sparse encoder of a night: loaded when a stage first needs it and never where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.memo.sparse_vectors import SparseVectors
from nightrank.tasks.sparse.encoder import SparseEncoder, check_stored_sparse
from nightrank.tasks.sparse.shards import SparseReference, SparseSharding

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.bucket.shards import SharedFolder
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.memo.sparse_vectors import SparseMemo
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparsePlan
    from nightrank.tasks.workers.cut import Sharding


class LazySparse:
    """The sparse encoder of a night.

    Args:
        plan: What to load.
        settings: Where it runs, and how it is watched.
        seed: Of the drift check's sample.
        sharding: How workers encode what is much; None where this process encodes all.

    Attributes:
        plan: As given.
        vectors_checked: Stored vectors that were computed again and agreed.
    """

    def __init__(self, plan: SparsePlan, settings: Settings, *, seed: int, sharding: Sharding | None = None) -> None:
        self.plan = plan
        self._sharding = sharding
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

    @property
    def looks_queries_up(self) -> bool:
        """Whether queries ask no network."""
        return self._planned().looks_queries_up

    def sharding_of(self, texts: int, *, folder: SharedFolder, base: Path) -> SparseSharding | None:
        """How workers encode so many texts; None where this process does.

        Args:
            texts: How many.
            folder: Where shards are to lie.
            base: The folder that paths in settings are relative to.
        """
        if self._sharding is None or texts <= self._sharding.texts:
            return None
        model = SparseReference(self.plan.settings, base, self.plan.precision, self.plan.fingerprint)
        return SparseSharding(self._sharding, model, self.plan.device, folder, self._settings.drift_check)

    def stored_sample(self, stored: SparseMemo, texts: ChunkTable) -> pa.Table:
        """What the encoder must say again: ``text`` and the vectors' columns of some of what is stored.

        Args:
            stored: Its vectors of texts so far.
            texts: What they say.
        """
        size, generator = self._settings.drift_check.sample or 0, np.random.default_rng(self._seed)
        sample = texts.sample(size, ["text"], generator=generator)
        positions, vectors = stored.vectors_of(sample.column("chunk_hash").combine_chunks())
        table = vectors.with_keys(sample.column("chunk_hash").take(pa.array(positions)))
        return table.append_column("text", sample.column("text").take(pa.array(positions)))

    def _planned(self) -> SparseEncoder:
        if self._encoder is None:
            execution = self._settings.execution
            self._encoder = SparseEncoder(self.plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
        return self._encoder

    def _check(self, encoder: SparseEncoder, stored: SparseMemo, texts: ChunkTable) -> None:
        sample = self.stored_sample(stored, texts)
        if sample.num_rows:
            said, vectors = sample.column("text").to_pylist(), SparseVectors.in_table(sample)
            check_stored_sparse(encoder, said, vectors, settings=self._settings.drift_check)
        self.vectors_checked = sample.num_rows
