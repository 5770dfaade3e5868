"""Serving from Postgres.

A release is a table of its own, ``<name>_answers_<number>``, and what readers ask is the view ``<name>``:

    SELECT answer, alias_of FROM nightrank WHERE key = '...'

Table and switch are one transaction: an export that is killed leaves nothing. The rows are frozen as they are copied,
so that every transaction sees them, however old its snapshot is. The table is built while readers go on; the view is
replaced within milliseconds, and only where no reader stands in the way: Postgres gives it a moment at a time, so that
look-ups never queue up behind it. A statement locks what it reads, so that none ever reads two releases, or a table
that is gone. Tables that were replaced go with the first export after the grace.

``answer`` is text and no ``jsonb``, which cannot hold every text that JSON can (U+0000); cast it where you know yours.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg_pool import ConnectionPool, PoolTimeout

from nightrank.storage.errors import InputError, MachineError, TargetUnreachable, WorkspaceBusy
from nightrank.storage.keys import digest
from nightrank.storage.serving.export import counted
from nightrank.storage.serving.reader import KeyedReader, Served, StoredAnswer, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.serving.address import Address
    from nightrank.storage.serving.entries import ReleaseToServe

# By which a connection that cannot be made is known for the user's mistake; there is no code of an error for it.
_WRONG_ADDRESS = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "for connection option",
)
PATIENCE_SECONDS = 60.0  # for a reader that stands in the way of the switch
MOST_CONNECTIONS = 16  # of one reader

# Bare names of ours, which psycopg quotes; nothing else is ever put into a statement.
_LOCK = SQL("SELECT pg_try_advisory_xact_lock(%s)")
_LONG_WORK = SQL("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
_ENCODING = SQL("SELECT current_setting('server_encoding')")
_RELATIONS = SQL("SELECT to_regclass(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL")
_CREATE_EXPORTS = SQL(
    "CREATE TABLE IF NOT EXISTS {exports} (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "release_id text NOT NULL, exported_at timestamptz NOT NULL DEFAULT now(), replaced_at timestamptz)"
)
_INSERT_EXPORT = SQL("INSERT INTO {exports} (release_id) VALUES (%s) RETURNING number")
_CREATE_ANSWERS = SQL('CREATE TABLE {answers} (key text COLLATE "C" NOT NULL, alias_of text COLLATE "C", answer text)')
_COPY = SQL("COPY {answers} (key, alias_of, answer) FROM STDIN (FREEZE)")
_INDEX = SQL("ALTER TABLE {answers} ADD PRIMARY KEY (key)")
_ANALYZE = SQL("ANALYZE {answers}")
_PATIENCE = SQL("SET LOCAL lock_timeout = '100ms'")
_SWITCH = SQL(
    "CREATE OR REPLACE VIEW {view} AS SELECT key, alias_of, answer, {release_id}::text AS release_id, "
    "{queries}::bigint AS queries, {aliases}::bigint AS aliases, {told}::text AS answers FROM {answers}"
)
_REPLACED = SQL("UPDATE {exports} SET replaced_at = now() WHERE replaced_at IS NULL AND number <> %s")
_OLD = SQL("SELECT number FROM {exports} WHERE replaced_at < now() - make_interval(secs => %s) ORDER BY number")
_DROP = SQL("DROP TABLE IF EXISTS {answers}")
_FORGET = SQL("DELETE FROM {exports} WHERE number = %s")
_SERVED = SQL("SELECT * FROM {view} LIMIT 1")
_COUNT = SQL("SELECT count(*) FROM {view}")
_GET = SQL(
    "SELECT coalesce(found.answer, query.answer) FROM {view} AS found "
    "LEFT JOIN {view} AS query ON query.key = found.alias_of WHERE found.key = %s"
)


class PostgresTarget:
    """A view of a database.

    Args:
        address: Of the database.
        name: Of the view; the names of all else begin with it.
        grace_seconds: How long the table of the release before stays at least.
    """

    def __init__(self, address: Address, *, name: str, grace_seconds: int) -> None:
        self._address = address
        self._names = Names(name)
        self._grace_seconds = grace_seconds

    def served(self) -> Served | None:
        """What the view shows; None where that is nothing, or where rows are missing.

        Raises:
            InputError: The database does not let us in, or the name is something else's.
            TargetUnreachable: It does not answer.
        """
        with _translating_errors(self._address), _connect(self._address) as connection:
            if not self._is_ours(connection):
                return None
            served = _served(connection, self._names)
            [(entries,)] = connection.execute(self._names.put(_COUNT)).fetchall()
        return served if served is not None and entries == served.queries + served.aliases else None

    def replace(self, release: ReleaseToServe, *, on_entries: Callable[[int], None]) -> tuple[str, ...]:
        """Write a release into a table of its own, point the view at it, and drop tables of before the grace.

        Raises:
            InputError: The database does not let us in, or the name is something else's.
            TargetUnreachable: It does not answer, or readers stood in the way; what is live stays live.
            MachineError: It has no room.
            WorkspaceBusy: Another export is at work there.
        """
        names = self._names
        with _translating_errors(self._address), _connect(self._address) as connection:
            [(encoding,)] = connection.execute(_ENCODING).fetchall()
            if encoding != "UTF8":
                message = f"The database {self._address.shown} is encoded in {encoding}."
                raise InputError(message, remedy="Use one whose encoding is UTF8.")
            with connection.transaction():
                self._lock(connection)
                connection.execute(_LONG_WORK)
                self._is_ours(connection)
                connection.execute(names.put(_CREATE_EXPORTS))
                [(number,)] = connection.execute(names.put(_INSERT_EXPORT), [release.release_id]).fetchall()
                connection.execute(names.put(_CREATE_ANSWERS, number))
                with connection.cursor() as cursor, cursor.copy(names.put(_COPY, number)) as copy:
                    for entry in counted(release.entries(), on_entries):
                        answer = None if entry.alias_of else entry.document(release.release_id)
                        copy.write_row((entry.key, entry.alias_of, answer))
                connection.execute(names.put(_INDEX, number))
                connection.execute(names.put(_ANALYZE, number))
                connection.execute(names.put(_REPLACED), [number])
                release.require_unchanged()
                self._switch(connection, number, release.served)
            self._drop_replaced(connection)
        return ()

    def _lock(self, connection: psycopg.Connection) -> None:
        """One export at a time."""
        number = int(digest("nightrank export", self._names.name)[:15], 16)
        [(alone,)] = connection.execute(_LOCK, [number]).fetchall()
        if not alone:
            message = f"Another export is writing to {self._address.shown}."
            raise WorkspaceBusy(message, remedy="Wait for it to end, or stop it.")

    def _is_ours(self, connection: psycopg.Connection) -> bool:
        """Whether there is a view of ours.

        Raises:
            InputError: Something else has its name.
        """
        names = self._names
        relations = [Identifier(name).as_string(connection) for name in (names.name, names.exports)]
        [(is_there, has_exports)] = connection.execute(_RELATIONS, relations).fetchall()
        if is_there and not has_exports:
            message = f"{names.name} is there on {self._address.shown} and was not made by an export."
            raise InputError(message, remedy="Choose another name with --name or [export].name.")
        return bool(is_there)

    def _switch(self, connection: psycopg.Connection, number: int, served: Served) -> None:
        """Replace the view, a moment at a time: whoever waits for a lock makes all who come later wait too."""
        release_id, queries, aliases, told = map(Literal, served)
        statement = _SWITCH.format(
            release_id=release_id,
            queries=queries,
            aliases=aliases,
            told=told,
            view=self._names.view,
            answers=self._names.answers(number),
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with connection.transaction():
                    connection.execute(_PATIENCE)
                    connection.execute(statement)
            except errors.LockNotAvailable as error:
                if time.monotonic() >= deadline:
                    message = (
                        f"A reader of {self._address.shown} has stood in the way for {PATIENCE_SECONDS:g} seconds."
                    )
                    remedy = "End transactions that have read the view and stay open, and export again."
                    raise TargetUnreachable(message, remedy=remedy) from error
                time.sleep(0.5)
            else:
                return

    def _drop_replaced(self, connection: psycopg.Connection) -> None:
        """Drop what was replaced before the grace; what cannot be dropped now is left to the next export."""
        old = connection.execute(self._names.put(_OLD), [self._grace_seconds]).fetchall()
        for (number,) in old:
            with suppress(errors.LockNotAvailable), connection.transaction():
                connection.execute(_PATIENCE)
                connection.execute(self._names.put(_DROP, number))
                connection.execute(self._names.put(_FORGET), [number])


class PostgresReader(KeyedReader):
    """A reader of what a database serves now. Threads may share one.

    Raises:
        InputError: Nothing has been exported there, or the database does not let us in.
        TargetUnreachable: It does not answer.
    """

    def __init__(self, address: Address, *, name: str) -> None:
        self._address = address
        self._names = Names(name)
        self._get = self._names.put(_GET)
        with _translating_errors(address), _connect(address) as connection:
            _required(connection, self._names, address)  # told at once, and not by a pool that goes on trying
        self._pool: ConnectionPool[psycopg.Connection] = ConnectionPool(
            address.url,
            kwargs={**_options(address), "autocommit": True},
            min_size=1,
            max_size=MOST_CONNECTIONS,
            open=True,
        )

    def served(self) -> Served:
        """What is live now."""
        with _translating_errors(self._address), self._pool.connection() as connection:
            return _required(connection, self._names, self._address)

    def find(self, key: str) -> StoredAnswer | None:
        """What is stored for the key of a query, or of one of its aliases, in the release that is live now."""
        try:
            rows = self._ask(key)
        except TargetUnreachable:  # the server may have closed connections that lay idle, as when it begins anew
            self._pool.check()
            rows = self._ask(key)
        if not rows:
            return None
        answer = read_document(rows[0][0])
        assert isinstance(answer, StoredAnswer)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _ask(self, key: str) -> list[tuple[Any, ...]]:
        with _translating_errors(self._address), self._pool.connection() as connection:
            return connection.execute(self._get, [key]).fetchall()


class Names:
    """The names of the tables and of the view."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.exports = f"{name}_exports"
        self.view = Identifier(name)

    def answers(self, number: int) -> Identifier:
        """The table of one export."""
        return Identifier(f"{self.name}_answers_{number}")

    def put(self, statement: SQL, number: int = 0) -> Composed:
        """A statement with its names."""
        return statement.format(view=self.view, exports=Identifier(self.exports), answers=self.answers(number))


