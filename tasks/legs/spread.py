"""Queries of a leg over vectors that meet texts by workers, where that is more than one shard, and here else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from nightrank.tasks.legs.filtered import Vectors
from nightrank.tasks.legs.lists import AskedQueries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.bucket.shards import SharedFolder
    from nightrank.tasks.kernels.top_documents import RunningTopDocuments
    from nightrank.tasks.kernels.top_k import RunningTopK
    from nightrank.tasks.legs.ranges import Ranges, RangeScan
    from nightrank.tasks.legs.texts import Texts

B = TypeVar("B")
C = TypeVar("C", contravariant=True)  # noqa: PLC0105 (a block of texts, as the leg has them)
D = TypeVar("D", covariant=True)  # noqa: PLC0105 (the same)


class SentQueries(AskedQueries[C], Protocol[C]):
    """Queries that can be sent."""

    def table(self) -> pa.Table:
        """A row each, as the leg's ``RangeScan`` takes them."""
        ...


class PlacedVectors(Vectors[D], Protocol[D]):
    """Vectors that any machine finds."""

    def placed(self, texts: Texts, chunk_hashes: pa.Array | None) -> pa.Table:
        """Where some texts lie, in the order in which they do, as the leg's ``RangeScan`` takes them.

        Args:
            texts: The collection.
            chunk_hashes: string (n,); None for all of it.

        Returns:
            ``number``, int32, of each text, and what the leg finds it by.
        """
        ...

    def range_scan(self, folder: SharedFolder) -> RangeScan:
        """What finds them from elsewhere.

        Args:
            folder: By which run and workers meet.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Texts that queries are to meet.

    Attributes:
        texts: The collection.
        chunk_hashes: string (n,), which of them; None for all.
    """

    texts: Texts
    chunk_hashes: pa.Array | None

    def __len__(self) -> int:
        return len(self.texts) if self.chunk_hashes is None else len(self.chunk_hashes)


@dataclass(eq=False)
class SpreadVectors(Generic[B]):
    """Vectors that stay where they are until it is known who scans them.

    Attributes:
        vectors: They.
        ranges: How workers scan them where that is much; None where this process scans all.
    """

    vectors: PlacedVectors[B]
    ranges: Ranges | None
    _scan: RangeScan | None = None

    def everything(self, texts: Texts, *, queries: int) -> Iterable[Wanted]:  # noqa: ARG002 (known when they meet)
        """A whole collection."""
        return (Wanted(texts, None),)

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterable[Wanted]:  # noqa: ARG002
        """Some of its texts, string (n,)."""
        return (Wanted(texts, chunk_hashes),)

    def blocks(self, wanted: Wanted, *, queries: int) -> Iterable[B]:
        """Those of some texts, for so many queries, to be scanned here."""
        if wanted.chunk_hashes is None:
            return self.vectors.everything(wanted.texts, queries=queries)
        return self.vectors.some(wanted.texts, wanted.chunk_hashes, queries=queries)

    def scan(self, folder: SharedFolder) -> RangeScan:
        """What finds them from elsewhere: made when a first range is sent.

        Args:
            folder: By which run and workers meet.
        """
        if self._scan is None:
            self._scan = self.vectors.range_scan(folder)
        return self._scan


@dataclass(frozen=True, slots=True, eq=False)
class SpreadQueries(Generic[B]):
    """Queries that meet texts by workers.

    Attributes:
        queries: They.
        vectors: Of the texts.
    """

    queries: SentQueries[B]
    vectors: SpreadVectors[B]

    def __len__(self) -> int:
        return len(self.queries)

    def only(self, numbers: NDArray[np.integer]) -> Self:
        """Some of them, int (n,), in this order."""
        return type(self)(self.queries.only(numbers), self.vectors)

    def add_best(
        self, best: RunningTopK, blocks: Iterable[Wanted], *, documents: RunningTopDocuments | None = None
    ) -> None:
        """Add the scores of every query against every text that may be among its best texts or documents."""
        ranges = self.vectors.ranges
        for wanted in blocks:
            if ranges is None or ranges.sharding.rows(len(self), len(wanted)) is None:
                here = self.vectors.blocks(wanted, queries=len(self))
                self.queries.add_best(best, here, documents=documents)
                continue
            scan, placed = (
                self.vectors.scan(ranges.folder),
                self.vectors.vectors.placed(wanted.texts, wanted.chunk_hashes),
            )
            ranges.add_best(scan, self.queries.table(), placed, best, documents, texts=wanted.texts)

    def contents(self) -> Iterator[bytes]:
        """What decides the scores of each query."""
        return self.queries.contents()
