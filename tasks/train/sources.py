"""What a reranker learns from: questions with their passages, and the passages that a first stage confuses with them.

A *source* is a collection of passages and the questions that some of them answer. It is read from JSONL pairs
or from a folder in BEIR layout, split by document so that what is held out is never seen, and mined: each
question keeps the candidates of its first stage, with the first stage's own teacher score of them, less those that
are probably answers too.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import InputError, RowError
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import BadRow
from nightrank.tasks.read.rows import read_rows
from nightrank.tasks.read.values import clean_text, identifier, kind
from nightrank.tasks.train.negatives import teacher_scores_of, too_close
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.train.first_stage import FirstStage

MAX_ROW_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a training collection; its title may be empty."""

    document_id: str
    title: str
    text: str

    @property
    def said(self) -> str:
        """What it says, whatever title it stands under; white space at its ends decides nothing."""
        return self.text.strip() or self.title.strip()

    def model_text(self, *, with_title: bool = True) -> str:
        """What models read: the title on a line of its own, then the text."""
        if not (self.title and with_title):
            return self.text
        return f"{self.title}\n{self.text}" if self.text else self.title


@dataclass(frozen=True, slots=True)
class Source:
    """Passages, and questions with the places of the passages that answer them.

    Attributes:
        name: Whose mixing weight it has.
        passages: The collection, in file order.
        queries: Normalised as everywhere.
        answers: For each query the places of its passages in ``passages``, never empty.
        grades: For each query the grade of each of its answers, in the same order.
    """

    name: str
    passages: tuple[Passage, ...]
    queries: tuple[str, ...]
    answers: tuple[tuple[int, ...], ...]
    grades: tuple[tuple[int, ...], ...]

    def only(self, places: Sequence[int]) -> Source:
        """The same collection with the queries at ``places`` alone, in that order."""
        return Source(
            self.name,
            self.passages,
            tuple(self.queries[i] for i in places),
            tuple(self.answers[i] for i in places),
            tuple(self.grades[i] for i in places),
        )

    def among(self, kept: Sequence[bool]) -> Source:
        """The same queries over the passages that are kept; every answer is."""
        places = [i for i, is_kept in enumerate(kept) if is_kept]
        moved = {old: new for new, old in enumerate(places)}
        answers = tuple(tuple(moved[i] for i in found) for found in self.answers)
        return Source(self.name, tuple(self.passages[i] for i in places), self.queries, answers, self.grades)


@dataclass(frozen=True, slots=True)
class MinedQuery:
    """A question, its answers and the candidates that are none, each with the first stage's teacher score.

    Attributes:
        query: Normalised.
        answers: (place of the passage, teacher score), at least one.
        negatives: Likewise, best of the first stage first.
        floor: The lowest teacher score among the candidates: what a passage gets that is no candidate at all.
        removed_text: What is left out of the passages shown, because the query was taken from there.
        false_negatives: Places of the candidates that are no negatives because they probably answer too; ascending.
    """

    query: str
    answers: tuple[tuple[int, float], ...]
    negatives: tuple[tuple[int, float], ...]
    floor: float
    removed_text: str = ""
    false_negatives: tuple[int, ...] = ()

    def may_answer(self, passages: Sequence[Passage]) -> Callable[[Passage], bool]:
        """Tells which passages may answer, so that they are never shown as ones that do not.

        They are of a document that answers, or say what an answer or a refused candidate says.

        Args:
            passages: The collection that places point into.
        """
        answers = [passages[place] for place, _ in self.answers]
        documents = {passage.document_id for passage in answers}
        said = {passage.said for passage in (*answers, *(passages[place] for place in self.false_negatives))}
        return lambda passage: passage.document_id in documents or passage.said in said


