"""`nightrank init` for documents that are no files here: buckets, databases, connectors."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import psycopg
import pytest

from nightrank.flows.settings_file import read_settings
from nightrank.flows.start.init import initialise
from nightrank.storage.errors import InputError
from tests.support.servers import PASSWORD, postgres_server, with_password
from tests.support.watched_store import watched_store

if TYPE_CHECKING:
    from pathlib import Path

TABLES = (
    "CREATE TABLE customers (id INTEGER, name TEXT)",
    'CREATE TABLE "Shop Articles" (id INTEGER, title TEXT, body TEXT, updated_at TIMESTAMP)',
    "INSERT INTO \"Shop Articles\" VALUES (1, 'Tea', 'Of the leaves that people drink.', '2026-11-01 10:00:00')",
)
QUERY = 'SELECT * FROM "Shop Articles"'


@pytest.mark.parametrize("name", ["shop.db", "shop.sqlite", "shop.duckdb"])
@pytest.mark.parametrize("is_named", [True, False])
def test_a_database_here_is_found_and_its_table_proposed(tmp_path: Path, name: str, is_named: bool) -> None:
    connect = duckdb.connect if name.endswith("duckdb") else sqlite3.connect
    with closing(connect(str(tmp_path / name))) as connection:
        for statement in TABLES:
            connection.execute(statement)
        connection.commit()
    done = initialise(tmp_path, name if is_named else None, ask=None)
    read = read_settings(done.settings_file).documents
    assert (read.source, read.query, read.cursor) == (name, QUERY, None)
    assert done.seen.documents.count == 1
    assert "cursor = 'updated_at'" in done.settings_file.read_text().replace("\n# ", " ")


def test_a_table_that_is_called_like_a_word_of_sql_is_quoted(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute('CREATE TABLE "order" (id INTEGER, title TEXT, body TEXT)')
        connection.execute("INSERT INTO \"order\" VALUES (1, 'Tea', 'Of the leaves that people drink.')")
        connection.commit()
    done = initialise(tmp_path, "shop.db", ask=None)
    assert read_settings(done.settings_file).documents.query == 'SELECT * FROM "order"'


def test_a_server_is_asked_for_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_server() as address:
        with psycopg.connect(with_password(address, "night"), autocommit=True) as connection:
            for statement in TABLES:
                connection.execute(statement.encode())
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        source = address.replace("//", "//night@")
        done = initialise(tmp_path, source, ask=None)
        read = read_settings(done.settings_file).documents
        assert (read.source, read.query) == (source, QUERY)


def test_a_bucket_is_looked_at_from_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightrank.flows.start.look.MOST_FETCHED", 4)
    with watched_store() as make:
        bucket = make()
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        for number in range(9):
            bucket.put(f"docs/{number}.txt", "The leaves that people drink in the afternoon are those of tea.")
        done = initialise(tmp_path, f"s3://{bucket.name}/docs/", ask=None)
        assert read_settings(done.settings_file).documents.source == f"s3://{bucket.name}/docs/"
        assert (done.seen.documents.count, done.seen.documents.is_whole) == (4, False)
        assert bucket.counts["get"] == 4


def test_a_password_is_neither_taken_nor_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        initialise(tmp_path, "postgresql://night:hush-hush@localhost/shop", ask=None)
    assert "hush-hush" not in str(raised.value)
    assert "${NAME}" in raised.value.message
    assert not list(tmp_path.iterdir())


def test_a_database_without_documents_is_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE visits (day TEXT, count INTEGER)")
    with pytest.raises(InputError, match=r"tables: visits"):
        initialise(tmp_path, "shop.db", ask=None)
