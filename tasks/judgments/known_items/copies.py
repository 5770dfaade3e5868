"""The masked copies of the chunks that known items ask for: what they say, and where the originals stand.

A copy competes in its original's place, under the original's number, so that ties fall as they would. Chunks that a
mask leaves as they are are copies, too: then a document is in the ranking once, whatever of it was masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.keys import digest
from nightrank.tasks.judgments.known_items.masking import Masked, has_words, masked_chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.judgments.known_items.items import KnownItem
    from nightrank.tasks.models.tokens import TokenCounter

MOST_CHUNKS = 12  # of a document; one of more would cost as many embeddings
LEAST_WORDS = 12  # that a mask must leave of a document
HELD = 4  # items looked at, for each that is wanted, before their chunks are read


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """The copies of all items, item by item, then by the number of the original.

    Attributes:
        items: That have them.
        item_of: int32 (n,), whose each copy is.
        chunk_numbers: int32 (n,), of the originals.
        hashes: Keys of the copies' texts (n,), as a chunk's.
        texts: What models read (n,).
        body_starts: Where passages begin (n,).
        titles: "" where a copy has no title (n,).
        declared: The languages that the documents say they are in (n,).
    """

    items: Sequence[KnownItem]
    item_of: NDArray[np.int32]
    chunk_numbers: NDArray[np.int32]
    hashes: Sequence[str]
    texts: Sequence[str]
    body_starts: Sequence[int]
    titles: Sequence[str]
    declared: Sequence[str]

    @classmethod
    def of(
        cls, items: Iterable[KnownItem], store: Bm25Store, table: ChunkTable, *, count: int, masked: bool = True
    ) -> Copies:
        """The copies of the first items that can have some.

        Left out are items whose document has too many chunks, or too few words beside what is masked.

        Args:
            items: Those that are to be used first at the head.
            store: The collection.
            table: What its chunks say.
            count: Items at most.
            masked: Whether anything is masked; only who wants to see what masking is for says no.
        """
        wanted = [item for _, item in zip(range(HELD * count), items, strict=False)]
        chunks = store.chunks(["document_id"]).column(0).combine_chunks()
        places = pc.index_in(chunks, value_set=pa.array([item.document_id for item in wanted], pa.string()))
        numbers = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False)).astype(np.int32)
        of_item = places.drop_null().to_numpy()
        columns = store.chunks_at(numbers, ["chunk_hash", "body_start", "title", "declared"]).to_pylist()
        rows = table.rows(pa.array(sorted({row["chunk_hash"] for row in columns}), pa.string()), ["text"])
        says = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
        order = np.argsort(of_item, kind="stable")
        kept: list[KnownItem] = []
        found: list[tuple[int, int, Masked, str, str]] = []
        for place, item in enumerate(wanted):
            own = order[
                np.searchsorted(of_item, place, sorter=order) : np.searchsorted(of_item, place + 1, sorter=order)
            ]
            if len(kept) == count:
                break
            if not 0 < own.size <= MOST_CHUNKS:
                continue
            parts = []
            for row in own.tolist():
                of = columns[row]
                text, start, title = says[of["chunk_hash"]], of["body_start"], of["title"]
                copy = Masked(text, start, bool(title))
                if masked:
                    copy = masked_chunk(text, start, has_title=bool(title), item=item)
                parts.append((len(kept), int(numbers[row]), copy, title, of["declared"]))
            if has_words(" ".join(copy.text for _, _, copy, _, _ in parts), LEAST_WORDS):
                kept.append(item)
                found += parts
        return cls(
            items=kept,
            item_of=np.array([place for place, *_ in found], dtype=np.int32),
            chunk_numbers=np.array([number for _, number, *_ in found], dtype=np.int32),
            hashes=[digest("chunk", copy.text) for _, _, copy, _, _ in found],
            texts=[copy.text for _, _, copy, _, _ in found],
            body_starts=[copy.body_start for _, _, copy, _, _ in found],
            titles=[title if copy.has_title else "" for _, _, copy, title, _ in found],
            declared=[declared for *_, declared in found],
        )

    def named(self) -> Iterator[tuple[int, str]]:
        """The item and the key of each copy."""
        return zip(self.item_of.tolist(), self.hashes, strict=True)

    def only(self, rows: NDArray[np.integer]) -> Copies:
        """Some of the copies, int (m,), with all items."""
        chosen = rows.tolist()
        return Copies(
            items=self.items,
            item_of=self.item_of[rows],
            chunk_numbers=self.chunk_numbers[rows],
            hashes=[self.hashes[row] for row in chosen],
            texts=[self.texts[row] for row in chosen],
            body_starts=[self.body_starts[row] for row in chosen],
            titles=[self.titles[row] for row in chosen],
            declared=[self.declared[row] for row in chosen],
        )

    def queries(self) -> pa.Table:
        """The items as queries, ``query_key``, ``text`` and ``filter``, by item."""
        return pa.table(
            {
                "query_key": pa.array([item.query_key for item in self.items], pa.string()),
                "text": pa.array([item.text for item in self.items], pa.string()),
                "filter": pa.nulls(len(self.items), pa.string()),
            }
        )


@dataclass(frozen=True, slots=True, eq=False)
class TextsWithCopies:
    """What chunks and copies say, asked as a chunk table is.

    Attributes:
        table: Of the chunks.
        copies: Of the known items.
        count_tokens: Of the embedder's tokenizer.
    """

    table: ChunkTable
    copies: Copies
    count_tokens: TokenCounter

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        """``chunk_hash`` and ``text`` or ``tokens`` of some chunks or copies, string (n,) distinct, in no order."""
        stored = self.table.rows(chunk_hashes, columns)
        unknown = chunk_hashes.filter(pc.invert(pc.is_in(chunk_hashes, value_set=stored.column("chunk_hash"))))
        says = dict(zip(self.copies.hashes, self.copies.texts, strict=True))
        texts = [says[one] for one in unknown.to_pylist()]
        values = {"text": lambda: pa.array(texts, pa.string()), "tokens": lambda: pa.array(self.count_tokens(texts))}
        beside = {"chunk_hash": unknown, **{name: values[name]() for name in columns}}
        return pa.concat_tables([stored, pa.table(beside).cast(stored.schema)])
