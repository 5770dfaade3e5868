"""The inner loops of exact retrieval, compiled: the best entries of a query, postings into scores, scores into entries.

A query's best entries are a heap in one row of two arrays: at its root lies the worst of them, the first to go. Scores
are compared as float32 and ties fall to the lower number, as ``storage.records.ranking_order`` has it. Where documents
count, the heap is one of documents, each with its best chunks, and the document's place is that of its best chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.tasks.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ChunkHeaps(NamedTuple):
    """The best chunks (or texts) of some queries; a query's first one is the worst.

    Attributes:
        scores: float32 (n_queries, depth), heaps.
        numbers: int32 (n_queries, depth), of the chunks beside them.
        counts: int32 (n_queries,), chunks of each query.
    """

    scores: NDArray[np.float32]
    numbers: NDArray[np.int32]
    counts: NDArray[np.int32]


class DocumentHeaps(NamedTuple):
    """The best documents of some queries, each with its best chunks; a query's first document is the worst.

    Attributes:
        of_chunk: int32 (n_chunks,), the document of each chunk.
        starts: int64 (n_texts + 1,), where the chunks that say each text begin in ``chunks``.
        chunks: int32 (n,), of the texts; both are empty where chunks are offered, not texts.
        documents: int32 (n_queries, depth), a heap by the documents' best chunks.
        held: int32 (n_queries, depth), how many chunks of each there are.
        scores: float32 (n_queries, depth, width), of the chunks of each, best first.
        numbers: int32 (n_queries, depth, width), of the chunks beside them.
        counts: int32 (n_queries,), documents of each query.
    """

    of_chunk: NDArray[np.int32]
    starts: NDArray[np.int64]
    chunks: NDArray[np.int32]
    documents: NDArray[np.int32]
    held: NDArray[np.int32]
    scores: NDArray[np.float32]
    numbers: NDArray[np.int32]
    counts: NDArray[np.int32]


@compiled
def offer(
    scores: NDArray[np.float32], numbers: NDArray[np.int32], count: int, score: np.float32, number: np.int32
) -> int:
    """Put an entry among the best of a query where it belongs there.

    Args:
        scores: float32 (depth,), a heap of ``count`` entries.
        numbers: int32 (depth,), of the chunks, beside them.
        count: Entries held.
        score: Of the entry; not a NaN.
        number: Of its chunk, which is not held.

    Returns:
        Entries held now.
    """
    depth = scores.size
    if count < depth:
        place = count
        while place > 0:
            parent = (place - 1) >> 1
            if scores[parent] < score or (scores[parent] == score and numbers[parent] > number):
                break
            scores[place], numbers[place] = scores[parent], numbers[parent]
            place = parent
        scores[place], numbers[place] = score, number
        return count + 1
    if score < scores[0] or (score == scores[0] and number > numbers[0]):
        return count
    _sink(scores, numbers, depth, score, number)
    return count


@compiled
def offer_to(heaps: ChunkHeaps, query: int, score: np.float32, number: np.int32) -> None:
    """``offer`` to the heap of a query."""
    count = offer(heaps.scores[query], heaps.numbers[query], heaps.counts[query], score, number)
    heaps.counts[query] = count


@compiled
def _sink(
    scores: NDArray[np.float32], numbers: NDArray[np.int32], count: int, score: np.float32, number: np.int32
) -> None:
    """Replace the root of a heap of ``count`` entries."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= count:
            break
        other = child + 1
        if other < count and (
            scores[other] < scores[child] or (scores[other] == scores[child] and numbers[other] > numbers[child])
        ):
            child = other
        if score < scores[child] or (score == scores[child] and number > numbers[child]):
            break
        scores[place], numbers[place] = scores[child], numbers[child]
        place = child
    scores[place], numbers[place] = score, number


@compiled
def offer_all(
    scores: NDArray[np.float32],
    numbers: NDArray[np.int32],
    counts: NDArray[np.int32],
    new_queries: NDArray[np.int32],
    new_numbers: NDArray[np.int32],
    new_scores: NDArray[np.float32],
) -> None:
    """Offer single entries, (n,) each, to the heaps (n_queries, depth) of their queries."""
    for place in range(new_queries.size):
        query = new_queries[place]
        counts[query] = offer(scores[query], numbers[query], counts[query], new_scores[place], new_numbers[place])