def given_pairs(path: Path) -> list[tuple[str, Passage]]:
    """Queries, normalised, each with a passage that answers it: the rows of a file of pairs, in its order.

    Args:
        path: A table with ``query``, ``text``, ``document_id`` and, where there is one, ``title``. Rows whose query is
            empty are passed over.

    Raises:
        InputError: The file cannot be read or holds no pair.
        RowError: A row is not as it should be.
    """
    pairs = []
    for number, values in _rows(path):
        try:
            query = normalise_query(_text(values, "query"))
            passage = Passage(_id(values, "document_id"), _title(values), _text(values, "text"))
        except ValueError as error:
            raise RowError(str(path), number, str(error)) from None
        if query:
            pairs.append((query, passage))
    if not pairs:
        remedy = "Give JSONL rows of query, title, text, document_id."
        raise InputError(f"{path} holds no training pair.", remedy=remedy)
    return pairs


def read_pairs(path: Path, *, max_pairs: int = 0, page_of: Callable[[Passage], str] | None = None) -> Source:
    """A source from a file of pairs, as a collection of its own.

    Equal texts are one passage, the first that says it, whatever its document; queries equal after normalisation are
    one query with all their passages.

    Args:
        path: The file.
        max_pairs: Whole pages are drawn at random, always the same, until they have so many pairs; 0 reads all.
        page_of: The page of a passage; needed with ``max_pairs``.

    Raises:
        InputError: The file cannot be read or holds no pair.
        RowError: A row is not as it should be.
    """
    pairs = given_pairs(path)
    if max_pairs and page_of is not None:
        counts = Counter(page_of(passage) for _, passage in pairs)
        pages = sorted(counts)
        random.Random(0).shuffle(pages)  # noqa: S311 - nothing secret
        before = [0, *accumulate(counts[page] for page in pages)]
        drawn = {page for page, total in zip(pages, before, strict=False) if total < max_pairs}
        pairs = [pair for pair in pairs if page_of(pair[1]) in drawn]
    passages: dict[str, tuple[int, Passage]] = {}
    answers: dict[str, dict[int, int]] = defaultdict(dict)
    for query, passage in pairs:
        place, _ = passages.setdefault(passage.said, (len(passages), passage))
        answers[query][place] = 1
    return Source(
        path.stem,
        tuple(passage for _, passage in passages.values()),
        tuple(answers),
        tuple(tuple(graded) for graded in answers.values()),
        tuple(tuple(graded.values()) for graded in answers.values()),
    )


def read_beir(folder: Path, split: str) -> Source:
    """A source from a folder in BEIR layout: its whole collection and the questions of one split.

    Raises:
        InputError: A file is missing or not as it should be, or a judgment names what is not there.
    """
    passages = tuple(beir_passages(folder))
    places = {passage.document_id: place for place, passage in enumerate(passages)}
    answered = beir_queries(folder, split, known=places)
    return Source(
        folder.name,
        passages,
        tuple(query for query, _ in answered),
        tuple(tuple(places[document] for document in graded) for _, graded in answered),
        tuple(tuple(graded.values()) for _, graded in answered),
    )


def beir_passages(folder: Path) -> Iterator[Passage]:
    """The collection of a folder in BEIR layout, one by one.

    Raises:
        InputError: The file is missing or not as it should be.
    """
    for number, values in _rows(folder / "corpus.jsonl"):
        try:
            yield Passage(_id(values, "_id"), _title(values), _text(values, "text"))
        except ValueError as error:
            raise RowError(str(folder / "corpus.jsonl"), number, str(error)) from None


def beir_queries(folder: Path, split: str, *, known: Container[str]) -> list[tuple[str, dict[str, int]]]:
    """The queries of a split that some document answers, normalised, each with the grades of these documents.

    Args:
        folder: In BEIR layout.
        split: Which.
        known: The ids of its documents.

    Raises:
        InputError: A file is missing or not as it should be, or a judgment names what is not there.
    """
    texts: dict[str, str] = {}
    for number, values in _rows(folder / "queries.jsonl"):
        try:
            texts[_id(values, "_id")] = normalise_query(_text(values, "text"))
        except ValueError as error:
            raise RowError(str(folder / "queries.jsonl"), number, str(error)) from None
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    qrels = qrels_of(folder, split)
    for judgment in read_judgments(qrels, name=str(qrels)):
        query, document = judgment.query_id, judgment.document_id
        if query not in texts or document not in known:
            message = f"{qrels} judges {query} and {document}, which {folder} does not hold."
            raise InputError(message, remedy="Give a folder whose files belong together.")
        if judgment.grade > 0:
            judged[query][document] = judgment.grade
    return [(texts[query], graded) for query, graded in judged.items()]


