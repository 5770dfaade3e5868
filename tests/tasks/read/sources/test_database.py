"""Queries of Postgres, DuckDB, SQLite and of tables: all rows, or those that a cursor says have changed."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import duckdb
import psycopg
import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.sources.kept import NO_TEXT
from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.signature import source_signature
from nightrank.tasks.read.sources.kind import SourceKind, kind_of
from nightrank.tasks.settings.inputs import DocumentsSettings
from tests.support.servers import PASSWORD, postgres_server, with_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.tasks.read.sources.conftest import Reader

QUERY = "SELECT id, title, body, price, updated_at FROM articles WHERE title NOT LIKE '%draft%' -- a remark;"
PASSWORD_NAME = "NIGHTRANK_TEST_PASSWORD"


Connection: TypeAlias = "duckdb.DuckDBPyConnection | sqlite3.Connection"


class Execute(Protocol):
    """Runs statements as somebody else does, who owns the database."""

    def __call__(self, *statements: str) -> None: ...


@dataclass(frozen=True)
class Place:
    """A database with articles.

    Attributes:
        source: As settings name it.
        execute: Changes it.
        statements: How many statements the server ran for us since it was asked last; None where nobody counts.
    """

    source: str
    execute: Execute

    def settings(self, query: str = QUERY, **others: object) -> DocumentsSettings:
        """``[documents]`` that name it."""
        return DocumentsSettings.model_validate({"source": self.source, "query": query, **others})


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres_server() as address:
        yield address


def on_postgres(address: str) -> Place:
    def execute(*statements: str) -> None:
        with psycopg.connect(with_password(address, "night"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    return Place(with_password(address, "night", password=f"${{{PASSWORD_NAME}}}"), execute)


def in_file(folder: Path, name: str, connect: Callable[[Path], Connection]) -> Place:
    def execute(*statements: str) -> None:
        with closing(connect(folder / name)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return Place(name, execute)


@pytest.fixture(params=["postgres", "duckdb", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A database of each kind with three articles."""
    if request.param == "postgres":
        found = on_postgres(request.getfixturevalue("server"))
        monkeypatch.setenv(PASSWORD_NAME, PASSWORD)
    elif request.param == "duckdb":
        found = in_file(tmp_path, "articles.duckdb", lambda path: duckdb.connect(str(path)))
    else:
        found = in_file(tmp_path, "articles.db", sqlite3.connect)
    found.execute(
        "DROP TABLE IF EXISTS articles",
        "CREATE TABLE articles (id INTEGER, title TEXT, body TEXT, price NUMERIC(8, 2), updated_at TIMESTAMP)",
        "INSERT INTO articles VALUES (1, 'One', 'Of one, 100 %', 1.5, '2026-11-01 10:00:00'), "
        "(2, 'Two', 'Of two', NULL, '2026-11-01 10:00:00'), (3, 'A draft', 'Of none', 3, '2026-11-01 10:00:00'), "
        "(10, 'Ten', 'Of ten', 3, NULL)",
    )
    return found


CHANGE = (
    "UPDATE articles SET body = 'Otherwise', updated_at = '2026-11-02 10:00:00' WHERE id = 2",
    "DELETE FROM articles WHERE id = 1",
    "INSERT INTO articles VALUES (4, 'Four', 'Of four', 4, '2026-11-02 11:00:00')",
)


def rows(reader: Reader, settings: DocumentsSettings) -> dict[str, tuple[str, str, object]]:
    return {found.document_id: (found.title, found.text, found.metadata) for found in reader.read(settings)}


def test_a_query_gives_a_document_a_row(place: Place, reader: Reader) -> None:
    found = rows(reader, place.settings())
    assert list(found) == ["1", "2", "10"]
    title, text, metadata = found["1"]
    assert (title, text) == ("One", "Of one, 100 %")
    assert isinstance(metadata, dict)
    assert str(metadata["price"]).startswith("1.5")
    assert str(metadata["updated_at"]).replace("T", " ") == "2026-11-01 10:00:00"
    assert reader.told(Kind.COLUMN_GUESSED) == {"body as text": 3}


