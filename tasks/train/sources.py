"""What a training reads: passages, questions with the passages that answer them, and folders in BEIR layout."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, RowError
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import BadRow
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.tables.rows import read_rows
from nightrank.tasks.read.values import clean_text, identifier, kind
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.records import JsonValue

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


def rows_of(path: Path) -> Iterator[tuple[int, Mapping[str, JsonValue]]]:
    """The rows of a file of a training's, each with its number.

    Raises:
        InputError: The file cannot be read.
        RowError: A row cannot.
    """
    for row in read_rows(InputFile(path, str(path), "documents", Account()), None, max_bytes=MAX_ROW_BYTES):
        if isinstance(row, BadRow):
            raise RowError(row.file, row.row, row.reason)
        yield row.number, row.values


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
    for number, values in rows_of(path):
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


def beir_passages(folder: Path) -> Iterator[Passage]:
    """The collection of a folder in BEIR layout, one by one.

    Raises:
        InputError: The file is missing or not as it should be.
    """
    for number, values in rows_of(folder / "corpus.jsonl"):
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
    for number, values in rows_of(folder / "queries.jsonl"):
        try:
            texts[_id(values, "_id")] = normalise_query(_text(values, "text"))
        except ValueError as error:
            raise RowError(str(folder / "queries.jsonl"), number, str(error)) from None
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    qrels = qrels_of(folder, split)
    for judgment in read_judgments(qrels, name=str(qrels), account=Account()):
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
