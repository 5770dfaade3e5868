"""The rows of a query: all of them in one stream, or by key those that a cursor column says have changed.

The query is the user's own, from the settings file; it stands as it is in a statement that reads and never writes.
What rows hold, keys among it, only ever enters statements as parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import InputError
from nightrank.storage.sources.source import Fetched, Listed, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BATCH_BYTES = 8 * 1024 * 1024
_FIRST, _MOST = 50, 5_000  # rows that are taken at once
SQLITE_SUFFIXES = (".sqlite", ".sqlite3", ".db3")
DUCKDB_SUFFIXES = (".duckdb", ".ddb")
EITHER = ".db"
DATABASE_SUFFIXES = (*SQLITE_SUFFIXES, *DUCKDB_SUFFIXES, EITHER)
PATTERN = "documents"
"""What the rows of the query are called in our statements, and a file that is one table in the user's query."""


class Key(NamedTuple):
    """The columns by which rows are known.

    Attributes:
        id: Of the ids.
        cursor: Of what changes whenever the row does.
    """

    id: str
    cursor: str


class Database(Closing, ABC):
    """A database, and the query that gives the documents; one view of it from the first statement to the last."""

    @abstractmethod
    def columns(self) -> list[str]:
        """The names of the query's columns."""

    @abstractmethod
    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Every row."""

    @abstractmethod
    def versions(self, key: Key) -> Iterator[tuple[str | None, str | None]]:
        """Id and cursor of every row, as texts."""

    @abstractmethod
    def rows_of(self, key: Key, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Id and cursor as texts, and then the columns, of the rows that have these ids."""

    @abstractmethod
    def tables(self) -> list[tuple[str, str, str]]:
        """Schema, table and column of all that is there, in order, whatever the query."""

    @abstractmethod
    def signature(self, key: Key | None) -> str:
        """Another text whenever a row is another one, or its cursor where there is one."""


class QuerySource(Source):
    """The rows of a query with a cursor column: listed by id and cursor, fetched by id.

    Args:
        database: It is closed with the source.
        key: Of its rows.
        name: What the user calls the source.
    """

    at_once: ClassVar[int] = 100

    def __init__(self, database: Database, key: Key, *, name: str) -> None:
        self._database, self._key, self._name = database, key, name

    @override
    def listing(self) -> Iterator[Listed]:
        for found, version in self._database.versions(self._key):
            if found is None:
                raise InputError(
                    f"The query of {self._name} gives a row whose {self._key.id} is NULL.",
                    remedy=f"Leave such rows out of [documents].query: WHERE {self._key.id} IS NOT NULL.",
                )
            yield Listed(found, version)

    @override
    def fetch(self, wanted: Sequence[Listed]) -> Iterable[Fetched]:
        names = self._database.columns()
        for found, version, *values in self._database.rows_of(self._key, [one.key for one in wanted]):
            yield Fetched(found, version, dict(zip(names, values, strict=True)))

    @override
    def signature(self) -> str:
        return self._database.signature(self._key)

    @override
    def close(self) -> None:
        self._database.close()


def require_columns(names: Sequence[str], *, name: str, needed: Sequence[str] = ()) -> list[str]:
    """The columns of a query, each of which has a name of its own, and all that are needed.

    Raises:
        InputError: Two have the same name, or one is not there.
    """
    repeated = next((one for one in names if names.count(one) > 1), None)
    if repeated is not None:
        raise InputError(
            f"The query of {name} gives two columns {repeated!r}.", remedy="Give each a name of its own: AS other_name."
        )
    for one in needed:
        if one not in names:
            raise InputError(
                f"The query of {name} gives no column {one!r}; it gives {', '.join(map(repr, names))}.",
                remedy="Correct [documents].cursor, or have the query give that column.",
            )
    return list(names)


def as_subquery(query: str) -> str:
    """A query as it can stand in parentheses: without a semicolon at its end, and on lines of its own."""
    return f"\n{query.strip().rstrip(';').rstrip()}\n"


def quoted(name: str) -> str:
    """A column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def many(last: Sequence[Sequence[object]], asked: int) -> int:
    """How many rows to take next, so that they are some megabytes, from the ones that were taken last."""
    if not last:
        return _FIRST
    size = sum(len(value) for row in last for value in row if isinstance(value, str | bytes)) / len(last)
    return max(1, min(_MOST, 2 * asked, int(_BATCH_BYTES / max(size, 1.0))))