def _served(connection: psycopg.Connection, names: Names) -> Served | None:
    cursor = connection.cursor(row_factory=dict_row).execute(names.put(_SERVED))
    row = cursor.fetchone()
    # Of a view that an earlier version made, which tells nothing of answers.
    return None if row is None else Served(row["release_id"], row["queries"], row["aliases"], row.get("answers", ""))


def _required(connection: psycopg.Connection, names: Names, address: Address) -> Served:
    try:
        served = _served(connection, names)
    except (errors.UndefinedTable, errors.UndefinedColumn):
        served = None
    if served is None:
        message = f"Nothing has been exported to {address.shown} under the name {names.name!r}."
        raise InputError(message, remedy="Run `nightrank export`, or correct the name.")
    return served


def _options(address: Address) -> dict[str, Any]:
    password = {} if address.password is None else {"password": address.password}
    # Without prepared statements: behind PgBouncer the next transaction may have another connection, without them.
    return {"connect_timeout": 10, "application_name": "nightrank", "prepare_threshold": None, **password}


@contextmanager
def _connect(address: Address) -> Iterator[psycopg.Connection]:
    try:
        psycopg.conninfo.conninfo_to_dict(address.url)
    except psycopg.ProgrammingError:  # its words may repeat the address
        message = f"The address {address.shown} cannot be used."
        raise InputError(message, remedy="Write postgresql://user:password@host:5432/database.") from None
    with psycopg.connect(address.url, **_options(address), autocommit=True) as connection:
        yield connection