def test_with_a_cursor_the_documents_are_the_same(place: Place, reader: Reader) -> None:
    whole, changes = place.settings(), place.settings(cursor="updated_at")
    assert rows(reader, whole) == rows(reader, changes)
    place.execute(*CHANGE)
    expected = rows(reader, whole)
    assert list(expected) != ["1", "2", "10"]
    assert rows(reader, changes) == expected  # from what is kept
    for copy in (reader.folder / "sources").iterdir():
        copy.rename(reader.folder / "away")
    assert rows(reader, changes) == expected  # from nothing


def test_with_a_cursor_only_rows_whose_cursor_moved_are_read_whole(place: Place, reader: Reader) -> None:
    changes = place.settings(cursor="updated_at")
    rows(reader, changes)
    place.execute(
        "UPDATE articles SET body = 'Unseen' WHERE id = 1",  # its cursor stands still: that is what a cursor says
        "UPDATE articles SET body = 'Seen' WHERE id = 10",  # it has none, and is always read
        *CHANGE[:1],
    )
    found = rows(reader, changes)
    assert [found[one][1] for one in ("1", "2", "10")] == ["Of one, 100 %", "Otherwise", "Seen"]


def test_its_signature_is_another_one_when_it_has_changed(place: Place, tmp_path: Path) -> None:
    def signatures() -> list[str]:
        settings = place.settings(), place.settings(cursor="updated_at")
        return [source_signature(one, base=tmp_path, named={}) for one in settings]

    first = signatures()
    assert signatures() == first
    place.execute(*CHANGE)
    assert all(now != before for now, before in zip(signatures(), first, strict=True))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT id, body FROM no_such_table", "no_such_table"),
        ("SELEKT 1", "refuses the query"),
        ("SELECT 1 AS id, * FROM parameters", "does not exist|no such table"),
        ("SELECT 1 AS id, 2 AS price", "no title or text column"),
        ("DELETE FROM articles", "refuses the query"),
        ("SELECT 1 AS id, 'a' AS text; DELETE FROM articles", "refuses the query"),
        ("SELECT 1 AS id, 'a' AS text) AS x; COMMIT; DELETE FROM articles; SELECT * FROM (SELECT 1 AS id", "query"),
        ("SELECT id, clock, timeout FROM articles", "refuses the query"),
    ],
)
def test_a_query_that_cannot_be_one_is_told_and_changes_nothing(
    place: Place, reader: Reader, query: str, said: str
) -> None:
    with pytest.raises(InputError) as raised:
        reader.read(place.settings(query))
    assert re.search(said, raised.value.message)
    assert "query" in raised.value.message + raised.value.remedy
    assert len(reader.read(place.settings())) == 3


@pytest.mark.parametrize("name", [pytest.param("shop.sqlite", marks=pytest.mark.slow), "shop.duckdb"])
def test_a_file_that_is_no_database_or_is_being_written_is_told(reader: Reader, name: str) -> None:
    settings = DocumentsSettings(source=name, query="SELECT * FROM rows")
    (reader.folder / name).write_bytes(b"no database" * 1_000)
    with pytest.raises(InputError, match=rf"{name} cannot be read"):
        reader.read(settings)
    (reader.folder / name).unlink()
    if name.endswith("sqlite"):
        with closing(sqlite3.connect(reader.folder / name)) as connection:
            connection.execute("CREATE TABLE rows (id, text)")
            connection.execute("BEGIN EXCLUSIVE")
            with pytest.raises(MachineError, match="being written by another process"):
                reader.read(settings)


def test_a_query_of_a_table_writes_no_file(reader: Reader) -> None:
    (reader.folder / "rows.csv").write_text("id,text\n1,One\n")
    for statement in (f"COPY (SELECT 1) TO '{reader.folder}/owned.csv'", "SET memory_limit = '1MB'"):
        query = f"SELECT 1 AS id) AS documents; {statement}; SELECT * FROM (SELECT 1 AS id, 'a' AS text"
        with pytest.raises(InputError, match="more than one statement"):
            reader.read(DocumentsSettings(source="rows.csv", query=query))
    assert [path.name for path in reader.folder.iterdir()] == ["rows.csv"]


