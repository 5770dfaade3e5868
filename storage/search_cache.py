"""The search cache: the results of every query that was answered in advance, at the price of a key look-up.

A search front end needs this module alone; it loads neither a model nor an orchestrator.

    from storage.search_cache import SearchCache

    with SearchCache.open("workspace") as cache:
        found = cache.get("read a csv file")
        found = cache.get("read a csv file", filter_by={"type": "docs"})  # another query, where the log had it
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import pyarrow as pa

from storage.duck import connect, only_row
from storage.errors import InputError, MachineError
from storage.filters import canonical, parse_filter
from storage.keys import query_key
from storage.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from storage.records import JsonValue

RESULTS = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("results", pa.string(), nullable=False),  # JSON: a list of Result, best first
    ]
)

# Near-identical texts of a query that the release answers; `query_key` is that query's.
FORMS = pa.schema(
    [
        pa.field("form_key", pa.string(), nullable=False),
        pa.field("query_key", pa.string(), nullable=False),
    ]
)

_CREATE = "CREATE TABLE results (query_key VARCHAR PRIMARY KEY, query VARCHAR NOT NULL, results VARCHAR NOT NULL)"
_INSERT = "INSERT INTO results SELECT query_key, query, results FROM block"
_CREATE_FORMS = "CREATE TABLE forms (form_key VARCHAR PRIMARY KEY, query_key VARCHAR NOT NULL)"
_INSERT_FORMS = "INSERT INTO forms SELECT form_key, query_key FROM block"
_HAS_FORMS = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'forms'"
_GET = "SELECT query, results FROM results WHERE query_key = ?"
_GET_FORM = "SELECT query, results FROM forms JOIN results USING (query_key) WHERE form_key = ?"
_COUNT = "SELECT count(*) FROM results"
_ROWS = "SELECT query_key, query, results FROM results ORDER BY query_key"
_FORMS = "SELECT form_key, query_key FROM forms ORDER BY form_key"

ROWS_HELD = 256  # rows of results in memory at one time while all are read


@dataclass(frozen=True, slots=True)
class Result:
    """One entry of a final ranking."""

    rank: int
    document_id: str
    chunk_id: str
    score: float
    title: str
    text: str
    metadata: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class CachedResults:
    """The final ranking of one query, as a release holds it.

    Attributes:
        query: Its text, normalised.
        condition: The canonical text of its filter; None without one.
    """

    query: str
    release_id: str
    results: tuple[Result, ...]
    condition: str | None = None


class CachedRow(NamedTuple):
    """A query as it is stored: its key, its text and its results as JSON."""

    query_key: str
    query: str
    results: str


def write_search_cache(path: Path, blocks: Iterable[pa.Table], *, forms: pa.Table) -> int:
    """Write the search cache of a release.

    Args:
        path: The file to make; it must not exist.
        blocks: Tables of schema RESULTS, each query once.
        forms: Schema FORMS, each form once and none of them a query of its own.

    Returns:
        How many queries it holds, forms not counted.
    """
    with connect(path) as connection:
        connection.execute(_CREATE)
        connection.execute(_CREATE_FORMS)
        for block in blocks:
            connection.register("block", block)
            connection.execute(_INSERT)
            connection.unregister("block")
        connection.register("block", forms)
        connection.execute(_INSERT_FORMS)
        connection.unregister("block")
        connection.execute("CHECKPOINT")
        return int(only_row(connection, _COUNT)[0])


class SearchCache:
    """A reader of one release's results; it keeps to that release until it is opened again.

    Threads may share one: each look-up has a cursor of its own.
    """

    def __init__(self, path: Path, *, release_id: str) -> None:
        if not path.is_file():
            message = f"The release {release_id} has no file {path.name}."
            raise MachineError(message, remedy="Run `nightrank refresh` to build a new release.")
        self.release_id = release_id
        self._connection = connect(path, read_only=True)
        self._has_forms = bool(only_row(self._connection, _HAS_FORMS)[0])  # older releases have none

    @classmethod
    def open(cls, workspace: str | Path) -> Self:
        """Open the results of the current release.

        Args:
            workspace: The workspace's folder.

        Raises:
            InputError: Nothing has been published there yet.
        """
        place = Workspace(Path(workspace))
        release_id = place.require_current()
        try:
            return cls(place.release(release_id) / "results.duckdb", release_id=release_id)
        except MachineError:
            if (published_meanwhile := place.require_current()) == release_id:
                raise
            return cls(place.release(published_meanwhile) / "results.duckdb", release_id=published_meanwhile)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        with self._connection.cursor() as cursor:
            return int(only_row(cursor, _COUNT)[0])

    def close(self) -> None:
        """Close the file; later look-ups fail."""
        self._connection.close()

    def get(self, query: str, *, filter_by: JsonValue = None) -> CachedResults | None:
        """The results of a query, or None where it was not answered in advance.

        Args:
            query: As typed; it is normalised here.
            filter_by: Its filter, as ``storage.filters`` has it; the order in which it is written does not matter.

        Returns:
            Its results; for a near-identical form of a query those of that query, whose text they name.

        Raises:
            InputError: The filter is none.
        """
        condition = condition_of(filter_by)
        key = query_key(query, condition)
        with self._connection.cursor() as cursor:
            rows = cursor.execute(_GET, [key]).fetchall()
            if not rows and self._has_forms:
                rows = cursor.execute(_GET_FORM, [key]).fetchall()
        if not rows:
            return None
        [(text, results)] = rows
        return CachedResults(text, self.release_id, read_results(results), condition)

    def rows(self) -> Iterator[CachedRow]:
        """Every query of the release by its key, forms not among them; a few hundred in memory at a time."""
        with self._connection.cursor() as cursor:
            cursor.execute(_ROWS)
            while rows := cursor.fetchmany(ROWS_HELD):
                yield from map(CachedRow._make, rows)

    def forms(self) -> Iterator[tuple[str, str]]:
        """The key of every near-identical form, by that key, and the key of the query whose results it gets."""
        if not self._has_forms:
            return
        with self._connection.cursor() as cursor:
            cursor.execute(_FORMS)
            while rows := cursor.fetchmany(ROWS_HELD):
                yield from rows


def read_results(text: str | bytes) -> tuple[Result, ...]:
    """The entries of a ranking from their JSON, best first."""
    return tuple(Result(**entry) for entry in json.loads(text))


def condition_of(value: JsonValue) -> str | None:
    """The canonical text of a filter as it was given; None for an empty one.

    Raises:
        InputError: It is none.
    """
    try:
        found = parse_filter(value)
    except ValueError as error:
        raise InputError(f"The filter cannot be used: {error}.", remedy='Write it as {"field": value}.') from error
    return None if found is None else canonical(found)
