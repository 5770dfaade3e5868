"""An embedder whose vectors are drawn and not computed: for what a night costs beside its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from typing_extensions import override

from benchmarks.inputs.made_vectors import CENTRES, DIMENSIONS, SEED
from nightrank.storage.keys import short_key
from nightrank.tasks.embed.lazy import LazyEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.embed.encoder import Embedder, EmbedderPlan

NOISE = 1 << 20  # values that all noise is cut from
SPREAD = 1.2  # of the noise, as long as the centre is 1


class DrawnVectors:
    """Unit vectors around common centres, as embeddings cluster; which one a text has, its digest decides.

    Args:
        plan: Of the embedder that it stands in for.
    """

    def __init__(self, plan: EmbedderPlan) -> None:
        generator = np.random.default_rng(SEED)
        self.plan = plan
        self.dimensions = DIMENSIONS
        self._centres = generator.standard_normal((CENTRES, DIMENSIONS), dtype=np.float32)
        noise = generator.standard_normal(NOISE + DIMENSIONS, dtype=np.float32) * np.float32(SPREAD / np.sqrt(2))
        self._noise = np.lib.stride_tricks.sliding_window_view(noise, DIMENSIONS)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of queries, float32 (n, DIMENSIONS)."""
        return self.embed_passages([f"query {text}" for text in texts])

    def embed_passages(
        self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None
    ) -> NDArray[np.float32]:
        """Unit vectors of chunks, float32 (n, DIMENSIONS).

        Args:
            texts: (n,).
            on_batch: Called with how many there were.
        """
        digests = np.array([short_key(text) for text in texts], dtype=np.uint64)
        # Two pieces of noise, so that hardly ever two texts have the same vector.
        pieces = [(digests >> np.uint64(shift)) % np.uint64(NOISE) for shift in (0, 20)]
        vectors: NDArray[np.float32] = self._centres[(digests >> np.uint64(40)) % np.uint64(CENTRES)]
        for piece in pieces:
            vectors += self._noise[piece]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        on_batch(len(texts))
        return vectors


class DrawnEmbedder(LazyEmbedder):
    """A night's embedder that draws; it takes no model to load, and no workers."""

    @override
    def load(self, stored: ChunkTable | None) -> Embedder:
        if self._loaded is None:
            self._loaded = cast("Embedder", DrawnVectors(self.plan))
            if stored is not None:
                self._check(self._loaded, stored)
        return self._loaded

    @override
    def sharding_of(self, texts: int) -> None:
        return None
