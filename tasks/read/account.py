"""The account of a reading: what was taken for what, and what was left out, so that nothing passes in silence.

Readers add to an ``Account`` that is handed to them; nothing here judges. What looks like a mistake, and what is one,
is decided where the account is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nightrank.storage.records import JsonValue

Part = Literal["documents", "queries", "judgments", "runs"]
PARTS: tuple[Part, ...] = ("documents", "queries", "judgments", "runs")
MAX_DISTINCT = 200
"""Different texts of a kind and part that are told apart; thousands of columns or reasons would tell nobody more."""
OTHERS = "others"
WITH_TEXT, CHARACTERS = "documents with a text", "characters of text"
NO_COLLECTION = "table that is no collection"
NO_READER = "page that cannot be read here"
LINKED = "link to a folder, or out of the source"
UNREADABLE_FOLDER = "folder that cannot be read"
# What readers mend or doubt, and tellers warn of.
HTML_AS_TEXT = "HTML in texts, read as it is written"
DOUBTFUL_QUOTES = "quotes in TSV that may be quoting, kept as characters"
PERHAPS_A_COUNT = " (whole numbers, and nothing is known as the count)"
NOT_TREC_S_SECOND = "the second column, neither 0 nor Q0"
LEFT_OUT_TIMES = " as timestamp, left out where it is none"
VARYING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|0x[0-9a-f]+|(?<![\w-])(?<!ISO )\d[\d,._]*")


class Kind(StrEnum):
    """What an entry says of its part of the inputs; ``what`` and ``count`` are given in brackets."""

    FILE_READ = "file read"  # (its suffix; files)
    FILE_NOT_READ = "file not read"  # of a format that is not read, or unreadable (its suffix, or why; files)
    FILE_EXCLUDED = "file excluded"  # by a pattern, or named for something else (the pattern or key; files, folders)
    COLUMN_USED = "column used"  # under the name that it should have (the column; rows or files)
    COLUMN_GUESSED = "column guessed"  # known by another usual name ("body as text"; rows or files)
    COLUMN_KEPT = "column kept"  # as metadata (the column; rows or files)
    COLUMN_IGNORED = "column ignored"  # nothing was done with it (the column; rows or files)
    ENCODING = "encoding"  # of a file of text (its name; files)
    SKIPPED = "skipped"  # left out on purpose: neither read nor bad (why; pages or rows)
    MENDED = "mended"  # read, with something put right or left out on the way (what; pages or rows)
    FORM = "form"  # of a table, where it is not as its suffix says ("fields separated by semicolons"; files)
    BAD_ROW = "bad row"  # could not be used (the reason without its figures; rows)
    SIZE = "size"  # of what is kept ("documents with a text", "characters of text"; so many)
    RETRACTED = "taken down"  # by `nightrank retract`, though the source has it (as of SIZE; so many)
    TITLE_ALONE = "title alone"  # documents without a text of their own ("documents"; documents)
    LONG = "long"  # read by the model from the beginning alone ("chunks" or "queries"; so many)
    UNKNOWN_ID = "unknown id"  # names what is not there ("documents" with a hint, "queries"; different ids)
    TOKENS = "tokens"  # a sample's characters that the embedder's tokens stand for ("all", "unknown" to it; characters)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account.

    Attributes:
        part: Of the inputs: documents, queries (drop list included), judgments or runs.
        kind: What it says.
        what: Of which suffix, column, encoding or reason.
        count: How often.
        where: File and row of the first one; empty where no place is meant.
    """

    part: Part
    kind: Kind
    what: str
    count: int
    where: str


@dataclass(frozen=True, slots=True)
class Skipped(Exception):  # it is no error
    """Raised by a reader's parts for what is left out on purpose, such as an empty page.

    Attributes:
        reason: Why, in words without figures or names.
    """

    reason: str


class Account:
    """Collects the entries of one reading; one an account, in one process and thread.

    >>> account = Account()
    >>> account.add("documents", Kind.FILE_READ, ".md", where="a.md")
    >>> account.add("documents", Kind.FILE_READ, ".md", where="b.md")
    >>> account.entries()
    (Entry(part='documents', kind=<Kind.FILE_READ: 'file read'>, what='.md', count=2, where='a.md'),)
    """

    def __init__(self) -> None:
        self._found: dict[tuple[Part, Kind], dict[str, tuple[int, str]]] = {}

    def add(self, part: Part, kind: Kind, what: str, *, where: str = "", count: int = 1) -> None:
        """Count something.

        Args:
            part: Of the inputs.
            kind: What is said of it.
            what: The suffix, column ("body as text"), encoding or reason. Never text of a document or a query.
            where: File and row; that of the first one is kept.
            count: How many.
        """
        found = self._found.setdefault((part, kind), {})
        if what not in found and len(found) >= MAX_DISTINCT:
            what = OTHERS
        before, first = found.get(what, (0, where))
        found[what] = before + count, first

    def add_bad_row(self, part: Part, reason: str, *, where: str) -> None:
        """Count a row that was set aside: done once, where that happens, and not by the readers that yield it."""
        self.add(part, Kind.BAD_ROW, alike(reason), where=where)

    def entries(self) -> tuple[Entry, ...]:
        """What was collected: by part, by kind, the most frequent first."""
        kinds = list(Kind)
        entries = (
            Entry(part, kind, what, count, where)
            for (part, kind), found in self._found.items()
            for what, (count, where) in found.items()
        )
        return tuple(
            sorted(entries, key=lambda one: (PARTS.index(one.part), kinds.index(one.kind), -one.count, one.what))
        )


def alike(reason: str) -> str:
    r"""A reason without its figures and what it quotes, so that rows of the same fault are counted together.

    >>> alike("byte 4 (0xe9) is not UTF-8")
    'byte … (…) is not UTF-8'
    >>> alike("field 'a': 2,001 bytes are more than the 1,000 allowed")
    'field …: … bytes are more than the … allowed'
    """
    return VARYING.sub("…", reason)


def as_rows(entries: Iterable[Entry]) -> list[dict[str, JsonValue]]:
    """Entries as rows of schema ACCOUNT."""
    return [
        {"part": one.part, "kind": one.kind.value, "what": one.what, "count": one.count, "where": one.where}
        for one in entries
    ]


def of_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """The entries that rows of schema ACCOUNT hold; of kinds that this version does not know there are none."""
    kinds = {kind.value: kind for kind in Kind}
    return tuple(
        Entry(row["part"], kinds[row["kind"]], row["what"], row["count"], row["where"])
        for row in rows
        if row["kind"] in kinds
    )


def totals(entries: Iterable[Entry]) -> dict[str, dict[str, int]]:
    """How often each kind was met, by part: what a manifest keeps of an account."""
    summed: dict[str, dict[str, int]] = {}
    for one in entries:
        of_part = summed.setdefault(one.part, {})
        key = f"{one.kind.value}: {one.what}" if one.kind is Kind.SIZE else one.kind.value
        of_part[key] = of_part.get(key, 0) + one.count
    return summed