@compiled
def best_first(
    first: int, last: int, scores: NDArray[np.float32], numbers: NDArray[np.int32], counts: NDArray[np.int32]
) -> None:
    """Put the heaps of some rows, from ``first`` to the one before ``last``, into ranking order."""
    for query in range(first, last):
        row_scores, row_numbers = scores[query], numbers[query]
        for place in range(counts[query] - 1, 0, -1):
            score, number = row_scores[place], row_numbers[place]
            row_scores[place], row_numbers[place] = row_scores[0], row_numbers[0]
            _sink(row_scores, row_numbers, place, score, number)


@compiled
def offer_chunk(heaps: DocumentHeaps, query: int, score: np.float32, number: np.int32) -> None:
    """Put a chunk among the best of its document, and the document among the best of a query, where they belong there.

    Args:
        heaps: Of all queries.
        query: The row.
        score: Of the chunk; not a NaN.
        number: Of the chunk, which is not held.
    """
    documents, held = heaps.documents[query], heaps.held[query]
    scores, numbers, count = heaps.scores[query], heaps.numbers[query], heaps.counts[query]
    if count == documents.size and _is_before(scores[0, 0], numbers[0, 0], score, number):
        return  # a chunk behind the worst document's best can change nothing
    document, row = heaps.of_chunk[number], -1
    for place in range(count):
        if documents[place] == document:
            row = place
    if row >= 0:
        if _insert(scores[row], numbers[row], held, row, score, number) == 0:
            _sink_document(documents, held, scores, numbers, count, row)
        return
    row = count if count < documents.size else 0
    documents[row], held[row], scores[row, 0], numbers[row, 0] = document, 1, score, number
    if count == documents.size:
        _sink_document(documents, held, scores, numbers, count, row)
        return
    heaps.counts[query] = count + 1
    while row > 0:
        parent = (row - 1) >> 1
        if _is_before(scores[row, 0], numbers[row, 0], scores[parent, 0], numbers[parent, 0]):
            break
        _swap_documents(documents, held, scores, numbers, row, parent)
        row = parent


@compiled
def _is_before(score: np.float32, number: np.int32, other_score: np.float32, other_number: np.int32) -> bool:
    """Whether a chunk stands before another one."""
    return bool(score > other_score or (score == other_score and number < other_number))


@compiled
def _insert(
    scores: NDArray[np.float32],
    numbers: NDArray[np.int32],
    held: NDArray[np.int32],
    row: int,
    score: np.float32,
    number: np.int32,
) -> int:
    """Put a chunk among those of a document, (width,) best first, ``held[row]`` of them; its place, or ``width``."""
    place = int(held[row])
    if place < scores.size:
        held[row] += 1
    elif _is_before(scores[place - 1], numbers[place - 1], score, number):
        return scores.size
    else:
        place -= 1
    while place > 0 and _is_before(score, number, scores[place - 1], numbers[place - 1]):
        scores[place], numbers[place] = scores[place - 1], numbers[place - 1]
        place -= 1
    scores[place], numbers[place] = score, number
    return place


@compiled
def _sink_document(
    documents: NDArray[np.int32],
    held: NDArray[np.int32],
    scores: NDArray[np.float32],
    numbers: NDArray[np.int32],
    count: int,
    row: int,
) -> None:
    """Bring a document whose best chunk is better than before to its place in a heap of ``count`` documents."""
    while True:
        child = 2 * row + 1
        if child >= count:
            break
        other = child + 1
        if other < count and _is_before(scores[child, 0], numbers[child, 0], scores[other, 0], numbers[other, 0]):
            child = other
        if _is_before(scores[row, 0], numbers[row, 0], scores[child, 0], numbers[child, 0]):
            _swap_documents(documents, held, scores, numbers, row, child)
            row = child
        else:
            break