def test_the_signature_of_a_query_of_many_files_is_theirs(tmp_path: Path) -> None:
    settings = DocumentsSettings(source="rows/**/*.csv", query="SELECT * FROM documents")

    def signature() -> str:
        return source_signature(settings, base=tmp_path, named={})

    (tmp_path / "rows" / "new").mkdir(parents=True)
    (tmp_path / "rows" / "a.csv").write_text("id,text\n1,One\n")
    found = [signature()]
    assert signature() == found[0]
    (tmp_path / "rows" / "new" / "b.csv").write_text("id,text\n2,Two\n")
    found.append(signature())
    (tmp_path / "rows" / "a.csv").write_text("id,text\n1,Another\n")
    found.append(signature())
    assert len({*found}) == 3
    (tmp_path / "rows" / "new" / "b.csv").unlink()
    assert signature() not in found


def test_ids_and_cursors_of_bytes_end_no_night(reader: Reader) -> None:
    def execute(statement: str) -> None:
        with closing(sqlite3.connect(reader.folder / "rows.db")) as connection, connection:
            connection.execute(statement)

    execute("CREATE TABLE rows (id, text, version)")
    execute("INSERT INTO rows VALUES (1, 'One', x'ff00'), ('2', 'Two', x'ff01'), (x'fffe', 'Of no id', x'ff02')")
    settings = DocumentsSettings(source="rows.db", query="SELECT * FROM rows", cursor="version")
    assert reader.texts(settings) == {"1": "One", "2": "Two"}
    assert [row.reason for row in reader.bad] == [NO_TEXT]
    execute("UPDATE rows SET text = 'Otherwise', version = x'ff03' WHERE id = 1")
    assert reader.texts(settings) == {"1": "Otherwise", "2": "Two"}


def test_a_value_that_cannot_be_read_is_told(reader: Reader) -> None:
    (reader.folder / "rows.csv").write_text("id,text\n1,One\n")
    query = "SELECT id, text, INTERVAL '10000000 years' AS age FROM documents"
    with pytest.raises(InputError, match="too large to be read"):
        reader.read(DocumentsSettings(source="rows.csv", query=query))


def test_a_cursor_that_is_no_column_is_told(place: Place, reader: Reader) -> None:
    with pytest.raises(InputError, match="gives no column 'changed'"):
        reader.read(place.settings(cursor="changed"))


def test_with_a_cursor_each_row_needs_an_id_of_its_own(place: Place, reader: Reader) -> None:
    place.execute("INSERT INTO articles VALUES (1, 'Another one', 'x', 1, '2026-11-01 10:00:00')")
    with pytest.raises(InputError, match="1 keys more than once"):
        reader.read(place.settings(cursor="updated_at"))
    place.execute("DELETE FROM articles", "INSERT INTO articles VALUES (NULL, 'No id', 'x', 1, NULL)")
    with pytest.raises(InputError, match="whose id is NULL"):
        reader.read(place.settings(cursor="updated_at"))


def test_names_of_columns_and_ids_are_never_taken_for_sql(place: Place, reader: Reader) -> None:
    odd = "na\"me'; DROP TABLE articles; --{x}%s"
    inside = odd.replace('"', '""')
    literal = odd.replace("'", "''")
    query = f"""SELECT '{literal}' AS id, title AS "{inside}", body AS text, updated_at FROM articles WHERE id = 2"""
    settings = place.settings(query, cursor="updated_at", columns={"title": odd})
    [found] = reader.read(settings)
    assert (found.document_id, found.title) == (odd, "Two")
    place.execute(*CHANGE[:1])
    [found] = reader.read(settings)
    assert found.text == "Otherwise"


def test_nothing_is_kept_of_a_query_that_has_no_cursor_any_more(place: Place, reader: Reader) -> None:
    reader.read(place.settings(cursor="updated_at"))
    reader.read(place.settings())
    assert not list((reader.folder / "sources").iterdir())


