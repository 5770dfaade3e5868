"""Judgments from BEIR's TSV, TREC's qrels, or a table. They are few and precious: a row that cannot be read stops.

A column ``judged-by`` says what they rest on, of ``JUDGED_BY``; without it, on people. A file is of one kind.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import write_text
from nightrank.storage.judged import JUDGED_BY
from nightrank.storage.records import BadRow, Judgment
from nightrank.tasks.personal_data import MENDED_IDS, impersonal_id, masked
from nightrank.tasks.read.account import NOT_TREC_S_SECOND, Account, Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.lines import remedy_for
from nightrank.tasks.read.suffixes import table_suffix
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.layout import SEPARATORS
from nightrank.tasks.read.tables.names import JUDGMENTS
from nightrank.tasks.read.tables.rows import read_rows, read_separated
from nightrank.tasks.read.tables.usage import Usage
from nightrank.tasks.read.text_lines import read_lines
from nightrank.tasks.read.values import PADDED_IDS, identifier, number_as_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nightrank.storage.judged import JudgedBy
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.text_lines import Line
    from nightrank.tasks.settings.inputs import JudgmentsSettings

MAX_LINE_BYTES = 10_000
HEADER = ("query-id", "corpus-id", "score", "judged-by")
GRADE = re.compile(r"([+-]?[0-9]{1,9})(?:\.0+)?")
FORMS = (
    "Write BEIR's form, three columns separated by tabs below the header query-id, corpus-id, score, "
    "or TREC's, four columns separated by white space and no header: query, 0, document, grade."
)


class _Judged(NamedTuple):
    row: int
    query_id: JsonValue
    document_id: JsonValue
    grade: JsonValue
    judged_by: JsonValue = None


def read_judgments(path: Path, *, name: str, account: Account) -> list[Judgment]:
    """The judgments of a file, in its order; a pair that is repeated with the same grade is there once.

    TREC's form has four columns separated by white space (by tabs alone, ids may hold blanks), of which the second is
    ignored, and no header. Any other is a table: CSV, JSONL, Parquet, and what else is text with tabs between fields,
    as BEIR's form, which begins with the header ``query-id corpus-id score``; three columns without a header are
    those. Grades are whole numbers; negative ones are allowed, as in TREC. Blank lines are skipped. In a table the
    column ``judged-by`` says what they rest on.

    Args:
        path: The file.
        name: What the user calls it.
        account: Told what the file is, and what was taken for what.

    Raises:
        InputError: A row is malformed, a pair has two grades, there is no judgment, judgments rest on different
            things, or the file cannot be read.
    """
    file = InputFile(path, name, "judgments", account)
    judged: dict[tuple[str, str], tuple[Judgment, int]] = {}
    for found in _trec(file) if _is_trec(file) else _table(file):
        judgment = _judgment(found, file)
        pair = judgment.query_id, judgment.document_id
        earlier, row = judged.setdefault(pair, (judgment, found.row))
        if earlier.grade != judgment.grade:
            raise InputError(
                f"{name}, row {found.row}: query {shown(pair[0])} and document {shown(pair[1])} have the grade "
                f"{judgment.grade}, and in row {row} the grade {earlier.grade}.",
                remedy="Keep one of the two rows.",
            )
    if not judged:
        raise InputError(f"{name} holds no judgment.", remedy=FORMS)
    found_rows = list(judged.values())
    first, of_first = found_rows[0]
    for judgment, row in found_rows:
        if judgment.judged_by != first.judged_by:
            raise InputError(
                f"{name}, row {row}: judged by {judgment.judged_by}, and row {of_first} by {first.judged_by}.",
                remedy="Keep each kind in a file of its own: a mean over both says nothing of either.",
            )
    return [judgment for judgment, _ in found_rows]


def can_be_named(name: str) -> bool:
    """Whether a query's words or an id can stand in a file of judgments, and are read as they were written.

    >>> can_be_named("black tea"), can_be_named("tea " * 200), can_be_named(" a"), can_be_named("")
    (True, False, False, False)
    """
    try:
        return identifier(name) == name
    except ValueError:
        return False


def write_judgments(path: Path, judgments: Iterable[Judgment]) -> None:
    """Write judgments in BEIR's form, with what they rest on as a column of its own.

    Args:
        path: Of the file, which appears when it is whole.
        judgments: They; each id can be named, as ``can_be_named`` says.
    """
    lines = (f"{one.query_id}\t{one.document_id}\t{one.grade}\t{one.judged_by}\n" for one in judgments)
    write_text(path, "\t".join(HEADER) + "\n" + "".join(lines))


def _is_trec(file: InputFile) -> bool:
    """Whether a file has TREC's form, or none that is known: the first row decides.

    Raises:
        InputError: It is JSON, and no JSON Lines.
    """
    suffix = table_suffix(file.path.name)
    if suffix and not suffix.startswith(".tsv"):
        return False
    for line in _lines(replace(file, account=Account())):
        if line.text.lstrip().startswith(("{", "[")):
            message = f"{file.name} is JSON, which is not read under that name."
            raise InputError(message, remedy="Write JSON Lines, called .jsonl, with query-id, corpus-id and score.")
        columns = Columns(JUDGMENTS, {})
        is_headed = any(columns.understands(line.text.split(separator)) for separator in SEPARATORS)
        return not is_headed and len(line.text.split("\t")) != 3
    return True


def _table(file: InputFile) -> Iterator[_Judged]:
    columns, usage = Columns(JUDGMENTS, {}), Usage(file, rest=Kind.COLUMN_IGNORED)
    is_table = bool(table_suffix(file.path.name))
    rows = (read_rows if is_table else read_separated)(file, columns, max_bytes=MAX_LINE_BYTES)
    for row in rows:
        if isinstance(row, BadRow):
            remedy = remedy_for([row.reason], section="", otherwise=FORMS)
            raise InputError(f"{file.name}, row {row.row}: {row.reason}.", remedy=remedy)
        taken = columns.taken(tuple(row.values))
        usage.add(taken, row=row.number)
        values = (
            next((row.values[column] for column in taken.columns.get(role, ())), None)
            for role in ("query_id", "document_id", "grade", "judged_by")
        )
        yield _Judged(row.number, *values)
    usage.tell()


def _trec(file: InputFile) -> Iterator[_Judged]:
    for line in _lines(file):
        by_tabs = line.text.split("\t")
        fields = by_tabs if len(by_tabs) == 4 else line.text.split()
        if len(fields) != 4:
            raise InputError(
                f"{file.name}, row {line.number}: {_counted(len(fields))}, expected four, separated by white space: "
                f"{shown(masked(line.text))}.",
                remedy=FORMS,
            )
        if fields[1].upper() not in ("0", "Q0"):
            file.tell(Kind.COLUMN_IGNORED, NOT_TREC_S_SECOND, row=line.number)
        yield _Judged(line.number, fields[0], fields[2], fields[3])


def _lines(file: InputFile) -> Iterator[Line]:
    for line in read_lines(file, max_bytes=MAX_LINE_BYTES):
        if isinstance(line, BadRow):
            remedy = remedy_for([line.reason], section="", otherwise=FORMS)
            raise InputError(f"{file.name}, row {line.row}: {line.reason}.", remedy=remedy)
        if line.text.strip():
            yield line


def _judgment(found: _Judged, file: InputFile) -> Judgment:
    grade = GRADE.fullmatch(str(number_as_text(found.grade)).strip())
    if grade is None or isinstance(found.grade, bool):
        raise InputError(
            f"{file.name}, row {found.row}: the grade {shown(found.grade)} is no integer.",
            remedy="Write grades as integers, such as 0, 1 and 2.",
        )
    try:
        query_id, document_id = identifier(found.query_id), identifier(found.document_id)
    except ValueError as error:
        raise InputError(f"{file.name}, row {found.row}: {error}.", remedy=FORMS) from None
    for written, read in ((found.query_id, query_id), (found.document_id, document_id)):
        if isinstance(written, str) and written != read:
            file.tell(Kind.MENDED, PADDED_IDS, row=found.row)
    if (safe := impersonal_id(query_id)) != query_id:
        file.tell(Kind.MENDED, MENDED_IDS, row=found.row)
    return Judgment(safe, document_id, int(grade[1]), _judged_by(found, file))


def _judged_by(found: _Judged, file: InputFile) -> JudgedBy:
    if found.judged_by in (None, ""):
        return "people"
    for kind in JUDGED_BY:
        if found.judged_by == kind:
            return kind
    raise InputError(
        f"{file.name}, row {found.row}: judged by {shown(found.judged_by)}, which is nothing that is known.",
        remedy=f"Write one of {', '.join(JUDGED_BY)} in the column judged-by, or leave the column out.",
    )


def _counted(number: int) -> str:
    return "1 field" if number == 1 else f"{number} fields"


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
