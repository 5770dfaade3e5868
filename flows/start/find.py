"""Which files here are documents, which a query log, which judgments: by names, and by what readers make of them."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.folder.find import find_files
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.read.sources.tables import CALLED_SO as DOCUMENTS
from nightrank.tasks.read.sources.tables import is_database, query_for
from nightrank.tasks.read.suffixes import page_suffix, table_suffix
from nightrank.tasks.settings.inputs import DocumentsSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CORPUS = re.compile(r"corpus\.jsonl(?:\.\w+)?")
LOGS = re.compile(r"quer|(?<!re)search|topics|keyword|(?:^|[_.-])logs?(?:[_.-]|$)", re.I)
# Any text can be read as a log, a query a line; so it must be called one, and not "git-log" or "search-guide".
TEXT_LOGS = re.compile(
    r"(?:.*[_.-])?(?:quer(?:y|ies)|searches|topics|keywords?|(?:quer(?:y|ies)|search)[_-]?logs?)\.txt", re.I
)
JUDGMENTS = re.compile(r"qrel|judg", re.I)
JUDGMENT_SUFFIXES = (".tsv", ".txt", ".csv", ".jsonl", ".parquet", ".qrels")
FOLDERS = ("docs", "doc", "documentation", "documents", "content", "pages", "articles", "posts", "corpus", "collection")
LOG_FOLDERS = ("logs", "log", "queries", "searches")
SPLITS = ("test", "dev", "valid", "train")  # of judgments, the one that is most for measuring first
FIRST = 20  # rows of a table that are tried


def find_source(folder: Path) -> str | None:
    """What is likeliest the collection where somebody stands; None where nothing there can be read.

    A folder in BEIR's layout, a table that is called a collection, a folder that is called so, any other table of
    documents, the pages that lie around: the first that there is.
    """
    names = _names(folder)
    tables = [name for name in names if table_suffix(name) and (folder / name).is_file() and not _is_beside(name)]
    corpora = [name for name in names if CORPUS.fullmatch(name)]
    beir = [name for name in names if any(map(CORPUS.fullmatch, _names(folder / name)))]
    called_so = [name for name in tables if DOCUMENTS.search(name)]
    folders = [name for wanted in FOLDERS for name in names if name.lower() == wanted and (folder / name).is_dir()]
    others = [name for name in tables if name not in called_so]
    databases = [name for name in names if is_database(name, base=folder) and (folder / name).is_file()]
    likely = (*corpora, *beir, *called_so, *folders, *others, *databases, ".")
    found = (name for name in likely if gives_documents(folder, name))
    return next(found, None)


def gives_documents(folder: Path, source: str) -> bool:
    """Whether a source gives a document; of tables the first rows tell."""
    settings = DocumentsSettings(source=as_source(folder, source))
    try:
        if is_database(source, base=folder):
            return query_for(settings, base=folder) is not None
        if (folder / source).is_file():
            rows = itertools.islice(read_documents(settings, base=folder, account=Account()), FIRST)
            return any(hasattr(row, "document_id") for row in rows)
        files = find_files(settings, base=folder, named={}, account=Account())
        return any(page_suffix(file.name) or not _is_beside(Path(file.name).name) for file in files)
    except InputError:
        return False


def possible_logs(folder: Path, source: str) -> Iterator[str]:
    """Files and folders that are called like a query log, the likeliest first."""
    for place in _beside(folder, source):
        names = [name for name in _names(folder / place) if not JUDGMENTS.search(name)]
        files = [name for name in names if (folder / place / name).is_file() and _may_be_log(name)]
        yield from (
            _joined(place, name) for name in sorted(files, key=lambda name: (not name.startswith("quer"), name))
        )
        yield from (_joined(place, name) for name in names if name.lower() in LOG_FOLDERS)


def possible_judgments(folder: Path, source: str) -> Iterator[str]:
    """Files that are called like judgments, those that are most for measuring first."""
    for place in _beside(folder, source):
        here = [_joined(place, name) for name in _names(folder / place) if JUDGMENTS.search(name)]
        files = [name for name in here if (folder / name).is_file()]
        inside = [_joined(name, one) for name in here if (folder / name).is_dir() for one in _names(folder / name)]
        yield from sorted((name for name in (*files, *inside) if _may_be_judgments(name)), key=_split_of)


def as_source(folder: Path, name: str) -> str:
    """A name as the settings call it: relative where it lies below the folder, and never taken for a word of theirs."""
    path = Path(name)
    if path.is_absolute() and path.is_relative_to(folder):
        name = path.relative_to(folder).as_posix()
    is_a_word = name == "none" or name.startswith("ir_datasets:")
    return f"./{name}" if is_a_word and (folder / name).exists() else name


def _beside(folder: Path, source: str) -> Iterable[str]:
    """Where logs and judgments may lie: here, and in the source's folder where it is one in BEIR's layout."""
    inside = folder / source
    is_beir = source != "." and inside.is_dir() and any(map(CORPUS.fullmatch, _names(inside)))
    return (source, ".") if is_beir else (".",)


def _names(folder: Path) -> list[str]:
    """What is in a folder, hidden files aside, sorted; nothing where it is none or cannot be read."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 (names alone)
    except OSError:
        return []


def _joined(place: str, name: str) -> str:
    return name if place == "." else f"{place.rstrip('/')}/{name}"


def _is_beside(name: str) -> bool:
    """Whether a table is called as what stands beside a collection."""
    return bool(JUDGMENTS.search(name) or LOGS.search(name)) and not CORPUS.fullmatch(name)


def _may_be_log(name: str) -> bool:
    return bool(TEXT_LOGS.fullmatch(name) or (LOGS.search(name) and table_suffix(name)))


def _may_be_judgments(name: str) -> bool:
    return name.lower().endswith(JUDGMENT_SUFFIXES)


def _split_of(name: str) -> tuple[int, str]:
    last = name.rsplit("/", 1)[-1].lower()
    return next((place for place, split in enumerate(SPLITS) if split in last), len(SPLITS)), name
