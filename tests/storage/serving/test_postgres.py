"""What holds for Postgres alone."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from nightrank.storage.errors import InputError, TargetUnreachable, WorkspaceBusy
from nightrank.storage.keys import query_key
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.serving import postgres as serving
from nightrank.storage.serving.postgres import Names
from tests.storage.serving.conftest import Place
from tests.storage.serving.releases import FIRST, QUERIES_OF_ALL_KINDS, SECOND, THIRD, Answered, publish
from tests.support.servers import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.workspace.base import Workspace

pytestmark = pytest.mark.parametrize("place", ["postgres"], indirect=True)
TEA = [Answered("tea", aliases=("tea?",))]
_TABLES = "SELECT relname FROM pg_class WHERE relname LIKE %s AND relkind IN ('r', 'v') ORDER BY relname"


def connect(place: Place, *, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(place.address.url, password=PASSWORD, autocommit=autocommit)


@pytest.fixture
def connection(place: Place) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with connect(place) as connection:
        yield connection


def tables(connection: psycopg.Connection[tuple[Any, ...]], place: Place) -> list[str]:
    """What there is under a name, without the name."""
    found = connection.execute(_TABLES, [f"{place.name}%"]).fetchall()
    return [str(name).removeprefix(place.name) for (name,) in found]


def test_a_table_that_was_replaced_goes_with_the_first_export_after_the_grace(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    for release_id in (FIRST, SECOND, THIRD):
        publish(workspace, release_id, TEA)
    place.export(workspace, FIRST)
    place.export(workspace, SECOND)
    assert tables(connection, place) == ["", "_answers_1", "_answers_2", "_exports"]
    time.sleep(1.1)
    place.export(workspace, THIRD, grace_seconds=1)
    assert tables(connection, place) == ["", "_answers_2", "_answers_3", "_exports"]


def test_an_export_that_failed_has_left_no_table(
    workspace: Workspace,
    place: Place,
    connection: psycopg.Connection[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(workspace, FIRST, TEA)

    def torn(_results: ResultsFile) -> Iterator[object]:
        raise OSError("torn")

    monkeypatch.setattr(ResultsFile, "rows", torn)
    with pytest.raises(OSError, match="torn"):
        place.export(workspace)
    assert tables(connection, place) == []


def test_a_reader_needs_no_more_than_the_view_and_keeps_it_when_it_is_switched(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    publish(workspace, FIRST, TEA)
    publish(workspace, SECOND, TEA)
    place.export(workspace, FIRST)
    user = f"reader_{place.name}"
    connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 'reads'").format(Identifier(user)))
    connection.execute(SQL("GRANT SELECT ON {} TO {}").format(Identifier(place.name), Identifier(user)))
    _, _, rest = place.where.rpartition("@")
    readers = Place(f"postgresql://{user}:reads@{rest}", place.name)
    reader = readers.open()
    for release_id in (FIRST, SECOND):
        place.export(workspace, release_id)
        found = reader.get("tea?")
        assert found is not None
        assert (found.release_id, len(reader), reader.release_id) == (release_id, 1, release_id)
    with pytest.raises(InputError, match="does not allow it"):
        readers.export(workspace, FIRST)
    reader.close()


def test_a_transaction_older_than_the_release_finds_it_whole(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    publish(workspace, FIRST, TEA)
    publish(workspace, SECOND, TEA)
    place.export(workspace, FIRST)
    with connect(place, autocommit=False) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT 1 FROM pg_class LIMIT 1")  # its snapshot is taken
        place.export(workspace, SECOND)
        rows = old.execute(Names(place.name).put(serving._GET), [query_key("tea?")]).fetchall()
    assert SECOND in rows[0][0]


def test_a_reader_that_stays_in_a_transaction_delays_the_switch_and_no_other_reader(
    workspace: Workspace, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(workspace, FIRST, TEA)
    publish(workspace, SECOND, TEA)
    place.export(workspace, FIRST)
    reader = place.open()
    ask = Names(place.name).put(serving._GET)
    with connect(place, autocommit=False) as idle:
        idle.execute(ask, [query_key("tea")])
        monkeypatch.setattr(serving, "PATIENCE_SECONDS", 0.5)
        with pytest.raises(TargetUnreachable, match="stood in the way"):
            place.export(workspace, SECOND)
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as pool:
            exporting = pool.submit(place.export, workspace, SECOND)
            slowest = 0.0
            for _ in range(20):
                start = time.monotonic()
                found = reader.get("tea")
                slowest = max(slowest, time.monotonic() - start)
                assert found is not None
                assert found.release_id == FIRST
                time.sleep(0.05)
            idle.rollback()
            assert exporting.result().changed
    found = reader.get("tea")
    assert found is not None
    assert found.release_id == SECOND
    assert slowest < 30
    reader.close()


def test_two_exports_at_a_time_are_one_and_an_error(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    publish(workspace, FIRST, TEA)
    target = place.target()
    assert isinstance(target, serving.PostgresTarget)
    with connect(place, autocommit=False) as other:
        target._lock(other)
        with pytest.raises(WorkspaceBusy, match="Another export"):
            place.export(workspace)
    assert place.export(workspace).changed


def test_rows_that_are_gone_are_noticed_and_written_again(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    place.export(workspace)
    answers = Names(place.name).answers(1)
    connection.execute(SQL("DELETE FROM {} WHERE key = %s").format(answers), [query_key("tea")])
    assert place.export(workspace).changed
    assert not place.export(workspace).changed


def test_a_name_that_something_else_uses_is_refused(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    publish(workspace, FIRST, TEA)
    connection.execute(SQL("CREATE TABLE {} (a int)").format(Identifier(place.name)))
    with pytest.raises(InputError, match="was not made by an export"):
        place.export(workspace)
    with pytest.raises(InputError, match="Nothing has been exported"):
        place.open()
    assert tables(connection, place) == [""]


def test_a_database_that_cannot_hold_every_text_is_refused(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    publish(workspace, FIRST, TEA)
    name = Identifier(f"latin_{place.name}")
    asked = "CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    connection.execute(SQL(asked).format(name))
    where = f"{place.where.rpartition('/')[0]}/latin_{place.name}"
    with pytest.raises(InputError, match="LATIN1"):
        Place(where, place.name).export(workspace)


def test_connections_that_the_server_closed_are_made_again(
    workspace: Workspace, place: Place, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    publish(workspace, FIRST, TEA)
    place.export(workspace)
    reader = place.open()
    assert reader.get("tea") is not None
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert reader.get("tea") is not None
    reader.close()


def test_a_server_that_does_not_answer_or_does_not_let_us_in_is_told_without_the_password(
    workspace: Workspace, place: Place
) -> None:
    publish(workspace, FIRST, TEA)
    rest = place.where.rpartition("@")[2]
    for where, kind in (
        (f"postgresql://night:S3CR3T@{rest}", InputError),
        (f"postgresql://night@{rest}", InputError),
        (f"{place.where}-that-is-not-there", InputError),
        ("postgresql://night:S3CR3T@127.0.0.1:1/postgres", TargetUnreachable),
        ("postgresql://night:S3CR3T@127.0.0.1:x/postgres", InputError),
        ("postgresql://night:S3CR3T@127.0.0.1:1/postgres?nothing=known", InputError),
    ):
        for attempt in (Place(where).open, lambda where=where: Place(where).export(workspace)):
            with pytest.raises(kind) as reported:
                attempt()
            assert (
                "S3CR3T"
                not in f"{reported.value} {reported.value!r} {reported.value.__cause__} {reported.value.__context__}"
            )
            assert reported.value.remedy