@compiled
def _swap_documents(
    documents: NDArray[np.int32],
    held: NDArray[np.int32],
    scores: NDArray[np.float32],
    numbers: NDArray[np.int32],
    row: int,
    other: int,
) -> None:
    """Let two documents of a query change places."""
    documents[row], documents[other] = documents[other], documents[row]
    for place in range(max(held[row], held[other])):
        scores[row, place], scores[other, place] = scores[other, place], scores[row, place]
        numbers[row, place], numbers[other, place] = numbers[other, place], numbers[row, place]
    held[row], held[other] = held[other], held[row]


@compiled
def offer_to_documents(heaps: DocumentHeaps, query: int, score: np.float32, number: np.int32) -> None:
    """``offer_chunk`` of a chunk, or of every chunk that says a text, by its number."""
    if heaps.starts.size == 0:
        offer_chunk(heaps, query, score, number)
        return
    for place in range(heaps.starts[number], heaps.starts[number + 1]):
        offer_chunk(heaps, query, score, heaps.chunks[place])


@compiled
def offer_all_chunks(
    heaps: DocumentHeaps,
    new_queries: NDArray[np.int32],
    new_numbers: NDArray[np.int32],
    new_scores: NDArray[np.float32],
) -> None:
    """``offer_chunk`` of single chunks, (n,) each."""
    for place in range(new_queries.size):
        offer_chunk(heaps, new_queries[place], new_scores[place], new_numbers[place])


@compiled
def chunks_of_documents(first: int, last: int, heaps: DocumentHeaps, best: ChunkHeaps) -> None:
    """Offer the chunks of some queries' best documents, as far as the worst document's best one.

    Args:
        first: The first query.
        last: The one behind the last.
        heaps: Of all queries.
        best: Heaps of as many queries, written.
    """
    for query in range(first, last):
        reached = _reached(None, heaps, query)
        for row in range(heaps.counts[query]):
            for place in range(heaps.held[query, row]):
                score, number = heaps.scores[query, row, place], heaps.numbers[query, row, place]
                if score > reached or (score == reached and number <= heaps.numbers[query, 0, 0]):
                    offer_to(best, query, score, number)


@compiled
def _reached(best: ChunkHeaps | None, documents: DocumentHeaps | None, query: int) -> np.float32:
    """What a score must reach to be among the best of a query, in either heap."""
    reached = np.float32(np.inf)
    if best is not None:
        is_full = best.counts[query] == best.scores.shape[1]
        reached = min(reached, best.scores[query, 0] if is_full else np.float32(-np.inf))
    if documents is not None:
        is_full = documents.counts[query] == documents.documents.shape[1]
        reached = min(reached, documents.scores[query, 0, 0] if is_full else np.float32(-np.inf))
    return reached


@compiled
def mark_frequencies(tfs: NDArray[np.int32], tf_seen: NDArray[np.bool_]) -> None:
    """Mark the frequencies (n,) that come up."""
    for place in range(tfs.size):
        tf_seen[tfs[place]] = True


@compiled
def weigh_postings(
    term_slots: NDArray[np.int32],
    slots: NDArray[np.int32],
    tfs: NDArray[np.int32],
    first_slot: int,
    places: NDArray[np.int32],
    idf: NDArray[np.float64],
    weights: NDArray[np.float64],
    tf_places: NDArray[np.int32],
    length_places: NDArray[np.int32],
    count: int,
    bounds: NDArray[np.int32],
    columns: NDArray[np.uint16],
    impacts: NDArray[np.float64],
) -> int:
    """Weigh a part of the postings of some columns, (n,) by term, then column: those of terms that are wanted.

    Args:
        term_slots: Of the terms.
        slots: Of the columns.
        tfs: Frequencies.
        first_slot: Of the first column.
        places: int32, rows of ``idf`` by a term's slot; -1: not wanted.
        idf: float64 (n_terms,).
        weights: float64 (n_frequencies, n_lengths), by ``tf_places[tf]`` and ``length_places[column]``.
        tf_places: int32 (highest frequency + 1,).
        length_places: int32 (n_columns,); -1: the column is left out.
        count: Postings that earlier parts had.
        bounds: int32 (n_terms, 2), where each term begins and ends in the two that follow; written.
        columns: uint16, written.
        impacts: float64, written: idf * weight.

    Returns:
        Postings there are now; -1 where they are out of order.
    """
    start = 0
    while start < term_slots.size:
        term_slot, end = term_slots[start], start + 1
        while end < term_slots.size and term_slots[end] == term_slot:
            end += 1
        term = places[term_slot]
        if term >= 0:
            if bounds[term, 1] == 0:
                bounds[term, 0] = count
            elif bounds[term, 1] != count:  # of this term there were some, and then others
                return -1
            value, before = idf[term], -1 if bounds[term, 0] == count else np.int64(columns[count - 1])
            for posting in range(start, end):
                column = slots[posting] - first_slot
                if column <= before:
                    return -1
                before = column
                length_place = length_places[column]
                if length_place >= 0:
                    columns[count] = column
                    impacts[count] = value * weights[tf_places[tfs[posting]], length_place]
                    count += 1
            bounds[term, 1] = count
        start = end
    return count


