"""What an account says to people: a few lines of what was read, and warnings where something looks like a mistake."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from nightrank.tasks.read.account import (
    CHARACTERS,
    LINKED,
    NO_COLLECTION,
    NO_READER,
    PARTS,
    UNREADABLE_FOLDER,
    WITH_TEXT,
    Kind,
)
from nightrank.tasks.read.suffixes import PAGE_SUFFIXES
from nightrank.tasks.read.tables.warned import warnings_of_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from nightrank.tasks.read.account import Entry, Part

SHOWN = 4  # different things of a kind that a line names
MOST_TITLES_ALONE = 0.5
MOST_SKIPPED, FEW_SKIPPED = 0.2, 5
LINES = {
    Kind.FILE_READ: "read",
    Kind.FILE_NOT_READ: "not read",
    Kind.FILE_EXCLUDED: "left out",
    Kind.FORM: "form",
    Kind.ENCODING: "written in",
    Kind.COLUMN_USED: "columns",
    Kind.COLUMN_GUESSED: "taken for",
    Kind.COLUMN_KEPT: "metadata",
    Kind.COLUMN_IGNORED: "ignored",
    Kind.SKIPPED: "skipped",
    Kind.MENDED: "mended",
    Kind.BAD_ROW: "bad rows",
    Kind.RETRACTED: "taken down",
    Kind.TITLE_ALONE: "with a title alone",
    Kind.LONG: "longer than the model reads",
    Kind.UNKNOWN_ID: "unknown ids",
}
NAMES_ALONE = (Kind.COLUMN_USED, Kind.COLUMN_GUESSED, Kind.COLUMN_KEPT, Kind.COLUMN_IGNORED)
"""Of these the names matter, and not how many rows have them."""
NO_TEXT = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico", ".bmp", ".tif", ".tiff"),
        *(".mp3", ".mp4", ".webm", ".mov", ".avi", ".wav", ".ogg", ".woff", ".woff2", ".ttf", ".otf", ".eot"),
        *(".css", ".scss", ".less", ".js", ".mjs", ".ts", ".jsx", ".tsx", ".map", ".py", ".ipynb", ".sh"),
        *(".zip", ".tar", ".tgz", ".7z", ".toml", ".yml", ".yaml", ".lock", ".cfg", ".ini", ".log", ".bak", ".pyc"),
        *(".sqlite", ".duckdb"),
    }
)
"""Suffixes of what stands beside pages and is none: told, and no reason for a warning."""


def lines_of(entries: Iterable[Entry]) -> list[tuple[Part, str]]:
    """What was read, a line for each part of the inputs of which there is something to say."""
    told: list[tuple[Part, str]] = []
    found = list(entries)
    for part in PARTS:
        clauses = []
        for kind, verb in LINES.items():
            of_kind = [entry for entry in found if entry.part == part and entry.kind is kind]
            if kind is Kind.ENCODING and {entry.what for entry in of_kind} <= {"UTF-8"}:
                continue
            if of_kind:
                clauses.append(f"{verb}: {_listed(of_kind, names_alone=kind in NAMES_ALONE)}")
        if clauses:
            told.append((part, "; ".join(clauses)))
    return told


def warnings_of(entries: Iterable[Entry]) -> list[str]:
    """What looks like a mistake in what was read, each with the first place and a remedy."""
    by_kind: dict[tuple[Part, Kind], list[Entry]] = defaultdict(list)
    found = list(entries)
    for entry in found:
        by_kind[entry.part, entry.kind].append(entry)

    def of(part: Part, kind: Kind) -> Sequence[Entry]:
        return by_kind.get((part, kind), ())

    checks: tuple[Callable[[Callable[[Part, Kind], Sequence[Entry]]], list[str]], ...] = (
        _not_read,
        _mixed,
        _without_text,
        _skipped,
        _unknown,
    )
    return [*(warning for check in checks for warning in check(of)), *warnings_of_tables(found)]


def _not_read(of: Callable[[Part, Kind], Sequence[Entry]]) -> list[str]:
    told = []
    not_read = of("documents", Kind.FILE_NOT_READ)
    own = (NO_COLLECTION, NO_READER, UNREADABLE_FOLDER, LINKED)
    others = [entry for entry in not_read if entry.what not in own and entry.what not in NO_TEXT]
    if others:
        told.append(
            f"{_files(others)} not read: {_listed(others)} (the first: {others[0].where}). "
            "Write them in a format that is read, or name them in [documents].exclude."
        )
    for entry in not_read:
        if entry.what in (NO_COLLECTION, NO_READER, UNREADABLE_FOLDER):
            also = f" (and {entry.count - 1:,} more)" if entry.count > 1 else ""
            what = f"{entry.where} cannot be read" if entry.what == UNREADABLE_FOLDER else entry.where.rstrip(".")
            told.append(f"Not read, as it gives no document{also}: {what}. Mend it, or name it in [documents].exclude.")
    logs = of("queries", Kind.FILE_NOT_READ)
    if logs:
        told.append(f"Of the query log {_files(logs)} not read: {_listed(logs)} (the first: {logs[0].where}).")
    return told


def _mixed(of: Callable[[Part, Kind], Sequence[Entry]]) -> list[str]:
    read = of("documents", Kind.FILE_READ)
    pages = [entry for entry in read if entry.what in PAGE_SUFFIXES]
    tables = [entry for entry in read if entry.what not in PAGE_SUFFIXES]
    if not pages or not tables:
        return []
    count, beside = _count(tables), _count(pages)
    verb = "1 table was" if count == 1 else f"{count:,} tables were"
    others = "1 page" if beside == 1 else f"{beside:,} pages"
    return [
        f"{verb} read beside {others}, each row as a document (the first: {tables[0].where}). Where that is not meant, "
        "name them in [documents].exclude."
    ]


def _without_text(of: Callable[[Part, Kind], Sequence[Entry]]) -> list[str]:
    alone = _count(of("documents", Kind.TITLE_ALONE))
    documents = alone + _count(of("documents", Kind.SIZE), {WITH_TEXT})
    if not alone or alone < MOST_TITLES_ALONE * documents:
        return []
    return [
        f"{alone:,} of {documents:,} documents have a title and no text (the first: "
        f"{of('documents', Kind.TITLE_ALONE)[0].where}). Say in [documents.columns] which column is the text."
    ]


def _skipped(of: Callable[[Part, Kind], Sequence[Entry]]) -> list[str]:
    skipped = of("documents", Kind.SKIPPED)
    documents = _count(of("documents", Kind.SIZE), {WITH_TEXT}) + _count(of("documents", Kind.TITLE_ALONE))
    count = _count(skipped)
    if count <= FEW_SKIPPED or count < MOST_SKIPPED * (count + documents):
        return []
    return [
        f"{count:,} of {count + documents:,} documents were skipped: {_listed(skipped)} (the first: "
        f"{skipped[0].where}). Check that the source is whole."
    ]


def _unknown(of: Callable[[Part, Kind], Sequence[Entry]]) -> list[str]:
    told = []
    for entry in of("judgments", Kind.UNKNOWN_ID):
        if entry.what.startswith("documents"):
            words = "1 judged document is" if entry.count == 1 else f"{entry.count:,} judged documents are"
            hint = entry.what.removeprefix("documents")
            told.append(f"{words} not in the collection, such as {entry.where}{hint}; measures count them as missed.")
    return told


def _files(entries: Collection[Entry]) -> str:
    count = _count(entries)
    return "1 file was" if count == 1 else f"{count:,} files were"


def _count(entries: Iterable[Entry], whats: Collection[str] | None = None) -> int:
    return sum(entry.count for entry in entries if whats is None or entry.what in whats)


def _listed(entries: Sequence[Entry], *, names_alone: bool = False) -> str:
    shown = [entry.what if names_alone else f"{entry.count:,} {entry.what}" for entry in entries[:SHOWN]]
    more = len(entries) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def files_read(entries: Iterable[Entry]) -> int:
    """How many files of the source were read."""
    return _count(entry for entry in entries if entry.part == "documents" and entry.kind is Kind.FILE_READ)


def characters_of(entries: Iterable[Entry], kind: Literal[Kind.SIZE, Kind.RETRACTED] = Kind.SIZE) -> tuple[int, int]:
    """How many documents have a text, and how many characters all texts have; 0 where the account does not say.

    Args:
        entries: Of the account.
        kind: Of what is kept, or of what was taken down.
    """
    size = {entry.what: entry.count for entry in entries if entry.kind is kind and entry.part == "documents"}
    return size.get(WITH_TEXT, 0), size.get(CHARACTERS, 0)
