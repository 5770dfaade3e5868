"""A source of the packaged reranker as it lies in the data: its passages, and which of them answer which query."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from nightrank.tasks.read.account import Account
from nightrank.tasks.train.pairs import Pair, by_query
from nightrank.tasks.train.sources import Passage, beir_passages, beir_queries, given_pairs, qrels_of
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from recipes.packaged_reranker.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Source:
    """Passages and the queries that they answer.

    Attributes:
        passages: The collection, in the order of the file.
        pairs: Of each query to learn from, with their passages.
        tested: Of each query of the split that the source has to measure on; none where it has no such split.
    """

    passages: tuple[Passage, ...]
    pairs: Mapping[str, Sequence[Pair]]
    tested: Mapping[str, Sequence[Pair]]


def page_of(document_id: str) -> str:
    """The page that a document ``page-part`` or ``page:part`` is a part of.

    >>> page_of("the-seven-ravens:12"), page_of("00-003")
    ('the-seven-ravens', '00')
    """
    return re.split(r"[-:](?!.*[-:])", document_id)[0]


def read_source(recipe: Recipe, data: Path) -> Source:
    """A source, from a file of pairs or a folder in BEIR layout.

    Args:
        recipe: Which.
        data: The folder of the data.

    Raises:
        InputError: A file is missing or not as it should be.
    """
    path = data / recipe.path
    if path.is_dir():
        passages = tuple(beir_passages(path))
        tested = _of_split(path, "val", passages) if recipe.has_splits else {}
        return Source(passages, _of_split(path, "train", passages), tested)
    pairs = _drawn(given_pairs(path), max_pairs=recipe.max_pairs)
    first_to_say: dict[str, Passage] = {}
    for _, passage in pairs:
        first_to_say.setdefault(passage.said, passage)
    grouped = by_query(_pair(query, first_to_say[passage.said]) for query, passage in pairs)
    names = list(grouped)[: recipe.first_queries or None]
    return Source(tuple(first_to_say.values()), {query: grouped[query] for query in names}, {})


def judged_in_test(path: Path) -> frozenset[str]:
    """The documents that the test split of a folder judges; none where there is no such split."""
    qrels = qrels_of(path, "test")
    if not qrels.is_file():
        return frozenset()
    return frozenset(judgment.document_id for judgment in read_judgments(qrels, name=str(qrels), account=Account()))


def _of_split(folder: Path, split: str, passages: Sequence[Passage]) -> dict[str, list[Pair]]:
    """The pairs of a split of a folder in BEIR layout, by query."""
    passage_of = {passage.document_id: passage for passage in passages}
    answered = beir_queries(folder, split, known=passage_of)
    return by_query(
        _pair(query, passage_of[document], grade) for query, graded in answered for document, grade in graded.items()
    )


def _drawn(pairs: list[tuple[str, Passage]], *, max_pairs: int) -> list[tuple[str, Passage]]:
    """The pairs of whole pages, drawn at random and always the same, until there are so many; all where that is 0."""
    if not max_pairs:
        return pairs
    counts = Counter(page_of(passage.document_id) for _, passage in pairs)
    pages = sorted(counts)
    random.Random(0).shuffle(pages)
    before = [0, *accumulate(counts[page] for page in pages)]
    drawn = {page for page, total in zip(pages, before, strict=False) if total < max_pairs}
    return [pair for pair in pairs if page_of(pair[1].document_id) in drawn]


def _pair(query: str, passage: Passage, grade: int = 1) -> Pair:
    return Pair(query, passage.document_id, grade, passage)