def qrels_of(folder: Path, split: str) -> Path:
    """The file of a split's judgments in a folder in BEIR layout, there or not."""
    return folder / "qrels" / f"{split}.tsv"


def split_by(source: Source, held: frozenset[int]) -> tuple[Source, Source]:
    """Split a source's queries by the passages that are held out.

    Returns:
        The queries none of whose answers is held out, and those all of whose answers are; queries with some of
        both are in neither.
    """
    kept = [i for i, places in enumerate(source.answers) if not held.intersection(places)]
    tested = [i for i, places in enumerate(source.answers) if held.issuperset(places)]
    return source.only(kept), source.only(tested)


def hold_out_share(
    source: Source, *, share: float, document_of: Callable[[Passage], str], randomness: random.Random
) -> frozenset[int]:
    """The places of all passages of a share of the documents; of at least one document."""
    names = sorted({document_of(passage) for passage in source.passages})
    randomness.shuffle(names)
    chosen = set(names[: max(int(len(names) * share), 1)])
    return frozenset(i for i, passage in enumerate(source.passages) if document_of(passage) in chosen)


def hold_out_queries(source: Source, *, count: int, randomness: random.Random) -> frozenset[int]:
    """The places of answers, taken at random until ``count`` queries have all of theirs among them."""
    places = sorted({place for answers in source.answers for place in answers})
    randomness.shuffle(places)
    held: set[int] = set()
    for place in places:
        if sum(held.issuperset(answers) for answers in source.answers) >= count:
            break
        held.add(place)
    return frozenset(held)


def mine(
    source: Source,
    place: int,
    found: FirstStage,
    *,
    vectors: NDArray[np.float32],
    held: frozenset[int] = frozenset(),
) -> MinedQuery:
    """A query's answers and negatives with the first stage's teacher score: the mean of both legs, standardised.

    Left out of the negatives are held-out passages, the answers' own documents and texts, and passages
    nearly identical with an answer, which probably answer too.

    Args:
        source: The query's.
        place: Of the query in the source.
        found: What the first stage found for it.
        vectors: float32 (n_passages, dim), normalised embeddings.
        held: Places of the passages that may not be trained on.
    """
    answers = sorted(source.answers[place])
    candidates = found.candidates
    pool = np.unique(np.concatenate([candidates, np.asarray(answers)])).astype(np.int64)
    mean = teacher_scores_of(found.dense[pool], found.bm25[pool])
    teacher_score = dict(zip(pool.tolist(), mean.tolist(), strict=True))
    documents = {source.passages[i].document_id for i in answers}
    texts = {source.passages[i].text for i in answers}
    close = too_close(vectors[candidates], vectors[answers])
    others = [
        (i, is_close)
        for i, is_close in zip(candidates.tolist(), close.tolist(), strict=True)
        if i not in held and source.passages[i].document_id not in documents and source.passages[i].text not in texts
    ]
    return MinedQuery(
        source.queries[place],
        tuple((i, teacher_score[i]) for i in answers),
        tuple((i, teacher_score[i]) for i, is_close in others if not is_close),
        float(mean.min()),
        false_negatives=tuple(sorted(i for i, is_close in others if is_close)),
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, JsonValue]]]:
    for row in read_rows(path, name=str(path), max_bytes=MAX_ROW_BYTES):
        if isinstance(row, BadRow):
            raise RowError(row.file, row.row, row.reason)
        yield row.number, row.values


def _id(values: Mapping[str, JsonValue], column: str) -> str:
    if column not in values:
        raise ValueError(f"it lacks {column!r}")
    return identifier(values[column])


def _text(values: Mapping[str, JsonValue], column: str) -> str:
    if column not in values:
        raise ValueError(f"it lacks {column!r}")
    value = values[column]
    if not isinstance(value, str):
        raise ValueError(f"{column!r} is {kind(value)}, not a text")
    return clean_text(value)


def _title(values: Mapping[str, JsonValue]) -> str:
    return "" if values.get("title") is None else _text(values, "title")
