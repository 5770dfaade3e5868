"""Documents of sources that are no files here: what is kept of them is brought up to date, and read like files."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightrank.storage.records import BadRow, Document
from nightrank.storage.sources.gather import gather
from nightrank.storage.sources.kept import Kept, forget_places, kept_places
from nightrank.tasks.read.account import Account, Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.lines import too_large
from nightrank.tasks.read.sources.objects import kept_files, wanted_keys
from nightrank.tasks.read.suffixes import suffix_of
from nightrank.tasks.read.tables.documents import documents_of
from nightrank.tasks.read.tables.row import Row
from nightrank.tasks.read.values import fields_and_left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nightrank.storage.sources.database import Database
    from nightrank.storage.sources.kept import Keeping
    from nightrank.tasks.read.folder.find import SourceFile
    from nightrank.tasks.read.sources.open import Opened
    from nightrank.tasks.read.tables.documents import DocumentTable
    from nightrank.tasks.settings.inputs import DocumentsSettings

WENT = "removed while the source was read"
ID = "_id"


def read_listed(
    opened: Opened,
    settings: DocumentsSettings,
    table: DocumentTable,
    *,
    read_files: Callable[[Iterable[SourceFile]], Iterator[Document | BadRow]],
    keeping: Keeping,
    account: Account,
) -> Iterator[Document | BadRow]:
    """The documents of a source that is listed and fetched.

    Args:
        opened: It; it is closed at the end.
        settings: ``[documents]``.
        table: How records are read.
        read_files: Reads files, as those of a folder.
        keeping: What may be kept.
        account: Told what was taken for what.

    Raises:
        InputError: The source does not let us in, or holds nothing that can be read.
        MachineError: It fails, or its listing is short.
    """
    source, name, place, alone = opened
    with ExitStack() as stack:
        stack.enter_context(source)
        folder = keeping.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightrank-source-")))
        kept = stack.enter_context(Kept(folder / place, plain=_plain))
        stack.enter_context(kept.removed_if_damaged())
        is_folder = source.gives == "files" and alone is None
        choose = (lambda keys: wanted_keys(keys, settings, account=Account())) if is_folder else None
        came = gather(source, kept, name=name, choose=choose, suffix=suffix_of, sample=keeping.sample)
        if came.went:
            account.add("documents", Kind.SKIPPED, WENT, where=came.went[0], count=len(came.went))
        if is_folder:
            for _ in wanted_keys(kept.keys(), settings, account=account):
                pass  # the account is told of what is left out
        if source.gives == "files":
            rows = read_files(kept_files(kept, alone=alone))
        else:
            records = _records(kept, table, name=name)
            rows = documents_of(records, InputFile(Path(name), name, "documents", account), table)
        of_retracted: set[tuple[str, int]] = set()
        for row in rows:
            if isinstance(row, Document) and row.document_id in keeping.retracted:
                of_retracted.add((row.file, row.row))
            yield row
        if keeping.sample is None:
            places = {1 if alone is not None else row for _, row in of_retracted}
            kept.forget({file for file, _ in of_retracted} if is_folder else kept.keys_at(places))
            forget_others(keeping, place)


def read_query(database: Database, table: DocumentTable, *, name: str, account: Account) -> Iterator[Document | BadRow]:
    """The documents of a query, all of whose rows are read.

    Args:
        database: It is closed at the end.
        table: How rows are read.
        name: What the user calls it.
        account: Told what was taken for what.

    Raises:
        InputError: The query is refused, or its columns are none of documents.
    """
    with closing(database):
        columns = database.columns()
        table.columns.require(columns, name=f"The query of {name}")
        rows = (
            _row(number, dict(zip(columns, values, strict=True)), table, name=name)
            for number, values in enumerate(database.rows(), start=1)
        )
        yield from documents_of(rows, InputFile(Path(name), name, "documents", account), table)
        account.add("documents", Kind.FILE_READ, "query", where=name)


def newest_kept(folder: Path) -> float | None:
    """When the newest item of the source that was read last was modified, in seconds since the epoch; None if unknown.

    Args:
        folder: Where copies lie.
    """
    found = []
    for place in kept_places(folder):
        with Kept(place) as kept:
            found.append(kept.newest())
    return max((one for one in found if one is not None), default=None)


def _records(kept: Kept, table: DocumentTable, *, name: str) -> Iterator[Row | BadRow]:
    for number, (key, _, record, reason) in enumerate(kept.contents(), start=1):
        if record is None:
            yield BadRow(name, number, reason or "nothing is kept of it")
            continue
        values, left_out = record["values"], record["left_out"]
        if not table.columns.has_named("id", tuple(values)):
            values = {ID: key, **values}
        yield _bounded(Row(number, values, left_out or None), table, name=name)


def _row(number: int, values: Mapping[str, object], table: DocumentTable, *, name: str) -> Row | BadRow:
    try:
        fields, left_out = fields_and_left_out(values)
    except ValueError as error:
        return BadRow(name, number, str(error))
    return _bounded(Row(number, fields, left_out or None), table, name=name)


def _bounded(row: Row, table: DocumentTable, *, name: str) -> Row | BadRow:
    size_bytes = sum(len(value.encode()) for value in row.values.values() if isinstance(value, str))
    return row if size_bytes <= table.max_bytes else BadRow(name, row.number, too_large(size_bytes, table.max_bytes))


def _plain(fields: Mapping[str, object]) -> dict[str, Any]:
    """What is kept of a record, in JSON.

    Raises:
        ValueError: JSON cannot say it; the message is the reason.
    """
    values, left_out = fields_and_left_out(fields)
    return {"values": values, "left_out": left_out}


def forget_others(keeping: Keeping, place: str | None = None) -> None:
    """Remove what is kept of sources that the settings no longer name.

    Args:
        keeping: Where copies lie.
        place: Of the source that was read; None where nothing is kept of it.
    """
    if keeping.folder is not None and keeping.sample is None:
        forget_places(keeping.folder, but=place)
