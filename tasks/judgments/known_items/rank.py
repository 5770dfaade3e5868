"""The known items' rankings: legs, fusion, reranker and final order as any query of the release has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.records import Judgment
from nightrank.storage.wide import rows_at
from nightrank.tasks.rank.fusion import fuse
from nightrank.tasks.rank.order import CHUNK_NAMES, final_order, name_candidates, reranked_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.legs import LegName
    from nightrank.tasks.judgments.known_items.copies import Copies
    from nightrank.tasks.judgments.known_items.items import KnownItem
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.rank.order import Weighing
    from nightrank.tasks.settings.whole import Settings

    # The scores of pairs, float32 (n,), by their query_key and chunk_hash (n,).
    ScorePairs = Callable[[pa.Table], NDArray[np.float32]]
    # Candidates with their ``grams``.
    PairGrams = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True, slots=True, eq=False)
class FusedItems:
    """The candidates of the known items before they are reranked.

    Attributes:
        entries: Schema FUSED.
        candidates: Keys of the same rows, with the copies' own in place of the originals' texts.
    """

    entries: pa.Table
    candidates: pa.Table

    @classmethod
    def of(
        cls,
        legs: Mapping[LegName, pa.Table],
        copies: Copies,
        store: Bm25Store,
        *,
        documents: Documents | None,
        settings: Settings,
    ) -> FusedItems:
        """The legs as one ranking.

        Args:
            legs: As ``legs_with_copies`` gives them.
            copies: Of the items.
            store: The collection.
            documents: Behind the chunks, where documents count.
            settings: Of the fusion.
        """
        entries = fuse(legs, settings=settings.retrieval, documents=documents)
        numbers = entries.column("chunk_number").to_numpy()
        named = name_candidates(entries, copies.queries(), store.chunks_at(numbers, CHUNK_NAMES))
        instead = {
            (item, number): chunk_hash
            for item, number, chunk_hash in zip(
                copies.item_of.tolist(), copies.chunk_numbers.tolist(), copies.hashes, strict=True
            )
        }
        pairs = zip(entries.column("query_number").to_pylist(), numbers.tolist(), strict=True)
        stored = named.column("chunk_hash").to_pylist()
        hashes = [instead.get(pair, own) for pair, own in zip(pairs, stored, strict=True)]
        place = named.schema.get_field_index("chunk_hash")
        return cls(entries, named.set_column(place, "chunk_hash", pa.array(hashes, pa.string())))

    def pairs(self, settings: Settings) -> tuple[NDArray[np.intp], pa.Table]:
        """The rows whose pairs the reranker is asked for, and these, ``query_key`` and ``chunk_hash``."""
        rows = reranked_rows(self.entries, settings)
        return rows, rows_at(self.candidates.select(["query_key", "chunk_hash"]), rows)

    def ranked(self, settings: Settings, *, weighing: Weighing, score: ScorePairs | None, grams: PairGrams) -> pa.Table:
        """The candidates in their final order, schema CANDIDATES.

        Args:
            settings: How deep the reranker is asked.
            weighing: Of the final order.
            score: Gives the reranker's scores; None without one.
            grams: Gives those of pairs; asked where a learned order orders.
        """
        pair_scores = np.full(self.candidates.num_rows, np.nan, dtype=np.float32)
        if score is not None:
            rows, pairs = self.pairs(settings)
            pair_scores[rows] = score(pairs)
        candidates = self.candidates if weighing.learned is None else grams(self.candidates)
        return final_order(candidates, self.entries, pair_scores, weighing=weighing)


def judgments_of_items(items: Sequence[KnownItem]) -> list[Judgment]:
    """What the items say is relevant: each its own document, and nothing else is known."""
    return [Judgment(item.item, item.document_id, 1, "known items") for item in items]


def queries_of_items(queries: pa.Table, items: Sequence[KnownItem]) -> pa.Table:
    """The items' queries with the items' ids as ``query_ids``, as ``tasks.evaluate`` asks for them."""
    return queries.append_column("query_ids", pa.array([[item.item] for item in items], pa.list_(pa.string())))