def test_nothing_is_kept_of_a_row_that_is_taken_down(place: Place, reader: Reader) -> None:
    place.execute("UPDATE articles SET body = 'Secret of somebody' WHERE id = 2")
    reader.read(place.settings(cursor="updated_at"), retracted={"2"})
    held = b"".join(path.read_bytes() for path in (reader.folder / "sources").rglob("*") if path.is_file())
    assert b"Of ten" in held
    assert b"Secret of somebody" not in held


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
class TestPostgres:
    """What holds for a server alone."""

    def test_a_statement_that_takes_too_long_is_ended(self, place: Place, reader: Reader) -> None:
        settings = place.settings("SELECT 1 AS id, 'x' AS text, pg_sleep(30)", max_query_seconds=0.2)
        with pytest.raises(MachineError, match=r"after 0\.2 seconds"):
            reader.read(settings)

    def test_times_that_python_lacks_are_texts(self, place: Place, reader: Reader) -> None:
        query = "SELECT 1 AS id, 'x' AS text, TIME '24:00' AS a, TIMETZ '24:00+00' AS b, INTERVAL '9999999 years' AS c"
        [found] = reader.read(place.settings(query))
        assert found.metadata == {"a": "24:00:00", "b": "24:00:00+00", "c": "9999999 years"}

    def test_one_snapshot_is_read(self, place: Place, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
        from nightrank.storage.sources.postgres import PostgresQuery

        rows_of = PostgresQuery.rows_of

        def late(self: PostgresQuery, *args: object) -> object:
            place.execute("DELETE FROM articles")
            return rows_of(self, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(PostgresQuery, "rows_of", late)
        assert len(reader.read(place.settings(cursor="updated_at"))) == 3

    def test_a_connection_that_is_lost_in_mid_scan_changes_nothing(
        self, place: Place, reader: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from nightrank.storage.sources.postgres import PostgresQuery

        before = reader.read(place.settings(cursor="updated_at"))
        versions = PostgresQuery.versions
        monkeypatch.setattr("nightrank.storage.sources.database._FIRST", 1)  # rows at once

        def lost(self: PostgresQuery, key: object) -> Iterator[tuple[str | None, str | None]]:
            for number, row in enumerate(versions(self, key)):  # type: ignore[arg-type]
                yield row
                if number == 0:
                    place.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nightrank'"
                    )

        monkeypatch.setattr(PostgresQuery, "versions", lost)
        with pytest.raises(MachineError, match="does not answer"):
            reader.read(place.settings(cursor="updated_at"))
        monkeypatch.undo()
        monkeypatch.setenv(PASSWORD_NAME, PASSWORD)
        assert reader.read(place.settings(cursor="updated_at")) == before

    def test_the_session_may_not_write(self, place: Place, reader: Reader) -> None:
        place.execute(
            "CREATE OR REPLACE FUNCTION spoil() RETURNS text LANGUAGE sql AS "
            "'DELETE FROM articles RETURNING title' VOLATILE"
        )
        with pytest.raises(InputError, match="read-only"):
            reader.read(place.settings("SELECT 1 AS id, spoil() AS text"))

    def test_no_password_is_in_a_message(self, place: Place, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(PASSWORD_NAME, "wrong-secret")
        with pytest.raises(InputError) as raised:
            reader.read(place.settings())
        assert "wrong-secret" not in str(raised.value)
        assert "rejects the login" in raised.value.message

    def test_two_columns_of_one_name_are_told(self, place: Place, reader: Reader) -> None:
        with pytest.raises(InputError, match="two columns 'id'"):
            reader.read(place.settings("SELECT id, title, body, id FROM articles"))

    def test_a_time_that_python_lacks_is_kept_as_text(self, place: Place, reader: Reader) -> None:
        query = "SELECT 1 AS id, 'x' AS text, timestamptz 'infinity' AS until, date '0044-03-15 BC' AS day"
        [(_, _, metadata)] = rows(reader, place.settings(query)).values()
        assert metadata == {"until": "infinity", "day": "0044-03-15 BC"}

    def test_a_server_that_is_not_there_is_told(self, place: Place, reader: Reader) -> None:
        settings = place.settings().model_copy(update={"source": "postgresql://night@127.0.0.1:1/postgres"})
        with pytest.raises(MachineError, match="does not answer"):
            reader.read(settings)

    def test_times_do_not_depend_on_where_they_are_read(
        self, place: Place, reader: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        query = "SELECT 1 AS id, 'x' AS text, timestamptz '2026-11-01 10:00+01' AS at, interval '90 minutes' AS long"
        found = []
        for zone in ("Asia/Tokyo", "America/New_York"):
            monkeypatch.setenv("PGTZ", zone)
            found.append(rows(reader, place.settings(query))["1"][2])
        assert found == [{"at": "2026-11-01T09:00:00+00:00", "long": 5400}] * 2

    def test_values_that_json_lacks_are_left_out_and_told(self, place: Place, reader: Reader) -> None:
        query = r"SELECT 1 AS id, 'x' AS text, '\x89ff'::bytea AS image, '{\"a\": [1]}'::jsonb AS more"
        [(_, _, metadata)] = rows(reader, place.settings(query.replace('\\"', '"'))).values()
        assert metadata == {"more": {"a": [1]}}
        assert list(reader.told(Kind.MENDED)) == ["the field image, left out: bytes that are no text"]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.json"])
def test_duckdb_reads_a_table_as_documents(name: str, reader: Reader) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS id, 'Text ' || range AS text FROM range(5)")
        path = str(reader.folder / name)
        connection.table("t").write_parquet(path) if "parquet" in name else connection.execute(f"COPY t TO '{path}'")
    settings = DocumentsSettings(source=name, query="SELECT * FROM documents WHERE id % 2 = 0 ORDER BY id")
    assert [found.document_id for found in reader.read(settings)] == ["0", "2", "4"]


def test_a_database_needs_a_query(reader: Reader) -> None:
    for source in ("shop.sqlite", "shop.duckdb", "postgresql://night@localhost/shop"):
        with pytest.raises(InputError, match="nothing says which rows"):
            reader.read(DocumentsSettings(source=source))


def test_a_folder_a_prefix_or_a_connector_that_is_called_like_a_database_is_none(reader: Reader) -> None:
    (reader.folder / "notes.db").mkdir()
    (reader.folder / "notes.db" / "a.txt").write_text("Tea")
    assert reader.texts(DocumentsSettings(source="notes.db")) == {"a.txt": "Tea"}
    for source, kind in (("s3://bucket/notes.db/", SourceKind.BUCKET), ("wiki:shop.db", SourceKind.CONNECTOR)):
        assert kind_of(DocumentsSettings(source=source), base=reader.folder) is kind
    long = DocumentsSettings(source=f"wiki:{'x' * 5_000}")
    assert kind_of(long, base=reader.folder) is SourceKind.CONNECTOR


def test_a_query_needs_a_database(reader: Reader) -> None:
    (reader.folder / "docs").mkdir()
    for source in ("docs", "nothing.parquet"):
        with pytest.raises(InputError, match="no file that a query can be asked of"):
            reader.read(DocumentsSettings(source=source, query="SELECT 1"))
    with pytest.raises(InputError, match="is no database"):
        reader.read(DocumentsSettings(source="s3://bucket/docs/", query="SELECT 1"))


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://night:secret@localhost/shop",
        "postgresql://localhost/shop?user=night&password=secret",
        "tracker:https://night:secret@example.org/",
        "s3://key:secret@bucket/docs/",
    ],
)
def test_a_password_in_the_settings_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="holds a password") as raised:
        DocumentsSettings(source=source, query="SELECT 1")
    assert "secret@" not in str(raised.value)


def test_a_cursor_needs_a_query() -> None:
    with pytest.raises(ValueError, match="column of"):
        DocumentsSettings(source="docs", cursor="updated_at")
