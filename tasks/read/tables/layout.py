"""How a CSV or TSV file is laid out: its separator, what stands before its header, whether it has one, its quotes.

The suffix is believed first. Where the header means nothing by it, and means something by another separator, that one
is taken and told. Excel's `sep=` line is obeyed.
"""

from __future__ import annotations

import csv
import io
import re
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from nightrank.tasks.read.account import DOUBTFUL_QUOTES
from nightrank.tasks.read.lines import PIECE_BYTES
from nightrank.tasks.read.tables.headerless import known_form, looks_like_data, proposed_header
from nightrank.tasks.read.tables.quotes import Quotes, quotes_of
from nightrank.tasks.read.text.encoding import opened_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nightrank.tasks.read.tables.columns import Columns
    from nightrank.tasks.read.text.encoding import Form

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
SEP_LINE = re.compile(r'"?sep=([^\w"])"?')
FIRST_ROWS = 50
MOST_LINES_BEFORE = 10


class Layout(NamedTuple):
    """How a file of separated fields is laid out.

    Attributes:
        separator: Between fields.
        is_quoted: Whether fields may be quoted, as in RFC 4180.
        lines_before: Lines before the header, which are not read.
        header: The names of its columns where no line of the file says them, or says them in unknown words.
        skips_header: Whether the file has a header line all the same.
        told: What of it is not as the suffix says, as an account tells it.
        hint: What to do where the header means nothing; empty where nothing is known.
    """

    separator: str
    is_quoted: bool
    lines_before: int = 0
    header: tuple[str, ...] | None = None
    skips_header: bool = True
    told: tuple[str, ...] = ()
    hint: str = ""


def layout_of(path: Path, form: Form, *, name: str, separator: str, columns: Columns | None) -> Layout:
    """How a file is laid out.

    Args:
        path: The file.
        form: How its text is written.
        name: What the user calls it.
        separator: That its suffix stands for: a comma or a tab.
        columns: What its columns may be taken for; None takes the suffix and the first line as they are.

    Raises:
        InputError: It cannot be read.
    """
    with opened_as(path, form, name=name) as file:
        head = file.read(PIECE_BYTES)
    whole = len(head) < PIECE_BYTES
    lines = head.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if not whole and len(lines) > 1:
        lines.pop()
    found = _found(lines, separator, columns)
    if separator == "\t" == found.separator and not found.is_quoted and columns is not None:
        with opened_as(path, form, name=name) as file:
            quotes = quotes_of(file)
        if quotes is Quotes.QUOTING:
            return found._replace(is_quoted=True, told=(*found.told, "quoted fields in TSV, unquoted"))
        if quotes is Quotes.DOUBTFUL:
            return found._replace(told=(*found.told, DOUBTFUL_QUOTES))
    return found


def _found(lines: list[str], separator: str, columns: Columns | None) -> Layout:
    before, told, separators = 0, [], list(dict.fromkeys([separator, *SEPARATORS]))
    if lines and (declared := SEP_LINE.fullmatch(lines[0].strip("\ufeff"))):
        before, separators = 1, [declared[1]]
        told.append("the line sep= before the header, obeyed")
    if columns is None:
        return Layout(separators[0], separator == "," or bool(before), before, told=tuple(told))
    header = _header_of(lines, before, separators, columns)
    if header is not None:
        line, chosen = header
        if line > before:
            told.append("lines before the header, skipped")
        if chosen != separator and not before:
            told.append(f"fields separated by {SEPARATORS[chosen]}")
        layout = Layout(chosen, separator == "," or chosen != "\t", line, told=tuple(told))
        return layout if columns.vocabulary.part == "judgments" else _with_row_names(lines[line:], layout)
    chosen = _likeliest(lines[before:], separators)
    is_quoted = separator == "," or chosen != "\t"
    rows = list(islice(_records(lines[before:], chosen, is_quoted=is_quoted), FIRST_ROWS))
    part = columns.vocabulary.part
    if known := known_form(part, rows):
        return Layout(chosen, is_quoted, before, known.header, known.has_header, (*told, known.what))
    return Layout(chosen, is_quoted, before, told=tuple(told), hint=_hint(rows, columns, chosen))


def _with_row_names(lines: Sequence[str], layout: Layout) -> Layout:
    """A layout whose header is one name short, as R's ``write.table`` leaves out that of row names.

    A last field that is always empty is what a separator at the end of each row leaves. R quotes names of columns and
    rows; without quotes a field too many is more likely a separator in a text, which costs its row.
    """
    rows = list(islice(_records(lines, layout.separator, is_quoted=True), FIRST_ROWS))
    header, data = rows[0], rows[1:]
    if not data or any(len(row) != len(header) + 1 for row in data):
        return layout
    if not any(row[-1].strip() for row in data):
        return layout._replace(header=(*header, ""), told=(*layout.told, "a separator at the end of each row"))
    numbers = [row[0] for row in data]
    are_quoted = all(line.startswith('"') for line in lines[:2])
    if not are_quoted or numbers != [str(number) for number in range(1, len(data) + 1)]:  # another fault
        return layout
    return layout._replace(header=("", *header), told=(*layout.told, "row names without a name in the header"))


def _header_of(
    lines: Sequence[str], before: int, separators: Sequence[str], columns: Columns
) -> tuple[int, str] | None:
    """The line of the header, from 0, and the separator by which it means something."""
    seen = 0
    for number, line in enumerate(lines[before:], before):
        if not line.strip():
            continue
        for separator in separators:
            fields = next(_records(lines[number:], separator, is_quoted=True), [])
            # Behind other lines a header must say more, as a query may be a word that names columns.
            if columns.understands(fields) and (seen == 0 or columns.recognised(fields) > 1):
                return number, separator
        seen += 1
        if seen > MOST_LINES_BEFORE:
            break
    return None


def _likeliest(lines: Sequence[str], separators: Sequence[str]) -> str:
    """The separator that gives the first rows the same number of fields, where the suffix's gives them one."""
    for separator in separators:
        counts = {len(row) for row in islice(_records(lines, separator, is_quoted=separator != "\t"), 5)}
        if len(counts) == 1 and counts != {1}:
            return separator
    return separators[0]


def _hint(rows: Sequence[Sequence[str]], columns: Columns, separator: str) -> str:
    part = columns.vocabulary.part
    if rows and len(rows[0]) == 1 and part == "queries" and not looks_like_data(rows):
        return "Its one column has no known name: where the file has no header line, put query before its first line."
    if not rows or not looks_like_data(rows):
        return ""
    shown = "<TAB>" if separator == "\t" else separator
    headers = [shown.join(proposed_header(part, rows[0]))]
    if headers[0] == f"query_id{shown}query":  # the number may be either
        headers.append(f"count{shown}query")
    return (
        "The first row looks like data, so the file has no header line: put one before it, such as "
        f"{' or '.join(headers)}."
    )


def _records(lines: Sequence[str], separator: str, *, is_quoted: bool) -> Iterator[list[str]]:
    """The rows of some lines, blank ones left out, as far as they can be told apart."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE
    text = io.StringIO("\n".join(lines), newline="")
    try:
        for row in csv.reader(text, delimiter=separator, quoting=quoting):
            if any(field.strip() for field in row):
                yield row
    except csv.Error:  # a field that is too long, or a break within one
        return
