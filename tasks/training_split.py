"""The split of training pairs: whole documents are held out, so that nothing measured on was ever learnt from."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np


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
