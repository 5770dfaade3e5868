"""Judgments from BEIR's TSV or TREC's qrels. They are few and precious: a row that cannot be read stops the run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Judgment
from nightrank.tasks.read.lines import Line, read_lines
from nightrank.tasks.read.values import identifier, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.inputs import JudgmentsSettings

BEIR_HEADER = ["query-id", "corpus-id", "score"]
MAX_LINE_BYTES = 10_000
GRADE = re.compile(r"[+-]?[0-9]{1,9}")
FORMS = (
    "Write BEIR's form, three columns separated by tabs below the header query-id, corpus-id, score, "
    "or TREC's, four columns separated by white space and no header: query, 0, document, grade."
)


def read_judgments(path: Path, *, name: str, account: Account) -> list[Judgment]:
    """The judgments of a file, in its order; a pair that is repeated with the same grade is there once.

    BEIR's form begins with the header ``query-id corpus-id score`` and is separated by tabs. TREC's has four
    columns separated by white space, of which the second is ignored. Grades are integers; negative ones are allowed,
    as in TREC. Blank lines are skipped. A packed file is unpacked, as ``lines.opened`` does.

    Args:
        path: The file.
        name: What the user calls it.
        account: Told what the file is.

    Raises:
        InputError: A row is malformed, a pair has two grades, there is no judgment, or the file cannot be read.
    """
    judged: dict[tuple[str, str], tuple[Judgment, int]] = {}
    for number, judgment in _judgments(_lines(path, name=name, account=account), name=name):
        pair = judgment.query_id, judgment.document_id
        earlier, row = judged.setdefault(pair, (judgment, number))
        if earlier.grade != judgment.grade:
            raise InputError(
                f"{name}, row {number}: query {shown(pair[0])} and document {shown(pair[1])} have the grade "
                f"{judgment.grade}, and in row {row} the grade {earlier.grade}.",
                remedy="Keep one of the two rows.",
            )
    if not judged:
        raise InputError(f"{name} holds no judgment.", remedy=FORMS)
    return [judgment for judgment, _ in judged.values()]


def _lines(path: Path, *, name: str, account: Account) -> Iterator[Line]:
    for line in read_lines(path, name=name, max_bytes=MAX_LINE_BYTES, account=account, part="judgments"):
        if isinstance(line, BadRow):
            raise InputError(f"{name}, row {line.row}: {line.reason}.", remedy=FORMS)
        if line.text.strip():
            yield line


def _judgments(lines: Iterator[Line], *, name: str) -> Iterator[tuple[int, Judgment]]:
    is_beir: bool | None = None
    for line in lines:
        if is_beir is None:
            is_beir = line.text.split() == BEIR_HEADER
            if is_beir:
                continue
        fields = line.text.split("\t") if is_beir else line.text.split()
        if len(fields) != (3 if is_beir else 4):
            form = "three, separated by tabs" if is_beir else "four, separated by white space"
            raise InputError(
                f"{name}, row {line.number}: {len(fields)} fields, expected {form}: {shown(line.text)}.", remedy=FORMS
            )
        query_id, document_id, grade = fields if is_beir else (fields[0], fields[2], fields[3])
        if not GRADE.fullmatch(grade.strip()):
            raise InputError(
                f"{name}, row {line.number}: the grade {shown(grade)} is no integer.",
                remedy="Write grades as integers, such as 0, 1 and 2.",
            )
        try:
            yield line.number, Judgment(identifier(query_id), identifier(document_id), int(grade))
        except ValueError as error:
            raise InputError(f"{name}, row {line.number}: {error}.", remedy=FORMS) from None


def judgments_of(settings: JudgmentsSettings, *, base: Path, account: Account) -> list[Judgment]:
    """The judgments that settings name; none where they name none.

    Args:
        settings: They.
        base: The folder that paths in them are relative to.
        account: Told what the file is.
    """
    if settings.qrels is None:
        return []
    return read_judgments(base / settings.qrels, name=settings.qrels, account=account)