@compiled
def score_postings(
    first: int,
    last: int,
    query_bounds: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    qtfs: NDArray[np.integer] | NDArray[np.floating],
    bounds: NDArray[np.int32],
    columns: NDArray[np.uint16],
    impacts: NDArray[np.floating],
    chunk_numbers: NDArray[np.int32],
    best: ChunkHeaps | None,
    documents: DocumentHeaps | None,
) -> None:
    """Score the chunks of a block for some queries, and offer those that match to the queries' heaps.

    A score is the sum of qtf * impact in the order of the query's terms, in double precision, rounded once.

    Args:
        first: The first query.
        last: The one behind the last.
        query_bounds: int64 (n_queries + 1,), where each query begins and ends in the two that follow.
        query_terms: int32, rows of ``bounds``.
        qtfs: int32, how often the query has the term, or float32, its weight there.
        bounds: int32 (n_terms, 2), where each term begins and ends in the two that follow.
        columns: uint16, of the chunks that have the term.
        impacts: float64, idf * weight, or float32, the weight of a learned sparse vector.
        chunk_numbers: int32 (n_columns,).
        best: Heaps of the queries, of chunks; None where none are wanted.
        documents: Heaps of the queries, of documents; None where none are wanted.
    """
    # A match may score zero, but never minus zero: no sum that has a term other than -0.0 gives it.
    totals = np.full(chunk_numbers.size, -0.0)
    bits = totals.view(np.int64)
    untouched = np.full(1, -0.0).view(np.int64)[0]
    for query in range(first, last):
        for place in range(query_bounds[query], query_bounds[query + 1]):
            qtf, term = np.float64(qtfs[place]), query_terms[place]
            own_columns = columns[bounds[term, 0] : bounds[term, 1]]
            own_impacts = impacts[bounds[term, 0] : bounds[term, 1]]
            for posting in range(own_columns.size):
                totals[own_columns[posting]] += qtf * own_impacts[posting]
        worst = _reached(best, documents, query)
        for place in range(query_bounds[query], query_bounds[query + 1]):
            term = query_terms[place]
            own_columns = columns[bounds[term, 0] : bounds[term, 1]]
            for posting in range(own_columns.size):
                column = own_columns[posting]
                score, is_touched = np.float32(totals[column]), bits[column] != untouched
                totals[column] = -0.0
                # Nearly all are below, so that is asked first.
                if score >= worst and is_touched:
                    if best is not None:
                        offer_to(best, query, score, chunk_numbers[column])
                    if documents is not None:
                        offer_to_documents(documents, query, score, chunk_numbers[column])
                    worst = _reached(best, documents, query)


