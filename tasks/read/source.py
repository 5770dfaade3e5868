"""Documents from whatever ``[documents].source`` names: a folder, a file, a glob, a bucket, a database, a connector.

Hands each file to the reader of its format. What a format holds is the readers' to say, whether an id occurs twice
the store's. One file among many never ends a night: what cannot be read is told, and set aside.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Document
from nightrank.storage.sources.kept import KEEPING_NOTHING
from nightrank.tasks.read.account import NO_COLLECTION, NO_READER, Kind
from nightrank.tasks.read.declared import language_of_fields
from nightrank.tasks.read.folder.find import find_files
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.ir_datasets import read_ir_dataset
from nightrank.tasks.read.pages import read_page
from nightrank.tasks.read.sources.kind import SourceKind, kind_of
from nightrank.tasks.read.sources.read import forget_others, read_listed, read_query
from nightrank.tasks.read.suffixes import table_suffix
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.documents import DocumentTable, read_table
from nightrank.tasks.read.tables.names import DOCUMENTS
from nightrank.tasks.runtime.bounded import BoundedProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from nightrank.storage.sources.kept import Keeping
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.read.folder.find import SourceFile
    from nightrank.tasks.runtime.bounded import Call
    from nightrank.tasks.settings.inputs import DocumentsSettings

NOTHING_NAMED: Mapping[Path, str] = MappingProxyType({})


def read_documents(
    settings: DocumentsSettings,
    *,
    base: Path,
    account: Account,
    named: Mapping[Path, str] = NOTHING_NAMED,
    keeping: Keeping = KEEPING_NOTHING,
) -> Iterator[Document | BadRow]:
    """The documents of a source, in an order that is the same each time, in memory that does not grow with them.

    * A folder is read with all folders below it, sorted by name. Hidden files, files of other formats, symbolic
      links to folders, those to files outside, and what ``include`` and ``exclude`` leave out are skipped, and so
      are files that the settings name for something else.
    * A glob is read likewise; ``**`` stands for any number of folders. Paths are relative to the folder before the
      first wildcard.
    * A page is one document whose id is its path, relative to the folder, with ``/``. A table holds one a row. In a
      folder, a table that gives no document at all is set aside.
    * Folders named ``key=value`` give the documents below them a field, unless a document has it itself; one named
      ``lang`` or ``language`` says their language.
    * A prefix of a bucket is read as a folder with the same files would be.
    * A query gives a document a row, as a table does; so does a connector that gives records.

    Args:
        settings: ``[documents]`` of the settings file.
        base: The folder that a relative source is relative to.
        account: Told which files were read and which not, and what was taken for what.
        named: Files that the settings name for other things, as ``files_named`` has them.
        keeping: What may be kept of a source that is fetched, so that next time only changes are.

    Yields:
        Each document; in the place of one that cannot be used, a ``BadRow`` with the reason.

    Raises:
        InputError: While it is read: there is no such file, none of a format that is supported, or no document at
            all, or the only file, or a table behind its first document, cannot be read.
    """
    source, kind = settings.source, kind_of(settings, base=base)
    if kind is SourceKind.IR_DATASETS:
        documents = read_ir_dataset(source, max_bytes=settings.max_document_bytes, account=account)
    elif kind is SourceKind.FILES:
        files = find_files(settings, base=base, named=named, account=account)
        documents = _bounded(settings, lambda call: _read_bounded(files, settings, call, account=account))
    else:
        documents = _bounded(
            settings, lambda call: _read_remote(settings, call, base=base, keeping=keeping, account=account)
        )
    is_empty = True
    for document in documents:
        is_empty = False
        yield document
    if kind in {SourceKind.FILES, SourceKind.IR_DATASETS} or (settings.query is not None and settings.cursor is None):
        forget_others(keeping)  # nothing is kept of such a source
    if is_empty:
        raise InputError(f"{source} holds no document.", remedy="Check [documents].source.")


def _bounded(
    settings: DocumentsSettings, read: Callable[[Call], Iterator[Document | BadRow]]
) -> Iterator[Document | BadRow]:
    with BoundedProcess(seconds=settings.max_document_seconds, setting="documents.max_document_seconds") as call:
        yield from read(call)


def _read_remote(
    settings: DocumentsSettings, call: Call, *, base: Path, keeping: Keeping, account: Account
) -> Iterator[Document | BadRow]:
    from nightrank.tasks.read.sources.open import open_database, open_listed  # what they need loads clients

    table = _table(settings, call)
    opened = open_listed(settings, base=base, workspace=keeping.workspace)
    if opened is None:
        database, name = open_database(settings, base=base)
        return read_query(database, table, name=name, account=account)

    def read_files(files: Iterable[SourceFile]) -> Iterator[Document | BadRow]:
        return _read_bounded(files, settings, call, account=account)

    return read_listed(opened, settings, table, read_files=read_files, keeping=keeping, account=account)


def _table(settings: DocumentsSettings, call: Call) -> DocumentTable:
    return DocumentTable(
        Columns(DOCUMENTS, settings.columns.chosen), settings.max_document_bytes, settings.text_format, call
    )


def _read_bounded(
    files: Iterable[SourceFile], settings: DocumentsSettings, call: Call, *, account: Account
) -> Iterator[Document | BadRow]:
    table = _table(settings, call)
    first_fault: InputError | None = None
    is_empty = True
    for file in files:
        if file.fault:
            is_empty = False
            yield BadRow(file.name, 1, file.fault)
            continue
        given = 0
        try:
            for row in _rows_of(file, settings, table, account=account):
                given += isinstance(row, Document)
                is_empty = False
                yield _with_partitions(row, file, account)
        except InputError as fault:
            if file.is_alone or given:
                raise
            first_fault = first_fault or fault
            what = NO_COLLECTION if table_suffix(file.document_id) else NO_READER
            account.add("documents", Kind.FILE_NOT_READ, what, where=fault.message)
        else:
            account.add("documents", Kind.FILE_READ, file.suffix, where=file.name)
    if is_empty and first_fault is not None:
        raise first_fault


def _rows_of(
    file: SourceFile, settings: DocumentsSettings, table: DocumentTable, *, account: Account
) -> Iterator[Document | BadRow]:
    input_file = InputFile(file.path, file.name, "documents", account, settings.encoding)
    if table_suffix(file.document_id):
        return read_table(input_file, table)
    page = read_page(input_file, document_id=file.document_id, max_bytes=settings.max_document_bytes, call=table.call)
    return iter(() if page is None else (page,))


def _with_partitions(row: Document | BadRow, file: SourceFile, account: Account) -> Document | BadRow:
    if isinstance(row, BadRow) or not file.partitions:
        return row
    missing = {name: value for name, value in file.partitions.items() if name not in row.metadata}
    said = language_of_fields(missing)
    if said.told:
        account.add("documents", Kind.MENDED, said.told, where=f"{row.file}, row {row.row}")
    return replace(row, metadata={**row.metadata, **missing}, language=row.language or said.language)
