"""The sources of the packaged reranker, each prepared once as a training set: read, split by document, mined.

No query of a test split is read. Of its judgments only the documents are, and where titles or sentences are the
queries, passages that a test split judges are neither asked for nor shown: whoever measures on that split finds
strangers.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.keys import normalise_query
from nightrank.tasks.chunk.pieces import split_pieces
from nightrank.tasks.train.first_stage import Bm25Matrix, FirstStage, fused_candidates
from nightrank.tasks.train.sets import Candidate, HeldOutQuery, TrainingSet, write_training_set
from nightrank.tasks.train.sources import (
    Passage,
    Source,
    hold_out_queries,
    hold_out_share,
    mine,
    qrels_of,
    read_beir,
    read_pairs,
    split_by,
)
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from recipes.packaged_reranker.recipe import Recipe

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]

DEPTH = 50  # candidates of a query, in mining and in validation
LEG_DEPTH = 100  # passages that a leg lists
HELD_SHARE = 0.1
QUERIES_AT_ONCE = 512
MIN_SENTENCE_WORDS = 6


def page_of(passage: Passage) -> str:
    """The page that a passage's document ``page-part`` or ``page:part`` is a part of.

    >>> page_of(Passage("the-seven-ravens:12", "", "")), page_of(Passage("00-003", "", ""))
    ('the-seven-ravens', '00')
    """
    return re.split(r"[-:](?!.*[-:])", passage.document_id)[0]


def prepare_source(recipe: Recipe, data: Path, folder: Path, *, embed: Embed, seed: int) -> None:
    """Read, split and mine a source, and write it into ``folder``.

    Args:
        recipe: What to make.
        data: The folder of the data.
        folder: Where the training set goes; it exists.
        embed: The first stage's encoder: texts to unit vectors, float32 (n, dim).
        seed: Decides what is held out and drawn.

    Raises:
        InputError: A file is missing or not as it should be.
    """
    randomness = random.Random(f"{seed}:{recipe.path.split('/')[-1].removesuffix('.jsonl')}")
    training, tested, held = _split(recipe, data, randomness)
    removed_text = [""] * len(training.queries)
    if recipe.asks != "queries":
        tested = tested.only([])
        held |= _judged_in_test(training, data / recipe.path)
        ask = _ask_titles if recipe.asks == "titles" else _ask_sentences
        training, removed_text = ask(training, recipe, held, randomness)
    drawn = list(range(len(training.queries)))
    if len(drawn) > recipe.training_queries:
        randomness.shuffle(drawn)
        drawn = sorted(drawn[: recipe.training_queries])
    training = training.only(drawn)
    mined = [
        replace(mine(training, place, found, vectors=vectors, held=held), removed_text=removed_text[drawn[place]])
        for place, (found, vectors) in enumerate(_first_stages(training, embed))
    ]
    # A split by another split's documents has passages of its own for what is held out.
    passages = training.passages if tested.passages == training.passages else (*training.passages, *tested.passages)
    first = len(passages) - len(tested.passages)
    held_out = list(_held_out(tested, embed, first=first))
    held |= frozenset(range(len(training.passages), len(passages)))
    write_training_set(folder, TrainingSet(passages, mined, held_out, held, tuple(range(first, len(passages)))))


def _split(recipe: Recipe, data: Path, randomness: random.Random) -> tuple[Source, Source, frozenset[int]]:
    path = data / recipe.path
    nothing: frozenset[int] = frozenset()
    if recipe.has_splits:
        training, tested = read_beir(path, "train"), read_beir(path, "val")
        pages = {page_of(training.passages[i]) for places in training.answers for i in places}
        training = training.among([page_of(passage) in pages for passage in training.passages])
        training = training.only(range(0, len(training.queries), recipe.every))
        return training, tested.only(sorted(randomness.sample(range(len(tested.queries)), recipe.validation))), nothing
    if path.is_dir():
        whole = read_beir(path, "train")
        held = hold_out_queries(whole, count=recipe.validation, randomness=randomness)
        return *split_by(whole, held), held
    whole = read_pairs(path, max_pairs=recipe.max_pairs, page_of=page_of)
    if recipe.first_queries:
        whole = whole.only(range(min(recipe.first_queries, len(whole.queries))))
    if not recipe.validation:
        return whole, whole.only([]), nothing
    document_of = page_of if recipe.has_pages else _document_of
    held = hold_out_share(whole, share=HELD_SHARE, document_of=document_of, randomness=randomness)
    training, tested = split_by(whole, held)
    drawn = list(range(len(tested.queries)))
    randomness.shuffle(drawn)
    return training, tested.only(sorted(drawn[: recipe.validation])), held


def _judged_in_test(source: Source, path: Path) -> frozenset[int]:
    """The places of the passages that the test split of a folder judges, and of those that say the same."""
    qrels = qrels_of(path, "test")
    if not qrels.is_file():
        return frozenset()
    documents = {judgment.document_id for judgment in read_judgments(qrels, name=str(qrels))}
    said = {passage.said for passage in source.passages if passage.document_id in documents}
    return frozenset(place for place, passage in enumerate(source.passages) if passage.said in said)


def _ask_titles(
    source: Source, recipe: Recipe, held: frozenset[int], randomness: random.Random
) -> tuple[Source, list[str]]:
    """The same passages with their titles as queries; nothing needs to be struck where titles are not shown."""
    del randomness
    titled = [i for i in range(0, len(source.passages), recipe.every) if i not in held and source.passages[i].title]
    queries = tuple(normalise_query(source.passages[i].title) for i in titled)
    return _asking(source, recipe, queries, titled), [""] * len(titled)


def _ask_sentences(
    source: Source, recipe: Recipe, held: frozenset[int], randomness: random.Random
) -> tuple[Source, list[str]]:
    """The same passages with one sentence of each as its query, and the sentences as they stand there."""
    asked: list[tuple[int, str]] = []
    for place in range(recipe.every - 1, len(source.passages), recipe.every):
        text = source.passages[place].text
        sentences = [text[piece.start : piece.end].strip() for piece in split_pieces(text)]
        sentences = [sentence for sentence in sentences if len(sentence.split()) >= MIN_SENTENCE_WORDS]
        if place not in held and len(sentences) > 1:
            asked.append((place, randomness.choice(sentences)))
    queries = tuple(normalise_query(sentence) for _, sentence in asked)
    return _asking(source, recipe, queries, [place for place, _ in asked]), [sentence for _, sentence in asked]


def _asking(source: Source, recipe: Recipe, queries: tuple[str, ...], places: Sequence[int]) -> Source:
    return Source(recipe.name, source.passages, queries, tuple((i,) for i in places), tuple((1,) for _ in places))


def _document_of(passage: Passage) -> str:
    return passage.document_id


def _first_stages(source: Source, embed: Embed) -> Iterator[tuple[FirstStage, NDArray[np.float32]]]:
    """What the first stage finds for each query, and the vectors of all passages."""
    if not source.queries:
        return
    texts = [passage.model_text() for passage in source.passages]
    lexical, vectors = Bm25Matrix(texts), embed(texts)
    for start in range(0, len(source.queries), QUERIES_AT_ONCE):
        queries = source.queries[start : start + QUERIES_AT_ONCE]
        for bm25, dense in zip(lexical.scores(queries), embed(queries) @ vectors.T, strict=True):
            candidates, fused = fused_candidates(dense, bm25, depth=DEPTH, leg_depth=LEG_DEPTH)
            yield FirstStage(candidates, fused, dense, bm25), vectors


def _held_out(source: Source, embed: Embed, *, first: int) -> Iterator[HeldOutQuery]:
    for place, (found, _) in enumerate(_first_stages(source, embed)):
        documents = (source.passages[i].document_id for i in source.answers[place])
        dense = _listed(found.dense, np.ones(len(found.dense), dtype=bool))
        bm25 = _listed(found.bm25, found.bm25 > 0)
        candidates = zip(found.candidates.tolist(), found.fused.tolist(), strict=True)
        yield HeldOutQuery(
            source.queries[place],
            dict(zip(documents, source.grades[place], strict=True)),
            tuple(Candidate(first + i, fused, dense.get(i), bm25.get(i)) for i, fused in candidates),
        )


def _listed(scores: NDArray[np.floating], found: NDArray[np.bool_]) -> dict[int, float]:
    """The scores of a leg's list, by place."""
    order = np.argsort(-scores, kind="stable")[:LEG_DEPTH]
    return {place: float(scores[place]) for place in order[found[order]].tolist()}
