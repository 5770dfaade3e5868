"""The chunks that live search meets: those of documents that were taken down are none of them, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.storage.bm25.statistics import Bm25Statistics


def still_there(
    store: Bm25Statistics, allowed: NDArray[np.bool_] | None, documents: Collection[str]
) -> NDArray[np.bool_] | None:
    """What a query may find.

    Args:
        store: The collection.
        allowed: bool (n_chunks,), the chunks that its filter lets through; None for all.
        documents: Ids of what was taken down.

    Returns:
        bool (n_chunks,); None for all.
    """
    if not documents:
        return allowed
    ids = store.chunks(["document_id"]).column(0)
    gone = pc.is_in(ids, value_set=pa.array(sorted(documents), pa.string()))
    left: NDArray[np.bool_] = ~gone.combine_chunks().to_numpy(zero_copy_only=False)
    if left.all():
        return allowed
    return left if allowed is None else left & allowed
