"""Made-up vectors around common centres, as embeddings cluster: the same of every seed, at every size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SEED = 20_240_601
DIMENSIONS = 384
CENTRES = 2_000
BLOCK = 50_000


def vector_blocks(count: int, *, stream: int) -> Iterator[NDArray[np.float32]]:
    """Unit vectors around common centres, float32 (n, DIMENSIONS) each.

    Args:
        count: How many in all.
        stream: Which of the independent sequences: texts are one, queries another.
    """
    centres = np.random.default_rng(SEED).standard_normal((CENTRES, DIMENSIONS), dtype=np.float32)
    for number, first in enumerate(range(0, count, BLOCK)):
        generator = np.random.default_rng((SEED, stream, number))
        rows = min(BLOCK, count - first)
        noise = generator.standard_normal((rows, DIMENSIONS), dtype=np.float32)
        vectors = centres[generator.integers(CENTRES, size=rows)] + np.float32(1.2) * noise
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
