"""Whether a source has changed, asked without reading it: what a watcher asks every so often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.keys import unordered_digest
from nightrank.storage.sources.gather import translating
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.folder.find import find_files
from nightrank.tasks.read.sources.kind import SourceKind, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nightrank.tasks.read.folder.find import SourceFile
    from nightrank.tasks.settings.inputs import DocumentsSettings


def source_signature(
    settings: DocumentsSettings, *, base: Path, named: Mapping[Path, str], workspace: str | None = None
) -> str:
    """A text that is another one whenever the source has changed, for as little as that can be known.

    Of files it is made from their names, times and sizes; of a bucket from a listing, a request for a thousand
    objects; of a query by the database server, which sends one row; of a database in a file from its time and size; of
    a connector as it says. A data set of ir_datasets never changes. That it differs says no more than that a refresh is
    worth its while, which may find nothing to do. Nothing is kept.

    Args:
        settings: ``[documents]``.
        base: The folder that a relative source is relative to.
        named: Files that the settings name for other things, as ``files_named`` has them.
        workspace: Its name: what lies there is none of the source.

    Raises:
        InputError: There is no such source, or it does not let us in.
        MachineError: It does not answer.
    """
    kind = kind_of(settings, base=base)
    if kind is SourceKind.IR_DATASETS:
        return settings.source
    if kind is SourceKind.FILES:
        found = find_files(settings, base=base, named=named, account=Account())
        return unordered_digest(filter(None, map(_status_of, found)))
    from nightrank.tasks.read.sources.open import open_database, open_listed

    opened = open_listed(settings, base=base, workspace=workspace)
    if opened is not None:
        with opened.source as source, translating(opened.name):
            return source.signature()
    database, _ = open_database(settings, base=base)
    with database:
        return database.signature(None)


def _status_of(file: SourceFile) -> str:
    """What the system says of a file; empty where it went since it was found."""
    try:
        status = file.path.stat()
    except FileNotFoundError:
        return ""
    return f"{status.st_mtime_ns} {status.st_size} {file.document_id}"
