"""The split of training pairs: whole documents are held out, so that nothing measured on was ever learnt from.

What is held out is split once more: what chooses the best of a training's models says too much of that one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nightrank.storage.keys import fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np

    from nightrank.tasks.train.sets import HeldOutQuery

VALIDATION_SHARE = 3  # one held-out query in so many is looked at in training
LEAST_TO_SPLIT = 20


def hold_out_documents(
    documents_of: Mapping[str, Collection[str]], *, share: float, most: int, generator: np.random.Generator
) -> frozenset[str]:
    """The documents that are held out: all that answer some queries drawn at random.

    A query all of whose documents are held out is measured on, one with none of them is learnt from, and one with some
    of both is neither. A document that answers more than ``share`` of the queries is never held out: hardly anything
    would be left to learn from.

    Args:
        documents_of: The documents that answer each query, at least one.
        share: Of the queries, that are to be measured on.
        most: At most about so many queries; documents are held out until there are as many.
        generator: What decides the draw; the order of ``documents_of`` does not.
    """
    wanted = min(most, max(1, round(share * len(documents_of))))
    answered = Counter(document for documents in documents_of.values() for document in set(documents))
    queries_of: dict[str, list[str]] = defaultdict(list)
    missing = {query: len(set(documents)) for query, documents in documents_of.items()}
    for query, documents in documents_of.items():
        for document in set(documents):
            queries_of[document].append(query)
    names = sorted(documents_of)
    held: set[str] = set()
    measured = 0
    for place in generator.permutation(len(names)).tolist():
        if measured >= wanted:
            break
        documents = set(documents_of[names[place]])
        if any(answered[document] > max(1.0, share * len(names)) for document in documents):
            continue
        for document in documents - held:
            held.add(document)
            for query in queries_of[document]:
                missing[query] -= 1
                measured += missing[query] == 0
    return frozenset(held)


def split_queries(documents_of: Mapping[str, Collection[str]], held: frozenset[str]) -> tuple[list[str], list[str]]:
    """The queries to learn from, none of whose documents is held out, and those to measure on, all of whose are.

    >>> split_queries({"a": ["1"], "b": ["1", "2"], "c": ["2"]}, frozenset({"2"}))
    (['a'], ['c'])
    """
    learnt = [query for query, documents in documents_of.items() if held.isdisjoint(documents)]
    measured = [query for query, documents in documents_of.items() if held.issuperset(documents)]
    return learnt, measured


def validation_and_test(
    held_out: Sequence[HeldOutQuery], *, max_validation: int
) -> tuple[list[HeldOutQuery], list[HeldOutQuery]]:
    """The held-out queries that are looked at in training, to take the best, and those that are measured on once.

    A third is looked at; no document answers queries of both. Fewer than 20 queries, or such as all share documents,
    are not split: those that are looked at are measured on as well.

    Args:
        held_out: All of them.
        max_validation: At most so many are looked at.
    """
    answered: dict[str, int] = {}
    pairs = [
        (number, answered.setdefault(document, len(answered)))
        for number, query in enumerate(held_out)
        for document in query.relevant
    ]
    size = len(held_out) + len(answered)
    rows, columns = [number for number, _ in pairs], [len(held_out) + place for _, place in pairs]
    _, labels = connected_components(coo_array(([1] * len(pairs), (rows, columns)), shape=(size, size)), directed=False)
    together: dict[int, list[HeldOutQuery]] = defaultdict(list)
    for query, label in zip(held_out, labels[: len(held_out)].tolist(), strict=True):
        together[label].append(query)
    wanted = min(max_validation, len(held_out) // VALIDATION_SHARE)
    validation: set[str] = set()
    # In an order that says nothing of the queries, and is another training's as well.
    for queries in sorted(together.values(), key=lambda queries: min(fingerprint(query.query) for query in queries)):
        if len(validation) + len(queries) <= wanted:
            validation |= {query.query for query in queries}
    if len(held_out) < LEAST_TO_SPLIT or not validation:
        return list(held_out)[:max_validation], list(held_out)
    return (
        [query for query in held_out if query.query in validation],
        [query for query in held_out if query.query not in validation],
    )
