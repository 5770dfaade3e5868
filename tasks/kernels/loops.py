"""The inner loops of exact retrieval, compiled: the best entries of a query, postings into scores, scores into entries.

A query's best entries are a heap in one row of two arrays: at its root lies the worst of them, the first to go. Scores
are compared as float32 and ties fall to the lower number, as ``storage.records.ranking_order`` has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    best_scores: NDArray[np.float32],
    best_numbers: NDArray[np.int32],
    best_counts: NDArray[np.int32],
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
        best_scores: float32 (n_queries, depth), the heaps.
        best_numbers: int32 (n_queries, depth).
        best_counts: int32 (n_queries,).
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
        scores, numbers, count = best_scores[query], best_numbers[query], best_counts[query]
        worst = scores[0] if count == scores.size else np.float32(-np.inf)
        for place in range(query_bounds[query], query_bounds[query + 1]):
            term = query_terms[place]
            own_columns = columns[bounds[term, 0] : bounds[term, 1]]
            for posting in range(own_columns.size):
                column = own_columns[posting]
                score, is_touched = np.float32(totals[column]), bits[column] != untouched
                totals[column] = -0.0
                # Nearly all are below, so that is asked first.
                if score >= worst and is_touched:
                    count = offer(scores, numbers, count, score, chunk_numbers[column])
                    if count == scores.size:
                        worst = scores[0]
        best_counts[query] = count


@compiled
def score_products(
    first: int,
    last: int,
    products: NDArray[np.float32],
    margin: np.float32,
    queries: NDArray[np.float32],
    texts: NDArray[np.float32],
    text_numbers: NDArray[np.int32],
    floors: NDArray[np.float32],
    best_scores: NDArray[np.float32],
    best_numbers: NDArray[np.int32],
    best_counts: NDArray[np.int32],
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
        floors: float32 (n_queries,), what a score must reach.
        best_scores: float32 (n_queries, depth), the heaps.
        best_numbers: int32 (n_queries, depth).
        best_counts: int32 (n_queries,).

    Returns:
        Whether a score is not a number; such a one is not offered.
    """
    width, found_others = 64, False
    for query in range(first, last):
        row, vector, floor = products[query], queries[query], floors[query]
        scores, numbers, count = best_scores[query], best_numbers[query], best_counts[query]
        cut = (max(floor, scores[0]) if count == scores.size else floor) - margin
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
                if np.isnan(score):
                    found_others = True
                elif score >= floor and score > -np.inf:
                    count = offer(scores, numbers, count, score, text_numbers[place])
                    if count == scores.size:
                        cut = max(floor, scores[0]) - margin
        best_counts[query] = count
    return found_others


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
