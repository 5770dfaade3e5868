"""Documents from whatever ``[documents].source`` names: a folder, a file, a glob, or an ``ir_datasets`` id.

Finds the files and hands each to the reader of its format. What a format holds is the readers' to say, whether an
id occurs twice the store's.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import Document
from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.ir_datasets import PREFIX, read_ir_dataset
from nightrank.tasks.read.lines import unreadable
from nightrank.tasks.read.pages import PAGE_SUFFIXES, page_suffix, read_page
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.documents import DocumentTable, read_table
from nightrank.tasks.read.tables.names import DOCUMENTS
from nightrank.tasks.read.tables.rows import TABLE_SUFFIXES, table_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nightrank.storage.records import BadRow
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.inputs import DocumentsSettings

SUPPORTED = ", ".join((*PAGE_SUFFIXES, *TABLE_SUFFIXES))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the source.

    Attributes:
        path: Where it is.
        name: What the user calls it: relative to the source's folder, or as the settings name it.
        document_id: The id of the document that it holds, where it is a page.
    """

    path: Path
    name: str
    document_id: str


def read_documents(settings: DocumentsSettings, *, base: Path, account: Account) -> Iterator[Document | BadRow]:
    """The documents of a source, in an order that is the same each time, in memory that does not grow with them.

    * A folder is read with all folders below it, sorted by name. Hidden files, files of other formats, symbolic
      links to folders, and those to files outside are skipped.
    * A glob is read likewise; ``**`` stands for any number of folders. Paths are relative to the folder before the
      first wildcard.
    * A page is one document whose id is its path, relative to the folder, with ``/``. A table holds one a row.

    Args:
        settings: ``[documents]`` of the settings file.
        base: The folder that a relative source is relative to.
        account: Told which files were read and which not, and what was taken for what.

    Yields:
        Each document; in the place of one that cannot be used, a ``BadRow`` with the reason.

    Raises:
        InputError: While it is read: there is no such file, none of a format that is supported, or no document at
            all, or a file as a whole cannot be read.
    """
    source = settings.source
    if source.startswith(PREFIX):
        documents = read_ir_dataset(source, max_bytes=settings.max_document_bytes, account=account)
    else:
        files = find_files(source, base=base, account=account)
        documents = _read_files(files, settings, account=account)
    is_empty = True
    for document in documents:
        is_empty = False
        if isinstance(document, Document) and not document.text.strip():
            account.add("documents", Kind.TITLE_ALONE, "documents", where=f"{document.file}, row {document.row}")
        yield document
    if is_empty:
        raise InputError(f"{source} holds no document.", remedy="Check [documents].source.")


def find_files(source: str, *, base: Path, account: Account) -> Iterator[SourceFile]:
    """The files that a source names, sorted.

    Args:
        source: As the settings name it.
        base: The folder that it is relative to.
        account: Told which files are read and which not, while they are gone through.

    Raises:
        InputError: There is none, or none of a format that is supported.
    """
    path = base / source
    try:
        is_folder, is_file, is_there = path.is_dir(), path.is_file(), path.exists()
    except OSError as error:
        raise unreadable(error, name=source) from error
    if is_folder:
        return _supported(_walked(path, path.resolve(), ""), folder=path, source=source, account=account)
    if is_file and suffix_of(path.name):
        account.add("documents", Kind.FILE_READ, suffix_of(path.name), where=source)
        return iter([SourceFile(path, source, path.name)])
    if is_there:
        raise InputError(
            f"{source} is not a file of a format that can be read.", remedy=f"Use one of {SUPPORTED}, or a folder."
        )
    if glob.has_magic(source):
        parts = Path(source).parts
        first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        folder = base.joinpath(*parts[:first])
        return _supported(_matched(folder, str(Path(*parts[first:]))), folder=folder, source=source, account=account)
    raise InputError(
        f"{source} does not exist (looked for {path}).",
        remedy="Correct [documents].source; it is relative to the settings file.",
    )


def _read_files(
    files: Iterable[SourceFile], settings: DocumentsSettings, *, account: Account
) -> Iterator[Document | BadRow]:
    max_bytes = settings.max_document_bytes
    table = DocumentTable(Columns(DOCUMENTS, settings.columns.chosen), max_bytes, settings.text_format)
    for file in files:
        if table_suffix(file.path.name):
            yield from read_table(InputFile(file.path, file.name, "documents", account, settings.encoding), table)
        else:
            page = read_page(
                file.path, name=file.name, document_id=file.document_id, max_bytes=max_bytes, account=account
            )
            if page is not None:
                yield page


def _supported(relative_paths: Iterable[str], *, folder: Path, source: str, account: Account) -> Iterator[SourceFile]:
    others: Counter[str] = Counter()
    is_empty = True
    for relative in relative_paths:
        printable = os.fsencode(relative).decode("utf-8", "replace")
        if suffix := suffix_of(relative):
            is_empty = False
            account.add("documents", Kind.FILE_READ, suffix, where=printable)
            yield SourceFile(folder / relative, printable, relative)
        else:
            other = Path(printable).suffix.lower() or "without a suffix"
            others[other] += 1
            account.add("documents", Kind.FILE_NOT_READ, other, where=printable)
    if is_empty:
        seen = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)) or "no file at all"
        raise InputError(f"{source} holds no file that can be read; found: {seen}.", remedy=f"Supported: {SUPPORTED}.")


def _walked(folder: Path, root: Path, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(error, name=str(folder)) from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walked(folder / entry.name, root, f"{prefix}{entry.name}/")
        elif entry.is_file() and (not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root)):
            yield prefix + entry.name


def _matched(folder: Path, pattern: str) -> Iterator[str]:
    root = folder.resolve()
    found = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207  # pathlib's does not skip hidden files
    for relative in sorted(set(found)):
        path = folder / relative
        is_below_a_link = path.parent.resolve() != root / Path(relative).parent
        if path.is_file() and not is_below_a_link and path.resolve().is_relative_to(root):
            yield Path(relative).as_posix()


def suffix_of(file_name: str) -> str:
    """The suffix that says how a file is read; empty where it is none that is supported."""
    return table_suffix(file_name) or page_suffix(file_name) or ""
