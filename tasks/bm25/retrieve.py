"""The lexical leg: exact top-k of many queries at once, block by block of the collection.

The formulas are in ``tasks.bm25.formulas``, the statistics of the collection in ``storage.bm25.index``, the passing of
queries over blocks in ``tasks.kernels.postings``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import MachineError
from nightrank.tasks.bm25.formulas import VARIANTS, length_norm
from nightrank.tasks.kernels.postings import AskedTerms, Postings, score_blocks
from nightrank.tasks.kernels.top_documents import RunningTopDocuments, in_parts
from nightrank.tasks.kernels.top_k import RunningTopK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store, ChunkSlots, PostingBlock
    from nightrank.storage.bm25.terms import TextAnalyser
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.settings.index import Bm25Settings


def retrieve_bm25(
    store: Bm25Store,
    texts: Sequence[str],
    *,
    settings: Bm25Settings,
    analyser: TextAnalyser,
    depth: int,
    documents: Documents | None = None,
    allowed: NDArray[np.bool_] | None = None,
    scan: Scan | None = None,
) -> pa.Table:
    """The ``depth`` best chunks of each query, or the best chunks of its ``depth`` best documents, exactly.

    A chunk without a term of the query is no result; one that has a term is, also where its score is zero or negative
    (``okapi``, ``atire``). A long log goes in parts.

    Args:
        store: The collection's statistics.
        texts: Query n is ``texts[n]``.
        settings: Variant, k1 and b.
        analyser: What the collection was analysed with.
        depth: Results a query, at least 1: documents where these count, else chunks.
        documents: Behind the chunks, where documents count.
        allowed: bool (chunk_count,), the chunks that a filter lets through; they alone are ranked, while idf and
            lengths stay those of the whole collection. None: all.
        scan: Adds what chunks score; None: this process does, all of them.

    Returns:
        Schema ``storage.records.LEG``.

    Raises:
        MachineError: The collection was analysed in another way, or its postings are out of order.
    """
    scan = partial(_scan_here, store, settings=settings) if scan is None else scan
    bytes_each = 8 * depth if documents is None else RunningTopDocuments.bytes_each(depth, documents)
    legs = []
    for part in in_parts(len(texts), bytes_each=bytes_each):
        asked = asked_terms(store, texts[part], settings=settings, analyser=analyser)
        if documents is None:
            best = RunningTopK(asked.queries, depth)
            scan(asked, best, None, allowed=allowed)
            legs.append(best.table(first=part.start))
        else:
            best_documents = RunningTopDocuments(asked.queries, depth, documents)
            scan(asked, None, best_documents, allowed=allowed)
            legs.append(best_documents.table(first=part.start))
    return pa.concat_tables(legs)


class Scan(Protocol):
    """What adds the scores of chunks that match to the best of as many queries."""

    def __call__(
        self,
        asked: WeightedTerms,
        best: RunningTopK | None,
        documents: RunningTopDocuments | None,
        *,
        allowed: NDArray[np.bool_] | None,
    ) -> None:
        """Do so.

        Args:
            asked: The queries.
            best: Chunks; None where none are wanted.
            documents: Documents; None where none are wanted.
            allowed: bool (chunk_count,), the chunks that a filter lets through; None: all.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class WeightedTerms:
    """The terms of queries, end to end, with what the collection says of them.

    Attributes:
        bounds: int64 (n_queries + 1,), where each query begins and ends in the three that follow.
        terms: int32, numbers of terms, ascending within a query.
        occurrences: int32, how often the query has each.
        idf: float64, in the whole collection.
    """

    bounds: NDArray[np.int64]
    terms: NDArray[np.int32]
    occurrences: NDArray[np.int32]
    idf: NDArray[np.float64]

    @property
    def queries(self) -> int:
        """How many."""
        return self.bounds.size - 1


def asked_terms(
    store: Bm25Store, texts: Sequence[str], *, settings: Bm25Settings, analyser: TextAnalyser
) -> WeightedTerms:
    """The terms of queries.

    Raises:
        MachineError: The collection was analysed in another way, or its postings are laid out in another.
    """
    found = store.query_terms(texts, analyse=analyser)
    queries, terms, occurrences = (found[name].to_numpy() for name in ("query_number", "term_number", "qtf"))
    bounds = np.searchsorted(queries, np.arange(len(texts) + 1))
    chunk_counts = store.chunk_counts().astype(np.float64)
    idf = VARIANTS[settings.variant].idf(chunk_counts, store.chunk_count)
    return WeightedTerms(bounds, terms, occurrences, idf[terms])


