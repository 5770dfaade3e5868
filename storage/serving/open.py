"""From an address to what writes or reads there; a client library is loaded where its server is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.serving.address import SUFFIXES, parse_address
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.export import needs
from nightrank.storage.serving.file.target import FileFormat, FileTarget, NotOurs
from nightrank.storage.workspace.open import is_address

if TYPE_CHECKING:
    from datetime import datetime

    from nightrank.storage.serving.address import Address, TargetKind
    from nightrank.storage.serving.export import Target
    from nightrank.storage.serving.reader import ResultsReader

NAME = "nightrank"


def target_at(address: Address, *, name: str, grace_seconds: int, now: datetime, token: str) -> Target:
    """What writes to an address.

    Args:
        address: The address.
        name: Of the key space or of the view on a server.
        grace_seconds: How long what was replaced stays on a server.
        now: When the export began.
        token: That no other export has.

    Raises:
        InputError: A package that it needs is not installed.
    """
    if address.kind == "redis":
        with needs("redis", extra="redis", target=address.shown):
            from nightrank.storage.serving.redis import RedisTarget
        return RedisTarget(address, name=name, grace_seconds=grace_seconds, token=token)
    if address.kind == "postgres":
        with needs("psycopg", extra="postgres", target=address.shown):
            from nightrank.storage.serving.postgres import PostgresTarget
        return PostgresTarget(address, name=name, grace_seconds=grace_seconds)
    return FileTarget(address.path, _format(address.kind), now)


def open_results(where: str | Path, *, name: str = NAME) -> ResultsReader:
    """Open published results for look-ups, wherever they are.

    Args:
        where: A workspace (a folder, or an address such as ``s3://bucket/prefix``, of which a copy is kept here), an
            exported file, or the URL of a server, as ``nightrank export --to`` takes it;
            ``${NAME}`` in place of a password stands for a variable of the environment.
        name: The name that the export had on a server.

    Raises:
        InputError: Nothing has been published or exported there.
        TargetUnreachable: The server does not answer.
    """
    text = str(where)
    if is_address(text) or ("://" not in text and Path(text).suffix.lower() not in SUFFIXES):
        return SearchCache.open(where)
    address = parse_address(text, base=Path.cwd())
    if address.kind == "redis":
        with needs("redis", extra="redis", target=address.shown):
            from nightrank.storage.serving.redis import RedisReader
        return RedisReader(address, name=name)
    if address.kind == "postgres":
        with needs("psycopg", extra="postgres", target=address.shown):
            from nightrank.storage.serving.postgres import PostgresReader
        return PostgresReader(address, name=name)
    try:
        return _format(address.kind).open(address.path)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {address.path}.", remedy="Run `nightrank export` first.") from error
    except (NotOurs, OSError) as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        message = f"{address.path} was not written by an export."
        raise InputError(message, remedy="Run `nightrank export`, or open another file.") from error


def _format(kind: TargetKind) -> FileFormat:
    if kind == "parquet":
        from nightrank.storage.serving.file import parquet as parquet_file

        return FileFormat(parquet_file.write, parquet_file.ParquetReader)
    from nightrank.storage.serving.file import sqlite as sqlite_file

    return FileFormat(sqlite_file.write, sqlite_file.SqliteReader)
