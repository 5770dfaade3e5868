"""Rows of a query log that no person sent, or that the user wants out: robots, replays, a list of queries and users."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import BadRow
from nightrank.tasks.query_log.dropped import AGENT, BURST, FILTER, LISTED
from nightrank.tasks.query_log.file.rows import MAX_ROW_BYTES, hashed
from nightrank.tasks.query_log.near_form import near_form
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.names import DROP_LIST
from nightrank.tasks.read.tables.rows import read_rows
from nightrank.tasks.read.values import number_as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nightrank.storage.rates import BurstCounter
    from nightrank.storage.records import LoggedQuery
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.inputs import QueriesSettings

DATE_LENGTH = len("2024-06-03")
MIDNIGHT = time()


@dataclass(frozen=True, slots=True)
class DropList:
    """What is not to be kept.

    Attributes:
        queries: Near forms of texts.
        users: What stands for users in this reading of the log.
    """

    queries: frozenset[str] = frozenset()
    users: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Screen:
    """The rules by which rows of a log are dropped.

    Attributes:
        agents: Parts of user agents, case folded.
        listed: The drop list.
        robots: Who sent too many queries in a minute.
        refused: Why filters cannot be applied, by their canonical texts.
    """

    agents: tuple[str, ...]
    listed: DropList
    robots: frozenset[int] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)

    def reason_to_drop(self, row: LoggedQuery, text: str) -> str | None:
        """Why a row is not kept, one of ``tasks.query_log.dropped.REASONS``; None where it is.

        Args:
            row: Of the log.
            text: Its query, normalised.
        """
        if row.user_agent:
            agent = row.user_agent.casefold()
            if any(part in agent for part in self.agents):
                return AGENT
        if row.user in self.listed.users or (self.listed.queries and near_form(text) in self.listed.queries):
            return LISTED
        if sender_of(row) in self.robots:
            return BURST
        return FILTER if row.condition in self.refused else None


def screen_of(settings: QueriesSettings, *, base: Path, salt: bytes, account: Account) -> Screen:
    """The rules of ``[queries]``; who sends too much is not known yet.

    Args:
        settings: The rules.
        base: The folder that paths in them are relative to.
        salt: As for the log.
        account: Told what was taken for what.

    Raises:
        InputError: The drop list cannot be read.
    """
    listed = DropList()
    if settings.drop_list is not None:
        listed = read_drop_list(base / settings.drop_list, name=settings.drop_list, salt=salt, account=account)
    return Screen(tuple(part.casefold() for part in settings.robot_agents), listed)


def sender_of(row: LoggedQuery) -> int | None:
    """Whose rate counts: the user's, or the session's where no user is given."""
    return row.session if row.user is None else row.user


def count_rate(row: LoggedQuery, counter: BurstCounter) -> None:
    """Count a search, or searches that were added up, by their sender and minute, where both are known.

    A date alone is no time of day, and neither is midnight to the second: whole days are written so. A count above 1
    says how many searches were added up, and not within which time. What is no search, such as a click, is not counted.
    """
    if row.count == 0:
        return
    sender = sender_of(row)
    if sender is not None and row.timestamp is not None and len(row.timestamp) > DATE_LENGTH:
        at = datetime.fromisoformat(row.timestamp)
        if at.time() != MIDNIGHT:
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            counter.add(sender, minute=int(at.timestamp() // 60), queries=1)


def read_drop_list(path: Path, *, name: str, salt: bytes, account: Account) -> DropList:
    """A list of queries and users whose rows are not to be kept.

    Args:
        path: A table of any form that a log may have, with ``query``, or ``user`` (or ``user_id``), or both.
        name: What the user calls it.
        salt: As for the log.
        account: Told what was taken for what.

    Raises:
        InputError: It cannot be read as a whole, or a row cannot: what it was to drop would be kept.
    """
    queries: set[str] = set()
    users: set[int] = set()
    columns = Columns(DROP_LIST, {})
    for row in read_rows(InputFile(path, name, "queries", account), columns, max_bytes=MAX_ROW_BYTES):
        if isinstance(row, BadRow):
            raise InputError(f"{name}, row {row.row}: {row.reason}.", remedy="Correct or remove that row.")
        taken = columns.taken(tuple(row.values)).columns
        if not taken:
            message = f"{name}, row {row.number}: there is neither a query nor a user."
            raise InputError(message, remedy="Give the drop list a column `query` or `user`.")
        text = number_as_text(next((row.values[column] for column in taken.get("query", ())), None))
        if text is not None and not isinstance(text, str):
            raise InputError(f"{name}, row {row.number}: the query is not a text.", remedy="Write it as a text.")
        if text and (normalised := normalise_query(text)):
            queries.add(near_form(normalised))
        found = (hashed(row.values[column], salt=salt) for column in taken.get("user", ()))
        users.update(user for user in found if user is not None)
    return DropList(frozenset(queries), frozenset(users))
