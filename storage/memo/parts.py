"""Memos in object storage: what each run added, as one Parquet file after another; a local memo is made of them.

A memo only ever grows, and its values depend on nothing but their keys, so its parts may come in any order, twice, or
lack the last ones of a run that was killed: the memo that they make is right. A run uploads what is new in its local
file, and another machine downloads the parts that it has not taken in yet. Pruning, or a long row of parts, puts
one part in the place of all of them.

The local file itself remembers which parts it holds and how many of its rows are in one of them. Rows are only ever
appended to it, so those are the first ones; a file that pruning has written anew remembers nothing.
"""

from __future__ import annotations

import tempfile
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from nightrank.storage.errors import MachineError
from nightrank.storage.files.database import connect_for_writing, only_row
from nightrank.storage.files.listing import entries
from nightrank.storage.memo import answers
from nightrank.storage.memo.file import written_anew
from nightrank.storage.memo.pair_scores import CREATE_PAIR_SCORES
from nightrank.storage.memo.prune import PAIRS, QUERIES, SPARSE_QUERIES, SPARSE_TEXTS
from nightrank.storage.memo.query_vectors import CREATE_QUERY_VECTORS
from nightrank.storage.memo.sparse_vectors import CREATE_SPARSE_VECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import duckdb

    from nightrank.storage.bucket.store import Remote

FOLDER = "memo"
MOST_PARTS = 64  # of one memo; more are put together

_SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class _Table:
    """The statements for the table of one kind of memo."""

    name: str
    create: str
    count: str
    read: str
    take_in: str


_SPARSE_VECTORS = _Table(
    name="sparse_vectors",
    create=CREATE_SPARSE_VECTORS,
    count="SELECT count(*) FROM sparse_vectors",
    read="""
SELECT key::VARCHAR AS key, tokens, weights FROM sparse_vectors WHERE rowid >= $first AND rowid < $last
""",
    take_in="""
INSERT INTO sparse_vectors
SELECT part.key, part.tokens, part.weights
FROM (SELECT key::UUID AS key, tokens, weights FROM rows) AS part ANTI JOIN sparse_vectors USING (key)
""",
)

_TABLES = {
    SPARSE_TEXTS.prefix: _SPARSE_VECTORS,
    SPARSE_QUERIES.prefix: _SPARSE_VECTORS,
    PAIRS.prefix: _Table(
        name="pair_scores",
        create=CREATE_PAIR_SCORES,
        count="SELECT count(*) FROM pair_scores",
        read="""
SELECT query_key::VARCHAR AS query_key, chunk_hash::VARCHAR AS chunk_hash, score FROM pair_scores
WHERE rowid >= $first AND rowid < $last
""",
        take_in="""
INSERT INTO pair_scores
SELECT part.query_key, part.chunk_hash, part.score
FROM (SELECT query_key::UUID AS query_key, chunk_hash::UUID AS chunk_hash, score FROM rows) AS part
ANTI JOIN pair_scores USING (query_key, chunk_hash)
""",
    ),
    answers.PREFIX: _Table(
        name="answers",
        create=answers.CREATE_ANSWERS,
        count="SELECT count(*) FROM answers",
        read="""
SELECT key::VARCHAR AS key, about::VARCHAR AS about, answer FROM answers WHERE rowid >= $first AND rowid < $last
""",
        take_in="""
INSERT INTO answers
SELECT part.key, part.about, part.answer
FROM (SELECT key::UUID AS key, about::UUID AS about, answer FROM rows) AS part ANTI JOIN answers USING (key)
""",
    ),
    QUERIES.prefix: _Table(
        name="query_vectors",
        create=CREATE_QUERY_VECTORS,
        count="SELECT count(*) FROM query_vectors",
        read="""
SELECT query_key::VARCHAR AS query_key, vector FROM query_vectors WHERE rowid >= $first AND rowid < $last
""",
        take_in="""
INSERT INTO query_vectors
SELECT part.query_key, part.vector
FROM (SELECT query_key::UUID AS query_key, vector FROM rows) AS part ANTI JOIN query_vectors USING (query_key)
""",
    ),
}