@compiled
def score_products(
    first: int,
    last: int,
    products: NDArray[np.float32],
    margin: np.float32,
    queries: NDArray[np.float32],
    texts: NDArray[np.float32],
    text_numbers: NDArray[np.int32],
    floors: NDArray[np.float32] | None,
    best: ChunkHeaps | None,
    documents: DocumentHeaps | None,
) -> bool:
    """Score again, exactly, what a matrix product says may be among the best, and offer it to the queries' heaps.

    Args:
        first: The first query.
        last: The one behind the last.
        products: float32 (n_queries, n_texts), the inner products of the two that follow.
        margin: By how much the difference of two products may be wrong.
        queries: float32 (n_queries, dim).
        texts: float32 (n_texts, dim).
        text_numbers: int32 (n_texts,).
        floors: float32 (n_queries,), what a score must reach; None: any will do.
        best: Heaps of the queries, of texts; None where none are wanted.
        documents: Heaps of the queries, of documents; None where none are wanted.

    Returns:
        Whether a score is not a number; such a one is not offered.
    """
    width, found_others = 64, False
    for query in range(first, last):
        row, vector = products[query], queries[query]
        floor = np.float32(-np.inf) if floors is None else floors[query]
        cut = max(floor, _reached(best, documents, query)) - margin
        for start in range(0, row.size, width):
            end = min(start + width, row.size)
            # Nearly all of them are below, so they are compared many at a time, without a branch.
            reached = 0
            for place in range(start, end):
                reached += not row[place] < cut
            if reached == 0:
                continue
            for place in range(start, end):
                if row[place] < cut:
                    continue
                score = inner_product(vector, texts[place])
                found_others |= np.isnan(score)
                if _offer_score(query, score, text_numbers[place], floor, best, documents):
                    cut = max(floor, _reached(best, documents, query)) - margin
    return found_others


@compiled
def score_reaching(
    first: int,
    last: int,
    starts: NDArray[np.int64],
    places: NDArray[np.int32],
    products: NDArray[np.float32],
    margin: np.float32,
    queries: NDArray[np.float32],
    texts: NDArray[np.float32],
    text_numbers: NDArray[np.int32],
    floors: NDArray[np.float32] | None,
    best: ChunkHeaps | None,
    documents: DocumentHeaps | None,
    reached: NDArray[np.float32],
) -> bool:
    """``score_products`` for the few products that came back from a device.

    Args:
        first: The first query.
        last: The one behind the last.
        starts: int64 (n_queries + 1,), where each query begins in the two that follow.
        places: int32 (n,), rows of ``texts``.
        products: float32 (n,), the inner products.
        margin: By how much a product may be wrong.
        queries: float32 (n_queries, dim).
        texts: float32 (n_texts, dim).
        text_numbers: int32 (n_texts,).
        floors: float32 (n_queries,), what a score must reach; None: any will do.
        best: Heaps of the queries, of texts; None where none are wanted.
        documents: Heaps of the queries, of documents; None where none are wanted.
        reached: float32 (n_queries,), written: what a score must reach from now on.

    Returns:
        Whether a score is not a number; such a one is not offered.
    """
    found_others = False
    for query in range(first, last):
        floor = np.float32(-np.inf) if floors is None else floors[query]
        worst = max(floor, _reached(best, documents, query))
        for at in range(starts[query], starts[query + 1]):
            if products[at] < worst - margin:
                continue
            score = inner_product(queries[query], texts[places[at]])
            found_others |= np.isnan(score)
            if _offer_score(query, score, text_numbers[places[at]], floor, best, documents):
                worst = max(floor, _reached(best, documents, query))
        reached[query] = worst
    return found_others


@compiled
def _offer_score(
    query: int,
    score: np.float32,
    number: np.int32,
    floor: np.float32,
    best: ChunkHeaps | None,
    documents: DocumentHeaps | None,
) -> bool:
    """Offer an exact score to the heaps of its query; whether it was one that may be a result."""
    if np.isnan(score) or score < floor or score == -np.inf:
        return False
    if best is not None:
        offer_to(best, query, score, number)
    if documents is not None:
        offer_to_documents(documents, query, score, number)
    return True


@compiled
def inner_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> np.float32:
    """The inner product of two vectors, float32 (dim,), in double precision, rounded once.

    The order of its sum is part of what it is: two lanes, of even and of odd places, eight places at a time, the last
    pair of them first. It is what NumPy's ``einsum`` does, so that lists which that made stay exact to the last bit.
    """
    even, odd, place = 0.0, 0.0, 0
    while place + 8 <= left.size:
        for pair in range(place + 6, place - 1, -2):
            even += np.float64(left[pair]) * np.float64(right[pair])
            odd += np.float64(left[pair + 1]) * np.float64(right[pair + 1])
        place += 8
    while place < left.size:
        even += np.float64(left[place]) * np.float64(right[place])
        if place + 1 < left.size:
            odd += np.float64(left[place + 1]) * np.float64(right[place + 1])
        place += 2
    return np.float32(even + odd)
