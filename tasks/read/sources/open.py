"""Sources that are no files here, opened as settings name them."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.bucket.store import StoreOptions
from nightrank.storage.errors import InputError
from nightrank.storage.keys import digest
from nightrank.storage.serving.address import parse_address
from nightrank.storage.sources.bucket import BucketSource
from nightrank.storage.sources.database import Key, QuerySource
from nightrank.storage.sources.database_file import database_file
from nightrank.storage.sources.installed import installed_source
from nightrank.tasks.read.sources.kind import SourceKind, connector_of, kind_of
from nightrank.tasks.read.suffixes import suffix_of
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.names import DOCUMENTS

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.sources.database import Database
    from nightrank.storage.sources.source import Source
    from nightrank.tasks.settings.inputs import DocumentsSettings


class Opened(NamedTuple):
    """A source that is listed and fetched.

    Attributes:
        source: It.
        name: What it is called in messages and for rows; there is no password in it.
        place: By which what is kept of it is found; another source, or another query, has another.
        alone: Its name, where it is one file.
    """

    source: Source
    name: str
    place: str
    alone: str | None = None


def open_listed(settings: DocumentsSettings, *, base: Path, workspace: str | None = None) -> Opened | None:
    """The source that settings name, where it is one that is listed and fetched; None for any other.

    Args:
        settings: ``[documents]``.
        base: The folder that the settings' paths are relative to.
        workspace: Its name: what lies there is none of the source.

    Raises:
        InputError: It cannot be opened as it is named.
        MachineError: It does not answer, or its package fails.
    """
    kind = kind_of(settings, base=base)
    if kind is SourceKind.BUCKET:
        return _bucket(settings, workspace=workspace)
    if kind is SourceKind.CONNECTOR:
        source = installed_source(*connector_of(settings.source))
        return Opened(source, settings.source, digest("connector", settings.source))
    if settings.cursor is None or settings.query is None:
        return None
    database, name = open_database(settings, base=base)
    try:
        key = Key(_id_column(database, settings, name=name), settings.cursor)
    except BaseException:
        database.close()
        raise
    place = digest("query", name, settings.query, *key)
    return Opened(QuerySource(database, key, name=name), name, place)


def open_database(settings: DocumentsSettings, *, base: Path) -> tuple[Database, str]:
    """The database that a query is asked of, and what it is called, without a password.

    Raises:
        InputError: It is not there, or the package for it is not installed.
    """
    query = settings.query
    assert query is not None
    if kind_of(settings, base=base) is SourceKind.SERVER:
        try:
            from nightrank.storage.sources.postgres import PostgresQuery
        except ImportError as error:
            raise InputError(
                "The source is a Postgres database, and psycopg, which reads such, is not installed.",
                remedy='Install it: pip install "nightrank[postgres]".',
            ) from error
        address = parse_address(settings.source, base=base)
        return PostgresQuery(address, query, max_seconds=settings.max_query_seconds), address.shown
    path = base / settings.source
    if path.is_dir() or not (path.exists() or glob.glob(str(path), recursive=True)):  # noqa: PTH207  # path may be absolute
        raise InputError(
            f"{settings.source} is no file that a query can be asked of (looked for {path}).",
            remedy="Name a database of DuckDB or SQLite, or a file or glob of Parquet, CSV or JSON.",
        )
    return database_file(path, query, name=settings.source), settings.source


def _bucket(settings: DocumentsSettings, *, workspace: str | None) -> Opened:
    store = settings.store
    options = StoreOptions(
        endpoint=store.endpoint, region=store.region, allow_http=store.allow_http, retry_seconds=store.retry_seconds
    )
    named = settings.source
    scheme, _, place = named.partition("://")
    url = f"{scheme}://{place.strip('/')}"
    if not place.strip("/"):
        raise InputError(f"{named} names no bucket.", remedy=f"Write {scheme}://bucket/prefix/.")
    key = digest("bucket", url, store.endpoint or "", "/" if named.endswith("/") else "")
    folder, slash, name = url.rpartition("/")
    if not named.endswith("/") and slash and folder.count("/") > 1 and suffix_of(name):
        return Opened(BucketSource(folder, options, only=name), named, key, alone=named)
    inside = None
    if workspace is not None and workspace.rstrip("/").startswith(f"{url}/"):
        inside = workspace.rstrip("/").removeprefix(f"{url}/")
    return Opened(BucketSource(url, options, without=inside), named, key)


def _id_column(database: Database, settings: DocumentsSettings, *, name: str) -> str:
    columns, found = Columns(DOCUMENTS, settings.columns.chosen), database.columns()
    columns.require(found, name=f"The query of {name}")
    return columns.taken(found).columns["id"][0]
