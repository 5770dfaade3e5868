"""Impressions of a query log: what was shown, and what of it was opened, by the rules of ``[queries]``.

They are those of a server's own log (``storage.visits``), whose clicks are rows of their own and name their search's
impression; and of any log whose rows have ``shown``, a list of document ids, and ``clicked``, one or several of them.
Robots, the drop list, personal data and ``min_users`` hold as they do where queries are chosen.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.rates import BurstCounter
from nightrank.storage.records import BadRow
from nightrank.tasks.judgments.clicks.counts import ClickCounter
from nightrank.tasks.personal_data import kept
from nightrank.tasks.query_log.file.find import read_log
from nightrank.tasks.query_log.near_form import near_form
from nightrank.tasks.query_log.screen import count_rate, screen_of, sender_of
from nightrank.tasks.read.account import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nightrank.storage.records import JsonValue, LoggedQuery
    from nightrank.tasks.judgments.clicks.counts import ClickCounts
    from nightrank.tasks.query_log.screen import Screen
    from nightrank.tasks.settings.inputs import QueriesSettings

SALT_BYTES = 32

_Entry: TypeAlias = tuple[str, tuple[str, ...], set[int]]


@dataclass(frozen=True, slots=True)
class ImpressionsRead:
    """What was read of a log.

    Attributes:
        counts: Of the impressions that count.
        impressions: How many these are.
        without_list: Searches that do not say what was shown.
        lost_clicks: Clicks that belong to no impression, or to no document of theirs.
        too_few_users: Queries that ``min_users`` leaves out.
    """

    counts: ClickCounts
    impressions: int
    without_list: int
    lost_clicks: int
    too_few_users: int


@dataclass(slots=True)
class _Reading:
    """What one reading of a log gathers.

    Attributes:
        lists: By impression, or by the number of the row without one: the query, what was shown, what was opened.
        by_sender: What of ``lists`` a known user was shown: who asks the same and is shown the same again, counts once.
        users: Of each query, no more than are asked for.
        forms: How often each spelling of a query was asked, by what near-identical ones share.
    """

    lists: dict[str | int, _Entry] = field(default_factory=dict)
    clicks: list[tuple[str, JsonValue, int | None]] = field(default_factory=list)
    by_sender: dict[tuple[int, str, tuple[str, ...]], _Entry] = field(default_factory=dict)
    users: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    forms: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    without_list: int = 0
    lost_clicks: int = 0


def read_impressions(settings: QueriesSettings, *, base: Path, account: Account | None = None) -> ImpressionsRead:
    """The impressions of the log that settings name.

    Searches with a filter are left out: its words alone would not say what a query leaves out.

    Args:
        settings: Which log, by which rules.
        base: The folder that paths in them are relative to.
        account: Told what was taken for what; None: nobody is.

    Raises:
        InputError: The log or the drop list cannot be read, ``min_users`` lacks users, or no row says what was shown.
    """
    account, salt = account or Account(), secrets.token_bytes(SALT_BYTES)
    screen = screen_of(settings, base=base, salt=salt, account=account)
    if settings.max_per_minute:
        with BurstCounter() as counter:
            for row in _rows(settings, base, salt, Account()):
                count_rate(row, counter)
            screen = replace(screen, robots=counter.users_over(settings.max_per_minute))
    reading = _Reading()
    for number, row in enumerate(_rows(settings, base, salt, account)):
        _take(reading, row, number, screen, settings)
    if not reading.lists:
        raise InputError(
            f"No search of {settings.log} says which documents it showed.",
            remedy="Read what `nightrank serve` writes, or give your log a column `shown`: a list of document ids.",
        )
    for impression, document, rank in reading.clicks:
        if not _open(reading.lists.get(impression), document, rank):
            reading.lost_clicks += 1
    few = {query for query, _, _ in reading.lists.values() if len(reading.users[query]) < settings.min_users}
    few = few if settings.min_users > 1 else set()
    names = {form: min(texts, key=_most_frequent(texts)) for form, texts in reading.forms.items()}
    counter_of_clicks, impressions = ClickCounter(), 0
    for query, shown, opened in {id(entry): entry for entry in reading.lists.values()}.values():
        if query not in few:
            impressions += 1
            counter_of_clicks.add(names[query], shown, opened)
    return ImpressionsRead(counter_of_clicks.counts(), impressions, reading.without_list, reading.lost_clicks, len(few))


def _rows(settings: QueriesSettings, base: Path, salt: bytes, account: Account) -> Iterator[LoggedQuery]:
    return (row for row in read_log(settings, base=base, salt=salt, account=account) if not isinstance(row, BadRow))


def _take(reading: _Reading, row: LoggedQuery, number: int, screen: Screen, settings: QueriesSettings) -> None:
    """Add what a row says."""
    if row.condition is not None:
        return
    text = normalise_query(row.text)
    query = kept(text, settings.personal_data)
    if query is None or screen.reason_to_drop(row, text) is not None:
        return
    if row.count == 0:
        if row.impression is not None and row.clicked:
            reading.clicks.append((row.impression, row.clicked, row.rank))
        return
    if row.shown is None:
        reading.without_list += 1
        return
    form = near_form(query) if settings.merge == "near" else query
    reading.forms[form][query] += row.count
    query = form
    sender = sender_of(row)
    if sender is not None and len(reading.users[query]) < settings.min_users:
        reading.users[query].add(sender)
    entry: _Entry = (query, row.shown, set())
    if sender is not None:
        entry = reading.by_sender.setdefault((sender, query, row.shown), entry)
    reading.lists[number if row.impression is None else row.impression] = entry
    for document in row.clicked if isinstance(row.clicked, list) else [row.clicked] if row.clicked else []:
        if not _open(entry, document, row.rank):
            reading.lost_clicks += 1


def _open(entry: _Entry | None, document: JsonValue, rank: int | None) -> bool:
    """Note that a document of an impression was opened; whether there is one."""
    if entry is None:
        return False
    _, shown, opened = entry
    places = [place for place, one in enumerate(shown) if one == str(document)]
    if rank is not None:
        places = [place for place in places if place == rank - 1] or places
    if not places:
        return False
    opened.add(places[0])
    return True


def _most_frequent(texts: Counter[str]) -> Callable[[str], tuple[int, str]]:
    """The key by which the most frequent text is the least, the first by text among equals."""
    return lambda text: (-texts[text], text)
