"""Diversity: results that do not say the same thing twice, chosen from the best of a ranking by their embeddings.

Maximal marginal relevance: J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking for reordering
documents and producing summaries", SIGIR 1998. Entries are chosen one by one, each the best by

    lambda * relevance - (1 - lambda) * highest cosine with what is chosen already

with the final scores, scaled to [0, 1] within the query's pool, as the relevance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.errors import MachineError
from nightrank.storage.lance.table import vectors_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nightrank.storage.lance.rows import TextRows

    # The vectors of texts, float32 (n, dim), by their hashes, string (n,), which may repeat.
    VectorSource = Callable[[pa.Array], NDArray[np.float32]]


def stored_vectors(table: TextRows) -> VectorSource:
    """The vectors that a chunk table holds; only those that are asked for are read.

    Raises, when it is asked:
        MachineError: A text has none.
    """

    def vectors(chunk_hashes: pa.Array) -> NDArray[np.float32]:
        rows = table.rows(chunk_hashes.unique(), ["vector"])
        places = pc.index_in(chunk_hashes, value_set=rows.column("chunk_hash").combine_chunks())
        if places.null_count:
            raise MachineError(f"LanceDB's table {table.name} lacks the vectors of {places.null_count} entries.")
        found: NDArray[np.float32] = vectors_of(rows, table.dimensions)[places.to_numpy()]
        return found

    return vectors


def choose(
    relevance: NDArray[np.float64],
    cosines: NDArray[np.float64],
    *,
    depth: int,
    mmr_lambda: float,
    near_duplicate: float | None,
) -> NDArray[np.intp]:
    """The entries of a query's pool that are published, in their order.

    Args:
        relevance: float64 (n,), falling: the pool comes in the order of its ranking, which decides between equals.
        cosines: float (n, n), of the entries' texts.
        depth: Entries at most.
        mmr_lambda: Weight of the relevance; at 1.0 the order stays.
        near_duplicate: An entry this close to one that is chosen is never chosen; None: however close it is.

    Returns:
        int (m,), places in the pool; fewer than ``depth`` where nothing else is left.

    >>> cosines = np.array([[1.0, 0.9, -0.5], [0.9, 1.0, 0.0], [-0.5, 0.0, 1.0]])
    >>> choose(np.array([1.0, 0.5, 0.5]), cosines, depth=3, mmr_lambda=0.5, near_duplicate=None).tolist()
    [0, 2, 1]
    >>> choose(np.array([1.0, 0.5, 0.5]), cosines, depth=3, mmr_lambda=1.0, near_duplicate=0.9).tolist()
    [0, 2]
    """
    chosen: list[int] = []
    left = np.ones(relevance.size, dtype=bool)
    closest = np.zeros(relevance.size)  # the first choice goes by relevance alone
    while len(chosen) < depth and left.any():
        worth = mmr_lambda * relevance - (1.0 - mmr_lambda) * closest
        best = int(np.argmax(np.where(left, worth, -np.inf)))  # the first of equals
        closest = np.maximum(closest, cosines[best]) if chosen else cosines[best]
        left[best] = False
        if near_duplicate is not None:
            left &= closest < near_duplicate
        chosen.append(best)
    return np.array(chosen, dtype=np.intp)


def cosines_of(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cosines of vectors with each other, to seven decimals.

    The last digits of a product depend on where in the matrix a vector stands. Without them texts that say the same
    are equally close to any third, and to each other exactly 1.

    Args:
        vectors: float32 (n, dim), none of them 0.

    Returns:
        float64 (n, n).

    >>> cosines_of(np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 4.0]], np.float32)).tolist()
    [[1.0, 0.0, -0.6], [0.0, 1.0, 0.8], [-0.6, 0.8, 1.0]]
    """
    exact = vectors.astype(np.float64)
    unit = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    cosines: NDArray[np.float64] = np.round(unit @ unit.T, 7)
    return cosines


def intra_list_distance(vectors: NDArray[np.float32], *, depth: int) -> float:
    """How different the first entries of a ranking are: the mean cosine distance of their pairs, 0 to 2.

    Args:
        vectors: float32 (n, dim), best first.
        depth: Entries that count.

    Returns:
        The mean; 0.0 where there are fewer than two entries, which do not differ from anything.

    >>> intra_list_distance(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [9.0, 9.0]], np.float32), depth=3)
    1.3333333333333333
    """
    cosines = cosines_of(vectors[:depth])
    upper = np.triu_indices(len(cosines), k=1)
    return float((1.0 - cosines[upper]).mean()) if upper[0].size else 0.0
