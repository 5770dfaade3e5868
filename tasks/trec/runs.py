"""TREC run files: rankings that any tool of the field reads and writes.

A line is ``query Q0 document rank score tag``. As in trec_eval, the score alone decides the order (read as float32,
ties by document id descending); the second column, the rank and the tag of a file that is read say nothing.
"""

from __future__ import annotations

import gzip
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import replacing
from nightrank.storage.records import BadRow
from nightrank.tasks.personal_data import impersonal_id
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.lines import remedy_for
from nightrank.tasks.read.text_lines import read_lines
from nightrank.tasks.read.values import identifier, shown

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nightrank.tasks.read.account import Account

MAX_LINE_BYTES = 10_000
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
LARGEST = float(np.finfo(np.float32).max)
FORM = "Write six columns separated by white space: query, Q0, document, rank, score, tag."


def read_run(path: Path, *, name: str, account: Account) -> list[Entry]:
    """The entries of a TREC run file, in its order.

    Blank lines are skipped. A packed file is unpacked, as ``lines.opened`` does.

    Args:
        path: The file.
        name: What the user calls it.
        account: Told what the file is.

    Raises:
        InputError: A line is malformed or not UTF-8, a score is no number that float32 holds, a document comes twice
            for a query, there is no entry, or the file cannot be read.
    """
    entries: list[Entry] = []
    rows: dict[str, dict[str, int]] = {}
    for row, fields in _fields(path, name=name, account=account):
        entry = _entry(fields, place=f"{name}, row {row}")
        earlier = rows.setdefault(entry.query_id, {}).setdefault(entry.doc_id, row)
        if earlier != row:
            raise InputError(
                f"{name}, row {row}: the document {shown(entry.doc_id)} is there in row {earlier} already for the "
                f"query {shown(entry.query_id)}.",
                remedy="Keep the entry with the higher score.",
            )
        entries.append(entry)
    if not entries:
        raise InputError(f"{name} holds no entry of a run.", remedy=FORM)
    return entries


def write_run(path: Path, entries: Iterable[Entry], *, tag: str) -> int:
    """Write a TREC run file; it appears when it is whole, packed where its name ends in ``.gz``.

    Queries come in the order of their first entry, the documents of a query best first. Scores are written as the
    float32 that trec_eval reads, so that every tool sees the same ties.

    Args:
        path: The file.
        entries: Each document once a query, with a finite score.
        tag: The run's name.

    Returns:
        How many entries were written.

    Raises:
        InputError: An id, or the tag, is empty or holds white space, which the format cannot express.
        ValueError: A document comes twice for a query, or a score is no number that float32 holds.
    """
    _require_word(tag, what="tag")
    queries: dict[str, dict[str, np.float32]] = {}
    for query_id, document_id, score in entries:
        scores = queries.setdefault(query_id, {})
        if document_id in scores or not abs(score) <= LARGEST:
            message = f"expected each document once with a finite score, got {(query_id, document_id, score)!r}"
            raise ValueError(message)
        scores[document_id] = np.float32(score)
    is_gzip = path.name.lower().endswith(".gz")
    with replacing(path) as temporary, _new_file(temporary, is_gzip=is_gzip) as file:
        for query_id, scores in queries.items():
            file.writelines(line.encode() for line in _lines(query_id, scores, tag=tag))
    return sum(map(len, queries.values()))


def _fields(path: Path, *, name: str, account: Account) -> Iterator[tuple[int, list[str]]]:
    for line in read_lines(InputFile(path, name, "runs", account), max_bytes=MAX_LINE_BYTES):
        if isinstance(line, BadRow):
            remedy = remedy_for([line.reason], section="", otherwise=FORM)
            raise InputError(f"{name}, row {line.row}: {line.reason}.", remedy=remedy)
        fields = line.text.split()
        if fields and len(fields) != 6:
            raise InputError(
                f"{name}, row {line.number}: {len(fields)} columns, expected six: {shown(line.text)}.", remedy=FORM
            )
        if fields:
            yield line.number, fields


def _entry(fields: Sequence[str], *, place: str) -> Entry:
    query_id, _, document_id, _, score, _ = fields
    if not NUMBER.fullmatch(score) or not abs(float(score)) <= LARGEST:
        raise InputError(
            f"{place}: the score {shown(score)} is no finite number.",
            remedy=f"Write scores in decimal digits, none beyond {LARGEST:.4g}.",
        )
    try:
        return Entry(impersonal_id(identifier(query_id)), identifier(document_id), float(score))
    except ValueError as error:
        raise InputError(f"{place}: {error}.", remedy=FORM) from None


def _lines(query_id: str, scores: Mapping[str, np.float32], *, tag: str) -> Iterator[str]:
    _require_word(query_id, what="query id")
    best_first = sorted(scores.items(), key=lambda entry: (entry[1], entry[0]), reverse=True)
    for rank, (document_id, score) in enumerate(best_first, 1):
        _require_word(document_id, what="document id")
        yield f"{query_id} Q0 {document_id} {rank} {score} {tag}\n"


def _require_word(text: str, *, what: str) -> None:
    if text.split() != [text]:
        raise InputError(
            f"The {what} {shown(text)} cannot be written to a TREC run file: it is empty or holds white space.",
            remedy="Use ids and tags without white space.",
        )


@contextmanager
def _new_file(path: Path, *, is_gzip: bool) -> Iterator[io.BufferedIOBase]:
    with path.open("wb") as file:
        if not is_gzip:
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:  # the same run, the same bytes
            yield packed


class Entry(NamedTuple):
    """An entry of a run: what TREC calls a scored document."""

    query_id: str
    doc_id: str
    score: float
