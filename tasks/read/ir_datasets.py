"""Documents of a collection that the package ``ir-datasets`` knows by its id (the extra ``ir-datasets``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Kind, Skipped
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.lines import too_large
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.documents import DocumentTable, document_from
from nightrank.tasks.read.tables.names import DOCUMENTS
from nightrank.tasks.read.tables.row import Row
from nightrank.tasks.read.tables.usage import Usage
from nightrank.tasks.read.values import fields_and_left_out, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.tasks.read.account import Account

PREFIX = "ir_datasets:"


def read_ir_dataset(source: str, *, max_bytes: int, account: Account) -> Iterator[Document | BadRow]:
    """The documents of ``ir_datasets:<id>``, in the collection's order; rows are counted from 1.

    A collection whose documents have a field ``text`` gives its fields as a table would: ``title`` and ``text``, the
    rest as metadata. Of any other, the package's own default text is the text, and nothing is metadata.

    Args:
        source: The id with its prefix.
        max_bytes: A document with more bytes of title and text is a bad row.
        account: Told which documents were skipped.

    Raises:
        InputError: The package is not installed, does not know the id, or the collection has no documents.
        MachineError: The collection cannot be downloaded or read.
    """
    try:
        import ir_datasets
    except ImportError as error:
        raise InputError(
            f"{source}: the package ir-datasets, which gives such collections, is not installed.",
            remedy='Install it: pip install "nightrank[ir-datasets]".',
        ) from error
    try:
        dataset = ir_datasets.load(source.removeprefix(PREFIX))
    except KeyError as error:
        raise InputError(
            f"{source}: ir-datasets knows no such collection.", remedy="Choose one with: ir_datasets list."
        ) from error
    if not dataset.has_docs():
        raise InputError(
            f"{source}: the collection has no documents of its own.", remedy="Name the collection that it refers to."
        )
    usage = Usage(InputFile(Path(source), source, "documents", account), rest=Kind.COLUMN_KEPT)
    table = DocumentTable(Columns(DOCUMENTS, {}), max_bytes)
    try:
        for row, found in enumerate(dataset.docs_iter(), start=1):
            try:
                yield _document(found, table, usage, source=source, row=row)
            except Skipped as skipped:
                account.add("documents", Kind.SKIPPED, skipped.reason, where=f"{source}, row {row}")
        usage.tell()
    except (OSError, RuntimeError) as error:
        raise MachineError(
            f"{source}: the collection cannot be fetched ({shown(str(error))}).",
            remedy="Check the network, or put the files where ir-datasets looks for them (IR_DATASETS_HOME).",
        ) from error


def _document(found: object, table: DocumentTable, usage: Usage, *, source: str, row: int) -> Document | BadRow:
    fields: dict[str, object] = dict(found._asdict()) if hasattr(found, "_asdict") else {}
    document_id = fields.pop("doc_id", getattr(found, "doc_id", None))
    if "text" not in fields:
        fields = {"text": found.default_text()}  # type: ignore[attr-defined]  # every document of the package has it
    try:
        values = fields_and_left_out({"_id": document_id, **fields})
        document = document_from(Row(row, *values), table, name=source, usage=usage)
    except ValueError as error:
        return BadRow(source, row, str(error))
    size_bytes = len(document.title.encode()) + len(document.text.encode())
    is_too_large = size_bytes > table.max_bytes
    return BadRow(source, row, too_large(size_bytes, table.max_bytes)) if is_too_large else document
