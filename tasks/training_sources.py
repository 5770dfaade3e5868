"""The sources of the packaged reranker: which file each comes from, how much of it is used, what is held out.

Each prepared source is a folder of three files: ``passages.jsonl``, ``training.jsonl`` (mined queries) and
``validation.jsonl`` (queries with the candidates of their first stage, to choose weights on). No test split is read.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.keys import normalise_query
from tasks.first_stage import Bm25Matrix, FirstStage, fused_candidates
from tasks.sentences import split_pieces
from tasks.training_groups import MinedSource
from tasks.training_pairs import (
    MinedQuery,
    Passage,
    Source,
    hold_out_queries,
    hold_out_share,
    mine,
    read_beir,
    read_pairs,
    split_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]

DEPTH = 50  # candidates of a query, in mining and in validation
HELD_SHARE = 0.1
MIN_SENTENCE_WORDS = 6
QUERIES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a source is made.

    Attributes:
        name: Of the source.
        share: Of all groups in training.
        path: A file of pairs or a folder in BEIR layout, below the folder of the data.
        licence: Of the data.
        max_pairs: Pairs that are read, of pages drawn at random; 0 reads all.
        first_queries: Queries that are read, the first of the file; 0 reads all.
        training_queries: Queries that are trained on at most, drawn at random.
        every: One query in so many is used.
        validation: Queries that are held out, with their documents.
        has_pages: Documents ``page-part`` belong together and are held out together.
        has_splits: The folder has a split ``val``, whose documents share no page ``page:part`` with those of ``train``.
        from_titles: The queries are the collection's own titles, and the passages are shown without them.
        from_sentences: The queries are sentences of the passages, one each, and the passages are shown without them.
    """

    name: str
    share: float
    path: str
    licence: str
    max_pairs: int = 0
    first_queries: int = 0
    training_queries: int = 5000
    every: int = 1
    validation: int = 0
    has_pages: bool = False
    has_splits: bool = False
    from_titles: bool = False
    from_sentences: bool = False


RECIPES_SENT = (
    Recipe("sentences", 0.1, "scifact", "abstracts ODC-By", every=2, validation=150, training_queries=2500, from_sentences=True),
    Recipe("squad_sentences", 0.08, "training/squad_dev.jsonl", "CC BY-SA 4.0", training_queries=1500, validation=60, has_pages=True, from_sentences=True),
)
RECIPES = (
    Recipe("scifact", 0.17, "scifact", "claims CC BY 4.0, abstracts ODC-By", validation=150),
    Recipe("titles", 0.16, "scifact", "abstracts ODC-By", every=2, validation=150, from_titles=True),
    Recipe("fairytaleqa", 0.22, "fairytaleqa", "Apache-2.0", every=2, validation=150, has_splits=True),
    Recipe("squad_dev", 0.12, "training/squad_dev.jsonl", "CC BY-SA 4.0", validation=60, has_pages=True),
    Recipe("squad_nqg", 0.10, "training/squad_nqg.jsonl", "CC BY-SA 4.0", first_queries=4000, validation=40),
    Recipe("medquad", 0.07, "training/medquad.jsonl", "CC BY 4.0", max_pairs=2500, validation=60, has_pages=True),
    Recipe("stackfaq", 0.05, "training/stackfaq.jsonl", "not named with the data", validation=60, has_pages=True),
    Recipe("pubmedqa", 0.07, "training/pubmedqa.jsonl", "MIT"),
    Recipe("wikiqa", 0.04, "training/wikiqa.jsonl", "not named with the data"),
)


@dataclass(frozen=True, slots=True)
class ValidationQuery:
    """A held-out query with its first stage.

    Attributes:
        query: Normalised.
        texts: What models read of its candidates, best of the first stage first.
        fused: The candidates' fused scores.
        dense: Their cosines; None where the dense leg does not list them.
        bm25: Their BM25 scores; None where the BM25 leg does not list them.
        grades: The candidates' grades, 0 for none.
        ideal: The grades of all its answers, found or not.
    """

    query: str
    texts: tuple[str, ...]
    fused: tuple[float, ...]
    dense: tuple[float | None, ...]
    bm25: tuple[float | None, ...]
    grades: tuple[int, ...]
    ideal: tuple[int, ...]


def page_of(passage: Passage) -> str:
    """The page that a passage's document ``page-part`` or ``page:part`` is a part of.

    >>> page_of(Passage("the-seven-ravens:12", "", "")), page_of(Passage("00-003", "", ""))
    ('the-seven-ravens', '00')
    """
    return re.split(r"[-:](?!.*[-:])", passage.document_id)[0]


