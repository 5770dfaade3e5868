"""What files hold, as far as a settings file depends on it: a sample of the documents, the log, the judgments."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import BadRow
from nightrank.storage.sources.kept import Keeping
from nightrank.tasks.document_queries.languages import language_of
from nightrank.tasks.query_log.file.find import read_log
from nightrank.tasks.query_log.near_form import near_form
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.sizes import add_sizes, add_titles_alone
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.read.sources.kind import is_fetched
from nightrank.tasks.read.sources.tables import query_for
from nightrank.tasks.read.told import files_read, warnings_of
from nightrank.tasks.settings.inputs import DocumentsSettings, QueriesSettings
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MOST_DOCUMENTS, MOST_SECONDS = 2000, 20.0  # that are read to know a collection
MOST_FETCHED = 300  # items of a bucket or a connector, each a request
MOST_ROWS = 200_000  # of a log
MOST_JUDGED_BYTES = 100_000_000
LEAST_GOOD = 0.5  # of a log's rows


@dataclass(frozen=True, slots=True)
class DocumentsSeen:
    """A sample of a collection, from its beginning.

    Attributes:
        count: Documents in it.
        is_whole: Whether that is all there is.
        ids: Theirs.
        languages: How many are in each language, by its name; those whose words tell.
        warnings: What looks like a mistake.
        query: That gives them, where the source is a database.
        may_be_cursor: The column that is called as one whose value changes whenever the row does.
    """

    count: int
    is_whole: bool
    ids: frozenset[str]
    languages: Mapping[str, int]
    warnings: tuple[str, ...]
    query: str | None = None
    may_be_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LogSeen:
    """A log, or its beginning.

    Attributes:
        name: Of its file, folder or glob.
        rows: That can be used.
        distinct: Near forms of its queries.
        is_whole: Whether that is all there is.
        ids: Of its queries.
    """

    name: str
    rows: int
    distinct: int
    is_whole: bool
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class JudgmentsSeen:
    """Judgments of a log's queries, and how many of these are judged."""

    name: str
    judgments: int
    queries: int


def settings_of(source: str) -> DocumentsSettings:
    """``[documents]`` with a source, and all else by default.

    Raises:
        InputError: It cannot be one; the message does not show it, for there may be a password in it.
    """
    try:
        return DocumentsSettings(source=source)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"The source cannot be named so: {said}.", remedy="Write it so.") from None


def see_documents(folder: Path, source: str, *, left_out: frozenset[Path] = frozenset()) -> DocumentsSeen:
    """Read a sample of a collection.

    Args:
        folder: That paths are relative to.
        source: As the settings name it.
        left_out: Files that are a log or judgments.

    Raises:
        InputError: It cannot be read, or holds no document.
    """
    account, ids, languages, good, seen = Account(), set[str](), Counter[str](), 0, 0
    with_text, characters, alone = 0, 0, list[tuple[str, int]]()
    named = dict.fromkeys(left_out, "log or judgments")
    settings = settings_of(source)
    query = None if settings.query is not None else query_for(settings, base=folder)
    if query is not None:
        settings = settings.model_copy(update={"query": query.text})
    keeping = Keeping(sample=MOST_FETCHED)
    rows = read_documents(settings, base=folder, account=account, named=named, keeping=keeping)
    until, is_whole = time.monotonic() + MOST_SECONDS, True
    for row in rows:
        if len(ids) >= MOST_DOCUMENTS or time.monotonic() > until:
            is_whole = False
            break
        seen += 1
        if isinstance(row, BadRow):
            continue
        good += 1
        ids.add(row.document_id)
        if text := row.text.strip():
            with_text, characters = with_text + 1, characters + len(text)
        else:
            alone.append((row.file, row.row))
        if (language := language_of(f"{row.title}\n{row.text}", declared=row.language)) is not None:
            languages[language] += 1
    if not good:
        raise InputError(
            f"{source} holds no document that can be read.", remedy="Name another: `nightrank init SOURCE`."
        )
    add_sizes(account, with_text, characters)
    if alone:
        add_titles_alone(account, len(alone), first=min(alone))
    if is_fetched(settings, base=folder):
        is_whole = is_whole and max(files_read(account.entries()), seen) < MOST_FETCHED
    return DocumentsSeen(
        good,
        is_whole,
        frozenset(ids),
        dict(languages.most_common()),
        tuple(warnings_of(account.entries())),
        None if query is None else query.text,
        None if query is None else query.may_be_cursor,
    )


def see_log(folder: Path, name: str) -> LogSeen:
    """Read a log, or its beginning.

    Raises:
        InputError: It is none.
    """
    forms, ids, rows, bad = set[str](), set[str](), 0, 0
    read = read_log(QueriesSettings(log=name), base=folder, salt=b"", account=Account())
    for row in itertools.islice(read, MOST_ROWS):
        if isinstance(row, BadRow):
            bad += 1
            continue
        rows += 1
        forms.add(near_form(normalise_query(row.text)))
        if row.query_id is not None:
            ids.add(row.query_id)
    if rows == 0 or rows < LEAST_GOOD * (rows + bad):
        raise InputError(
            f"{name} is no query log: {bad:,} of {rows + bad:,} rows cannot be read.", remedy="Name another."
        )
    return LogSeen(name, rows, len(forms), rows + bad < MOST_ROWS, frozenset(ids))


def see_judgments(folder: Path, name: str, *, log: LogSeen, documents: DocumentsSeen) -> JudgmentsSeen:
    """Read judgments.

    Raises:
        InputError: They are none, or of other queries or documents.
    """
    path = folder / name
    if path.is_file() and path.stat().st_size > MOST_JUDGED_BYTES:
        raise InputError(f"{name} is too large to be looked at here.", remedy="Name it as [judgments].qrels yourself.")
    found = read_judgments(path, name=name, account=Account())
    judged = {judgment.query_id for judgment in found} & log.ids
    if not judged:
        raise InputError(f"{name} judges none of the queries of {log.name}.", remedy="Name another.")
    if documents.is_whole and not any(judgment.document_id in documents.ids for judgment in found):
        raise InputError(f"{name} judges none of these documents.", remedy="Name another.")
    return JudgmentsSeen(name, len(found), len(judged))