def add_scores(
    store: Bm25Store,
    asked: WeightedTerms,
    best: RunningTopK | None,
    documents: RunningTopDocuments | None,
    *,
    settings: Bm25Settings,
    average_length: float,
    allowed: NDArray[np.bool_] | None = None,
    chunks: ChunkSlots | None = None,
) -> None:
    """Add the scores of chunks that match to the best of as many queries.

    Args:
        store: Where the postings are.
        asked: The queries.
        best: Chunks; None where none are wanted.
        documents: Documents; None where none are wanted.
        settings: Variant, k1 and b.
        average_length: Of a chunk of the whole collection.
        allowed: bool (n,), which of the chunks a filter lets through; None: all.
        chunks: Some of the collection's, numbered by their places here; None: all, by their own numbers.

    Raises:
        MachineError: The postings are out of order.
    """
    wanted, first, rows = np.unique(asked.terms, return_index=True, return_inverse=True)
    weighted = partial(
        weighted_postings, idf=asked.idf[first], average_length=average_length, settings=settings, allowed=allowed
    )
    score_blocks(
        map(weighted, store.posting_blocks(wanted, chunks)),
        AskedTerms(asked.bounds, rows.astype(np.int32), asked.occurrences),
        best,
        documents,
    )


def _scan_here(
    store: Bm25Store,
    asked: WeightedTerms,
    best: RunningTopK | None,
    documents: RunningTopDocuments | None,
    *,
    settings: Bm25Settings,
    allowed: NDArray[np.bool_] | None,
) -> None:
    add_scores(store, asked, best, documents, settings=settings, average_length=store.average_length, allowed=allowed)


def weighted_postings(
    block: PostingBlock,
    idf: NDArray[np.float64],
    *,
    average_length: float,
    settings: Bm25Settings,
    allowed: NDArray[np.bool_] | None,
) -> Postings:
    """What a formula makes of a block's postings.

    Args:
        block: The postings.
        idf: float64 (n_terms,), of the terms that were asked for.
        average_length: Of a chunk.
        settings: Variant, k1 and b.
        allowed: bool (chunk_count,), the chunks that are wanted; None: all.

    Raises:
        MachineError: The postings are out of order.
    """
    from nightrank.tasks.kernels.loops import mark_frequencies, weigh_postings

    kept = block.chunk_numbers >= 0
    if allowed is not None:
        kept[kept] = allowed[block.chunk_numbers[kept]]
    tf_seen = np.zeros(block.lengths.max(initial=0) + 1, dtype=np.bool_)
    for _, _, tfs in block.postings:
        mark_frequencies(tfs, tf_seen)
    # Postings are many, different pairs of frequency and length few: the formula is computed of these alone.
    frequencies, lengths = np.flatnonzero(tf_seen), np.unique(block.lengths[block.lengths > 0])
    norms = length_norm(lengths.astype(np.float64), average_length, b=settings.b)
    counted = frequencies / settings.fields.weights.unit
    weights = VARIANTS[settings.variant].weight(counted[:, None], norms[None, :], k1=settings.k1)
    tf_places = np.cumsum(tf_seen, dtype=np.int32) - 1
    length_places = np.where(kept, np.searchsorted(lengths, block.lengths), -1).astype(np.int32)
    total, count = sum(tfs.size for _, _, tfs in block.postings), 0
    values = np.empty(total, dtype=np.float64)
    weighted = Postings(
        block.chunk_numbers, np.zeros((idf.size, 2), dtype=np.int32), np.empty(total, dtype=np.uint16), values
    )
    for term_slots, slots, tfs in block.postings:
        count = weigh_postings(
            term_slots,
            slots,
            tfs,
            block.first_slot,
            block.places,
            idf,
            weights,
            tf_places,
            length_places,
            count,
            weighted.bounds,
            weighted.columns,
            values,
        )
        if count < 0:
            message = "The release's postings do not lie in the order that its statistics say."
            raise MachineError(message, remedy="Run `nightrank doctor`; a workspace built anew has them in order.")
    return weighted