@contextmanager
def _translating_errors(address: Address) -> Iterator[None]:
    """Errors of the client library in our words."""
    where = address.shown
    try:
        yield
    except (errors.InsufficientPrivilege, errors.InvalidSchemaName) as error:
        message = f"{where} does not allow it: {_words(error)}."
        raise InputError(
            message, remedy="Grant this user USAGE and CREATE on the schema, or SELECT to readers."
        ) from error
    except (errors.DiskFull, errors.OutOfMemory) as error:
        message = f"{where} has no room for another release. What was live stays live."
        raise MachineError(message, remedy="It must hold three releases at a time: make room.") from error
    except (psycopg.OperationalError, PoolTimeout, psycopg.InterfaceError) as error:
        words = _words(error)
        if any(said in words for said in _WRONG_ADDRESS):
            message = f"{where} rejects the login: {words}."
            raise InputError(message, remedy="Correct user, password or database in the address.") from error
        message = f"{where} does not answer: {words}."
        raise TargetUnreachable(message, remedy="Check that it runs and can be reached, and try again.") from error
    except psycopg.Error as error:
        raise MachineError(f"{where} refused: {_words(error)}.", remedy="See its log.") from error


def _words(error: Exception) -> str:
    """The first line of what the server said."""
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:300].rstrip(".")
