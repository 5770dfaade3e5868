"""What does a night ask of a bucket, and of a database, in requests and rows, whatever goes wrong?

    python -m benchmarks.sources [--objects 20000] [--postgres]

A store on this machine (moto), a database on this machine. A row is a reading: what was asked for, what came of it.
Times are those of both ends, on a machine whose store is written in Python; requests are what they are elsewhere.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from nightrank.storage.errors import NightrankError
from nightrank.storage.records import BadRow
from nightrank.storage.sources.kept import Keeping
from nightrank.storage.sources.postgres import PostgresQuery
from nightrank.tasks.read.account import Account, Kind
from nightrank.tasks.read.signature import source_signature
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.settings.inputs import DocumentsSettings
from tests.support.servers import PASSWORD, postgres_server, with_password
from tests.support.watched_store import EXPIRED, NO_KEY, watched_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.watched_store import Answer, Asked, Watched

CHANGED_SHARE = 0.01
PAGE_BYTES = 2_000
PASSWORD_NAME = "NIGHTRANK_BENCHMARK_PASSWORD"  # of a variable
HEAD = ("reading", "list", "get", "documents", "bad", "seconds", "MB more", "what is said")


@dataclass
class Night:
    """Readings of one source.

    Attributes:
        folder: Where copies are kept.
        settings: ``[documents]``.
        counts: Requests since they were asked for last: listings, gets.
    """

    folder: Path
    settings: DocumentsSettings
    counts: Callable[[], tuple[int, int]]

    def read(self, what: str) -> None:
        """Read it, and print a row."""
        account, documents, bad, said = Account(), 0, 0, ""
        self.counts()
        before, started = _peak(), time.perf_counter()
        try:
            for row in read_documents(self.settings, base=self.folder, account=account, keeping=Keeping(self.folder)):
                bad += isinstance(row, BadRow)
                documents += not isinstance(row, BadRow)
                said = row.reason if isinstance(row, BadRow) else said
        except NightrankError as error:
            said = f"{type(error).__name__}: {error.message}"
        seconds = time.perf_counter() - started
        skipped = [f"{entry.count} {entry.what}" for entry in account.entries() if entry.kind is Kind.SKIPPED]
        lists, gets = self.counts()
        cells = what, lists, gets, documents, bad, f"{seconds:.1f}", _peak() - before, said or "; ".join(skipped)
        print(" | ".join(map(str, cells)), flush=True)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--postgres", action="store_true", help="the database as well, where Postgres is installed")
    asked = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    print(" | ".join(HEAD))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = stack.enter_context(watched_store(page=1_000))()
        measure_bucket(bucket, folder / "bucket", asked.objects)
        if asked.postgres:
            address = stack.enter_context(postgres_server())
            os.environ[PASSWORD_NAME] = PASSWORD
            measure_database(address, folder / "database", asked.objects)


def measure_bucket(bucket: Watched, folder: Path, objects: int) -> None:
    """Nights of a bucket of pages, and what may go wrong in them."""
    changed = max(1, int(objects * CHANGED_SHARE))
    for number in range(objects):
        bucket.put(_key(number), _page(number))

    def counts() -> tuple[int, int]:
        found = bucket.counts["list"] + bucket.counts["tail"], bucket.counts["get"] + bucket.counts["head"]
        bucket.counts.clear()
        return found

    night = Night(folder, bucket.settings(), counts)

    def change(edition: str) -> None:
        for number in range(0, changed * 50, 50):
            bucket.put(_key(number), _page(number, edition))

    def when(condition: Callable[[Asked], bool], answer: Answer) -> Callable[[Asked], Answer | None]:
        return lambda asked: answer if condition(asked) else None

    night.read(f"bucket: the first of {objects:,} objects")
    night.read("bucket: nothing changed")
    change("second")
    night.read(f"bucket: {changed:,} changed")
    for number in range(1, changed, 2):
        bucket.delete(_key(number))
    night.read(f"bucket: {len(range(1, changed, 2)):,} removed")
    change("third")
    bucket.answer = when(lambda asked: asked.what == "list" and asked.page == objects // 2_000, EXPIRED)
    night.read("bucket: a token expires in mid-listing")
    bucket.answer = when(lambda asked: asked.what == "get" and bucket.counts["get"] > changed // 2, EXPIRED)
    night.read("bucket: a token expires among the objects")
    bucket.answer = lambda _asked: None
    night.read("bucket: and again")
    bucket.change = _whole_too_soon
    night.read("bucket: a listing that ends early and says it is whole")
    bucket.change = _with_holes
    night.read("bucket: a listing that leaves out a hundred keys")
    bucket.change = lambda _asked, body: body
    change("fourth")

    def go(asked: Asked) -> Answer | None:
        if asked.key == _key(0):
            bucket.delete(_key(0))
        return NO_KEY if asked.key == _key(50) else None

    bucket.answer = go
    night.read("bucket: an object vanishes, and one is listed and never there")
    bucket.answer = lambda _asked: None
    counts()
    source_signature(night.settings, base=folder, named={})
    lists, gets = counts()
    print(f"bucket: has anything changed? | {lists} | {gets} | | | | |")


def measure_database(address: str, folder: Path, rows: int) -> None:
    """Nights of a table with a cursor column; ids that were scanned are counted as list, whole rows as get."""
    rows_read = _counting()
    changed = max(1, int(rows * CHANGED_SHARE))
    table = "CREATE TABLE pages (id int PRIMARY KEY, title text, body text, updated_at timestamptz DEFAULT now())"
    filled = (
        "INSERT INTO pages (id, title, body) SELECT n, 'Page ' || n, repeat('What it says. ', 140) "
        "FROM generate_series(1, %s) AS n"
    )
    with psycopg.connect(with_password(address, "night"), autocommit=True) as connection:
        connection.execute(table)
        connection.execute(filled, [rows])
        chosen = {
            "query": "SELECT * FROM pages",
            "source": with_password(address, "night", password=f"${{{PASSWORD_NAME}}}"),
        }
        for name, cursor in (("whole", {}), ("by cursor", {"cursor": "updated_at"})):
            night = Night(folder, DocumentsSettings.model_validate(chosen | cursor), rows_read)
            night.read(f"database, {name}: the first of {rows:,} rows")
            night.read(f"database, {name}: nothing changed")
            connection.execute(
                "UPDATE pages SET body = body || 'More.', updated_at = now() WHERE id %% 100 = 0 AND id <= %s",
                [changed * 100],
            )
            night.read(f"database, {name}: {changed:,} changed")
            connection.execute("DELETE FROM pages WHERE id % 1000 = 1")
            night.read(f"database, {name}: some removed")


def _counting() -> Callable[[], tuple[int, int]]:
    """Count what comes from the database from now on: ids with their cursors, and whole rows."""
    counts = Counter[str]()

    def counted(name: str, kind: str) -> None:
        inner = getattr(PostgresQuery, name)

        def outer(*args: object) -> Iterator[tuple[object, ...]]:
            for row in inner(*args):
                counts[kind] += 1
                yield row

        setattr(PostgresQuery, name, outer)

    counted("versions", "ids")
    counted("rows", "rows")
    counted("rows_of", "rows")

    def read() -> tuple[int, int]:
        found = counts["ids"], counts["rows"]
        counts.clear()
        return found

    return read


def _key(number: int) -> str:
    return f"docs/{number % 100:02}/page-{number:06}.txt"


def _page(number: int, edition: str = "first") -> str:
    return f"Page {number} of the {edition} edition.\n" + "What it says. " * (PAGE_BYTES // 14)


def _whole_too_soon(asked: Asked, body: bytes) -> bytes:
    if asked.what != "list" or asked.page != 1 or b"<NextContinuationToken>" not in body:
        return body
    start, end = body.index(b"<NextContinuationToken>"), body.index(b"</NextContinuationToken>")
    cut = body[:start] + body[end + len(b"</NextContinuationToken>") :]
    return cut.replace(b"<IsTruncated>true", b"<IsTruncated>false")


def _with_holes(asked: Asked, body: bytes) -> bytes:
    if asked.what != "list" or asked.page != 2:
        return body
    head, *entries = body.split(b"<Contents>")
    return b"<Contents>".join([head, *entries[:50], *entries[150:]])


def _peak() -> int:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