_CREATE_SHARED = """
CREATE TABLE IF NOT EXISTS shared_parts (name VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS shared_rows (count BIGINT NOT NULL)
"""
_HAS_TABLE = "SELECT count(*) > 0 FROM duckdb_tables() WHERE database_name = current_database() AND table_name = $name"
_PARTS = "SELECT name FROM shared_parts"
_ROWS = "SELECT coalesce(max(count), 0) FROM shared_rows"
_ADD_PARTS = "INSERT INTO shared_parts SELECT unnest($names::VARCHAR[])"
_FORGET_PARTS = "DELETE FROM shared_parts"
_FORGET_ROWS = "DELETE FROM shared_rows"
_SET_ROWS = "INSERT INTO shared_rows VALUES ($count)"


class SharedMemos:
    """The memos of a workspace in object storage, and their local files.

    Args:
        remote: The workspace's.
        folder: The local folder of memos.
        check: Raises where this process may not write there any more.
    """

    def __init__(self, remote: Remote, folder: Path, *, check: Callable[[], None]) -> None:
        self._remote, self._folder, self._check = remote, folder, check
        self._known: dict[str, set[str]] = {}

    def bring(self, only: str | None = None) -> None:
        """Make every local memo hold what its parts hold, and what of its own is in no part yet.

        Args:
            only: The name of one memo's file; None for all.
        """
        self._known = {}
        for key in self._remote.sizes(FOLDER):
            if key.count("/") == 2:
                _, stem, name = key.split("/")
                self._known.setdefault(stem, set()).add(name)
        for stem, parts in self._known.items():
            path = self._file(stem)
            if (table := _table_of(stem)) is not None and only in {None, path.name}:
                self._bring(path, table, stem, parts)

    def share(self) -> None:
        """Upload what local memos hold and no part does; others may be writing them in this process meanwhile."""
        for path in entries(self._folder, "*.duckdb"):
            table = _table_of(path.stem)
            if table is None:
                continue
            with closing(connect_for_writing(path)) as memo:
                if _has_table(memo, table.name):
                    memo.execute(_CREATE_SHARED)
                    self._share_new(memo, table, path.stem)

    def put_in_order(self) -> None:
        """As ``share``; and what pruning has removed from local memos, or removed as a whole, goes here too."""
        for stem, parts in self._known.items():
            if not self._file(stem).is_file() and _table_of(stem) is not None:
                self._check()
                self._remote.delete(f"{FOLDER}/{stem}/{name}" for name in sorted(parts))
        for path in entries(self._folder, "*.duckdb"):
            table = _table_of(path.stem)
            if table is None:
                continue
            with closing(connect_for_writing(path)) as memo:
                if not _has_table(memo, table.name):
                    continue
                written_anew = not _has_table(memo, "shared_rows")
                memo.execute(_CREATE_SHARED)
                known = self._known.get(path.stem, set())
                if known and (written_anew or len(known) > MOST_PARTS):
                    self._replace_all(memo, table, path.stem)
                else:
                    self._share_new(memo, table, path.stem)

    def _file(self, stem: str) -> Path:
        return self._folder / f"{stem}.duckdb"

    def _bring(self, path: Path, table: _Table, stem: str, parts: set[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(connect_for_writing(path)) as memo:
            memo.execute(table.create)
            is_known = _has_table(memo, "shared_rows")
            held = {name for (name,) in memo.execute(_PARTS).fetchall()} if is_known else set()
            shared = int(only_row(memo, _ROWS)[0]) if is_known else 0
            count = int(only_row(memo, table.count)[0])
            if is_known and held == parts:
                return
            if is_known and held < parts and shared == count:
                self._take_in(memo, table, stem, parts - held)
                _remember(memo, table, parts)
                return
            # Parts went, or rows of our own would no longer be the last ones: what is held of parts comes first again.
            keeps = held <= parts
            with written_anew(path, memo) as anew:
                anew.execute(table.create)
                anew.execute(_CREATE_SHARED)
                if keeps:
                    _copy(memo, anew, table, first=0, last=shared)
                self._take_in(anew, table, stem, parts - held if keeps else parts)
                _remember(anew, table, parts)
                _copy(memo, anew, table, first=shared, last=count)

    def _take_in(self, memo: duckdb.DuckDBPyConnection, table: _Table, stem: str, names: Iterable[str]) -> None:
        with tempfile.TemporaryDirectory(prefix="nightrank-memo-") as scratch:
            for name in sorted(names):
                part = Path(scratch) / name
                if not self._remote.download(f"{FOLDER}/{stem}/{name}", part):
                    message = f"{self._remote.url}/{FOLDER}/{stem} has no {name} any more."
                    raise MachineError(message, remedy="It was put together with others meanwhile: run again.")
                with pq.ParquetFile(part) as file:
                    for batch in file.iter_batches(batch_size=1_000_000):
                        _insert(memo, table, batch)
                part.unlink()

    def _share_new(self, memo: duckdb.DuckDBPyConnection, table: _Table, stem: str) -> None:
        first, last = int(only_row(memo, _ROWS)[0]), int(only_row(memo, table.count)[0])
        if last > first:
            name = self._upload(memo, table, stem, first=first, last=last)
            parts = {name for (name,) in memo.execute(_PARTS).fetchall()}
            _set(memo, parts={*parts, name}, rows=last)

    def _replace_all(self, memo: duckdb.DuckDBPyConnection, table: _Table, stem: str) -> None:
        """Put one part in the place of all: the new one comes before the old ones go."""
        last, old = int(only_row(memo, table.count)[0]), set(self._known[stem])
        parts = {self._upload(memo, table, stem, first=0, last=last)} if last else set()
        _set(memo, parts=parts, rows=last)
        self._check()
        self._remote.delete(f"{FOLDER}/{stem}/{name}" for name in sorted(old))
        self._known[stem] = parts

    def _upload(self, memo: duckdb.DuckDBPyConnection, table: _Table, stem: str, *, first: int, last: int) -> str:
        """Upload rows as a part; its name."""
        name = f"{uuid.uuid4().hex}{_SUFFIX}"
        with tempfile.TemporaryDirectory(prefix="nightrank-memo-") as scratch:
            part = Path(scratch) / name
            rows = memo.sql(table.read, params={"first": first, "last": last}).to_arrow_reader(65_536)
            with pq.ParquetWriter(part, rows.schema, compression="zstd") as writer:
                for batch in rows:
                    writer.write_batch(batch)
            self._check()
            self._remote.upload(part, f"{FOLDER}/{stem}/{name}")
        self._known.setdefault(stem, set()).add(name)
        return name


def _table_of(stem: str) -> _Table | None:
    return next((table for prefix, table in _TABLES.items() if stem.startswith(prefix)), None)


def _has_table(memo: duckdb.DuckDBPyConnection, name: str) -> bool:
    return bool(only_row(memo, _HAS_TABLE, {"name": name})[0])


def _copy(
    source: duckdb.DuckDBPyConnection, target: duckdb.DuckDBPyConnection, table: _Table, *, first: int, last: int
) -> None:
    for batch in source.sql(table.read, params={"first": first, "last": last}).to_arrow_reader(1_000_000):
        _insert(target, table, batch)


def _insert(memo: duckdb.DuckDBPyConnection, table: _Table, rows: pa.RecordBatch) -> None:
    memo.register("rows", pa.Table.from_batches([rows]))
    memo.execute(table.take_in)
    memo.unregister("rows")


def _remember(memo: duckdb.DuckDBPyConnection, table: _Table, parts: set[str]) -> None:
    _set(memo, parts=parts, rows=int(only_row(memo, table.count)[0]))


def _set(memo: duckdb.DuckDBPyConnection, *, parts: set[str], rows: int) -> None:
    memo.execute("BEGIN")
    memo.execute(_FORGET_PARTS)
    memo.execute(_ADD_PARTS, {"names": sorted(parts)})
    memo.execute(_FORGET_ROWS)
    memo.execute(_SET_ROWS, {"count": rows})
    memo.execute("COMMIT")