def prepare_source(recipe: Recipe, data: Path, folder: Path, *, embed: Embed, seed: int) -> None:
    """Read, split and mine a source, and write its three files into ``folder``.

    Args:
        recipe: What to make.
        data: The folder of the data.
        folder: Where the files go; it exists.
        embed: The first stage's encoder: texts to unit vectors, float32 (n, dim).
        seed: Decides what is held out and drawn.

    Raises:
        InputError: A file is missing or not as it should be.
    """
    randomness = random.Random(f"{seed}:{recipe.path.split('/')[-1].removesuffix('.jsonl')}")  # noqa: S311 - no secret
    training, tested, held = _split(recipe, data, randomness)
    struck: list[str] = []
    if recipe.from_titles:
        tested = tested.only([])
        titled = [i for i in range(0, len(training.passages), recipe.every) if i not in held]
        titled = [i for i in titled if training.passages[i].title]
        places = tuple((i,) for i in titled)
        titles = tuple(normalise_query(training.passages[i].title) for i in titled)
        training = Source(recipe.name, training.passages, titles, places, tuple((1,) for _ in titled))
    elif recipe.from_sentences:
        tested = tested.only([])
        training, struck = _ask_sentences(training, recipe, held, randomness)
    if len(training.queries) > recipe.training_queries:
        drawn = list(range(len(training.queries)))
        randomness.shuffle(drawn)
        places_drawn = sorted(drawn[: recipe.training_queries])
        training, struck = training.only(places_drawn), [struck[i] for i in places_drawn] if struck else struck
    mined = (
        mine(training, place, found, vectors=vectors, held=held)
        for place, (found, vectors) in enumerate(_first_stages(training, embed))
    )
    _write(folder / "training.jsonl", (asdict(query) | {"struck": cut} for query, cut in zip_longest(mined, struck, fillvalue="")))
    _write(folder / "validation.jsonl", (asdict(query) for query in _validation(tested, embed)))
    _write(
        folder / "passages.jsonl",
        ({**asdict(passage), "is_held": i in held} for i, passage in enumerate(training.passages)),
    )


def read_mined(folder: Path, recipe: Recipe) -> MinedSource:
    """What :func:`prepare_source` wrote to train on."""
    rows = list(_read(folder / "passages.jsonl"))
    queries = [
        MinedQuery(
            row["query"],
            tuple((place, opinion) for place, opinion in row["answers"]),
            tuple((place, opinion) for place, opinion in row["negatives"]),
            row["floor"],
            row["struck"],
        )
        for row in _read(folder / "training.jsonl")
    ]
    return MinedSource(
        [Passage(row["document_id"], row["title"], row["text"]) for row in rows],
        queries,
        recipe.share,
        is_titled=not recipe.from_titles,
        held=frozenset(i for i, row in enumerate(rows) if row["is_held"]),
    )


def read_validation(folder: Path) -> list[ValidationQuery]:
    """What :func:`prepare_source` wrote to choose weights on."""
    return [
        ValidationQuery(row["query"], *(tuple(row[name]) for name in ("texts", "fused", "dense", "bm25", "grades", "ideal")))
        for row in _read(folder / "validation.jsonl")
    ]


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
    return (
        Source(recipe.name, source.passages, queries, tuple((i,) for i, _ in asked), tuple((1,) for _ in asked)),
        [sentence for _, sentence in asked],
    )


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
            candidates, fused = fused_candidates(dense, bm25, depth=DEPTH)
            yield FirstStage(candidates, fused, dense, bm25), vectors


def _validation(source: Source, embed: Embed) -> Iterator[ValidationQuery]:
    for place, (found, _) in enumerate(_first_stages(source, embed)):
        grades = dict(zip(source.answers[place], source.grades[place], strict=True))
        yield ValidationQuery(
            source.queries[place],
            tuple(source.passages[i].model_text() for i in found.candidates.tolist()),
            tuple(found.fused.tolist()),
            listed(found.dense, found.candidates, is_found=found.dense > -2),
            listed(found.bm25, found.candidates, is_found=found.bm25 > 0),
            tuple(grades.get(i, 0) for i in found.candidates.tolist()),
            source.grades[place],
        )


def listed(
    scores: NDArray[np.floating], candidates: NDArray[np.integer], *, is_found: NDArray[np.bool_], depth: int = 100
) -> tuple[float | None, ...]:
    """The candidates' scores as far as a leg's list of the best ``depth`` has them."""
    order = np.argsort(-scores, kind="stable")[:depth]
    among = set(order[is_found[order]].tolist())
    return tuple(float(scores[place]) if place in among else None for place in candidates.tolist())


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    temporary = path.with_name(path.name + ".writing")
    with temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    temporary.replace(path)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
