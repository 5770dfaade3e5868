"""How fast is the exact top 100 of a whole log found among vectors, beside LanceDB and FAISS?

    python -m benchmarks.dense_speed --work .benchmarks            # 1,000,000 vectors of 384; a quarter of an hour
    python -m benchmarks.dense_speed --work .benchmarks --small    # 100,000; a minute

All in one process and in turn, over the same made-up vectors: unit ones around 2,000 centres, as embeddings cluster.
Ours streams them from a LanceDB table for every lap and orders all queries at once; FAISS's flat index holds them in
memory and takes all queries at once; LanceDB, over the very same table, is asked query by query, a few of them: flat,
and with the index that it makes by default, which is approximate. Results are compared with ours.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import lancedb
import numpy as np
import pyarrow as pa

from benchmarks.inputs.made_vectors import DIMENSIONS, vector_blocks
from benchmarks.parts.claims import benchmark_parser, claim_of_rates, main_of
from benchmarks.parts.machine import matrix_rate
from benchmarks.parts.race import Laps, race
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.tasks.dense.retrieve import StoredVectors, retrieve_dense
from nightrank.tasks.legs.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.parts.claims import Claim

SIZE, SMALL_SIZE = 1_000_000, 100_000
QUERIES = 2_000
ASKED_ONE_BY_ONE = 20  # of LanceDB, whose seconds are taken for all
DEPTH = 100


def hashes_of(first: int, count: int) -> list[str]:
    """Names of texts by their places."""
    return [f"{number:032x}" for number in range(first, first + count)]


def made_table(folder: Path, count: int) -> ChunkTable:
    """A chunk table of the made-up vectors."""
    shutil.rmtree(folder, ignore_errors=True)
    table, first = ChunkTable.create(LanceFolder(folder), embedder="made-up", dimensions=DIMENSIONS), 0
    for vectors in vector_blocks(count, stream=1):
        names = hashes_of(first, len(vectors))
        table.add(names, names, [1] * len(names), vectors)
        first += len(vectors)
    return table


class LanceOneByOne:
    """LanceDB asked query by query.

    Args:
        table: LanceDB's own.
        queries: float32 (n, DIMENSIONS).
        flat: Without its index, where it has one.
    """

    def __init__(self, table: Any, queries: NDArray[np.float32], *, flat: bool) -> None:  # noqa: ANN401 (lancedb ships no types)
        self._table, self._queries, self._flat = table, queries, flat
        self.found = np.zeros((0, DEPTH), dtype=np.int64)

    def __call__(self) -> None:
        """Ask all of them; what they found, places of texts, is in ``found``."""
        rows = []
        for query in self._queries:
            search = self._table.search(query, vector_column_name="vector").distance_type("cosine").limit(DEPTH)
            search = search.select(["chunk_hash", "_distance"])
            hashes = (search.bypass_vector_index() if self._flat else search).to_arrow()["chunk_hash"].to_pylist()
            rows.append([int(name, 16) for name in hashes] + [-1] * (DEPTH - len(hashes)))
        self.found = np.array(rows)


def agreement(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> float:
    """The share of our chunks that the peer found too, both (n_queries, DEPTH)."""
    return sum(np.intersect1d(*pair).size for pair in zip(ours, theirs, strict=True)) / ours.size


def scaled(laps: Laps, *, name: str, factor: float) -> Laps:
    """The laps of a few queries as those of all."""
    return Laps(name, tuple(seconds * factor for seconds in laps.seconds))


def claims(folder: Path, *, count: int, query_count: int, rounds: int) -> Iterator[Claim]:
    """The three claims."""
    import faiss

    table = made_table(folder / "dense", count)
    queries = np.concatenate(list(vector_blocks(query_count, stream=2)))
    texts = Texts.of(pa.array(hashes_of(0, count)))
    index = faiss.IndexFlatIP(DIMENSIONS)
    for vectors in vector_blocks(count, stream=1):
        index.add(vectors)

    def ours() -> pa.Table:
        return retrieve_dense(queries, StoredVectors(table).everything(texts, queries=query_count), texts, depth=DEPTH)

    lance = lancedb.connect(str(folder / "dense")).open_table(table.name)
    one_by_one = queries[:ASKED_ONE_BY_ONE]
    flat = LanceOneByOne(lance, one_by_one, flat=True)
    lance.create_index("vector", config=lancedb.index.IvfPq(distance_type="cosine"))
    indexed = LanceOneByOne(lance, one_by_one, flat=False)
    runners: dict[str, Callable[[], object]] = {
        "ours": ours,
        "FAISS flat": partial(index.search, queries, DEPTH),
        "flat": flat,
        "index": indexed,
    }
    laps = race(runners, rounds=rounds)
    found = ours()["chunk_number"].to_numpy().reshape(query_count, DEPTH).astype(np.int64)
    factor = query_count / ASKED_ONE_BY_ONE
    peers = (
        (laps["FAISS flat"], 1 / 1.1, agreement(found, index.search(queries, DEPTH)[1])),
        (scaled(laps["flat"], name="LanceDB flat", factor=factor), 20, agreement(found[:ASKED_ONE_BY_ONE], flat.found)),
        (
            scaled(laps["index"], name="LanceDB default index", factor=factor),
            1,
            agreement(found[:ASKED_ONE_BY_ONE], indexed.found),
        ),
    )
    operations = 2 * count * query_count * DIMENSIONS / laps["ours"].median
    share = operations / matrix_rate()
    for peer, target, same in peers:
        yield claim_of_rates(
            f"dense top {DEPTH} of {query_count:,} queries, {count:,} x {DIMENSIONS}",
            laps["ours"],
            peer,
            amount=query_count,
            unit="queries/s",
            target=target,
            equal=f"{same:.2%} of our chunks found by it; ours are exact",
            share_of_limit=share,
        )


def main() -> None:
    """Print the claims."""
    options = benchmark_parser(__doc__ or "").parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    count = SMALL_SIZE if options.small else SIZE
    main_of(list(claims(options.work, count=count, query_count=QUERIES, rounds=options.rounds)), options)


if __name__ == "__main__":
    main()
