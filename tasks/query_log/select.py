"""The queries of a release: from the rows of a log to the texts that are answered in advance, and what that covers."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query, query_key
from nightrank.storage.rates import BurstCounter
from nightrank.storage.records import QUERIES, WATCHED, BadRow, ids_or_words
from nightrank.tasks.personal_data import masked, names_persons
from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.budget import Budget, choose
from nightrank.tasks.query_log.coverage import Candidates, coverage_curve
from nightrank.tasks.query_log.demand import PLAIN_FREQUENCY, Rule, by_demand, demand
from nightrank.tasks.query_log.dropped import (
    AGENT,
    BAD_ROW,
    BURST,
    FILTER,
    LISTED,
    NO_TRAFFIC,
    OVER_BUDGET,
    PERSONAL,
    TOO_FEW_USERS,
    Tally,
)
from nightrank.tasks.query_log.file.find import read_log
from nightrank.tasks.query_log.fill import DocumentQuery, asked_at_least, fill_up
from nightrank.tasks.query_log.later_day import later_day
from nightrank.tasks.query_log.near_form import near_form
from nightrank.tasks.query_log.nothing import nothing_to_answer
from nightrank.tasks.query_log.screen import count_rate, screen_of
from nightrank.tasks.query_log.traffic import TrafficCounter
from nightrank.tasks.read.account import Account, Kind
from nightrank.tasks.read.bad_rows import SetAside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.files.parquet import RowWriter
    from nightrank.storage.release.files import Queries
    from nightrank.tasks.query_log.aliases import Merged
    from nightrank.tasks.query_log.screen import Screen
    from nightrank.tasks.query_log.traffic import Traffic
    from nightrank.tasks.settings.inputs import QueriesSettings
    from nightrank.tasks.settings.whole import Settings

    # Why some filters, given by their canonical texts, cannot be applied to tonight's documents.
    Refuse = Callable[[Collection[str]], Mapping[str, str]]
    # The queries that tonight's documents ask, those that are to be asked first at the head.
    AskDocuments = Callable[[], Iterable[DocumentQuery]]

SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class LogToRead:
    """A query log, if there is one, and what decides which queries are answered.

    Attributes:
        settings: Which log, by which rules, and what the reranker costs.
        base: The folder that paths in them are relative to.
        pairs_per_second: How fast the reranker was when it was last measured; None where it never was.
        answered: The queries of the live release, where a budget in seconds asks for them; None where it does not.
    """

    settings: Settings
    base: Path
    pairs_per_second: float | None = None
    answered: Queries | None = None


@dataclass(frozen=True, slots=True)
class QueriesRead:
    """What became of a log.

    Attributes:
        queries: The chosen ones, schema QUERIES.
        curve: How much of a later day's traffic a budget answers, schema COVERAGE.
        later_day: That day, schema LATER_DAY; None where no near answers are tried on it.
        dropped: What of the log was not kept, schema DROPPED.
        watched: Searches and clicks of each chosen query, schema WATCHED, where the log would show clicks.
        bad: Rows that were set aside.
        coverage: Share of the people's traffic that the chosen queries answer; what robots sent and what the drop
            list names is no part of it. None where people asked nothing.
        screened: Share of all traffic that robots sent or the drop list names.
    """

    queries: pa.Table
    curve: pa.Table
    later_day: pa.Table | None
    dropped: pa.Table
    watched: pa.Table
    bad: int
    coverage: float | None
    screened: float


def read_queries(
    log: LogToRead,
    bad: RowWriter,
    *,
    judged: AbstractSet[str],
    refuse: Refuse,
    ask_documents: AskDocuments,
    account: Account,
) -> QueriesRead:
    """Read the log and choose the queries; where people's are too few, the documents' own come behind them.

    Args:
        log: It, and the rules.
        bad: Takes the rows that are set aside.
        judged: Ids of judged queries; a query without an id is known by its words.
        refuse: Says which filters cannot be applied; asked where the log has any.
        ask_documents: Gives the documents' own queries; asked where people's are too few.
        account: Told what was taken for what.

    Raises:
        InputError: The log or the drop list cannot be read, too many rows are bad, ``min_users`` lacks users, or
            nothing usable is left, or nothing that the budget pays for.
    """
    settings = log.settings.queries
    traffic, tally, faults = _read_log(log, bad, refuse, account)
    if settings.log is not None and settings.min_users > 1 and not traffic.has_users:
        message = f"[queries].min_users = {settings.min_users} needs users, and {settings.log} has no column `user`."
        raise InputError(message, remedy="Give the log a column `user`, or leave `min_users` out.")
    merged = merge_aliases(traffic, near=settings.merge == "near", keeps_single=settings.min_users <= 1)
    named = ids_or_words(merged.texts, merged.query_ids, merged.aliases, merged.conditions, judged=judged)
    merged = replace(merged, query_ids=named)
    allowed = merged.users >= settings.min_users if settings.min_users > 1 else np.ones(len(merged.texts), dtype=bool)
    budget = _budget(log)
    chosen = _choose(log, merged, allowed, budget, judged=judged)
    _count_left_out(tally, merged, allowed=allowed, chosen=chosen)
    of_documents = _of_documents(log, merged, budget, allowed=allowed, chosen=chosen, ask_documents=ask_documents)
    if chosen.size == 0 and not of_documents:
        is_poor = allowed.any() or (budget.pairs is not None and budget.pairs < budget.pairs_per_query)
        raise nothing_to_answer(settings, tally, faults, budget=budget if is_poor else None, rate=_rate(log))
    total = int(merged.counts.sum()) + sum(traffic.unanswered.values())
    screened = tally.traffic_of(BURST, AGENT, LISTED)
    ours = Candidates(merged.names, merged.entries, allowed, _known(log, merged.texts, merged.conditions))
    return QueriesRead(
        queries=pa.concat_tables([_queries_table(merged, chosen), _table_of_documents(of_documents, judged)]),
        curve=_coverage(log, traffic, ours),
        later_day=later_day(ours, _rule(settings), merged, unanswered=traffic.unanswered, budget=settings.budget)
        if log.settings.near.is_on
        else None,
        dropped=tally.table(),
        watched=_watched(merged, chosen),
        bad=faults.bad + tally.rows_of(FILTER),
        coverage=int(merged.counts[chosen].sum()) / total if total else None,
        screened=screened / (screened + total) if screened else 0.0,
    )


def _read_log(log: LogToRead, bad: RowWriter, refuse: Refuse, account: Account) -> tuple[Traffic, Tally, SetAside]:
    """The traffic of people; the log is read again without robots and refused filters where there are any.

    Which rows are bad is known from the first reading, so they are written then, and none is held.
    """
    settings = log.settings.queries
    if settings.log is None:
        return TrafficCounter(most_users=settings.min_users).traffic(), Tally(), SetAside()
    salt = secrets.token_bytes(SALT_BYTES)  # of this reading alone: nothing that is stored depends on it
    screen = screen_of(settings, base=log.base, salt=salt, account=account)
    with BurstCounter() as counter:
        read = _count_rows(log, screen, bad, salt=salt, counter=counter, account=account)
        read[2].refuse_too_many(
            name=settings.log,
            section="queries",
            share=settings.max_bad_row_share,
            allowed=settings.allowed_bad_rows,
            remedy="say in [queries.columns] which column is what",
        )
        robots = counter.users_over(settings.max_per_minute) if settings.max_per_minute else frozenset()
    conditions = {condition for condition in read[0].conditions if condition is not None}
    refused = refuse(sorted(conditions)) if conditions else {}
    if not robots and not refused:
        return read
    del read  # before the same is counted again
    screen = replace(screen, robots=robots, refused=refused)
    return _count_rows(log, screen, bad, salt=salt, counter=None, account=Account())


def _count_rows(
    log: LogToRead, screen: Screen, bad: RowWriter, *, salt: bytes, counter: BurstCounter | None, account: Account
) -> tuple[Traffic, Tally, SetAside]:
    """The traffic that a screen lets through; bad rows are written in a first reading, which has a counter of rates."""
    settings = log.settings.queries
    tally, faults = Tally(), SetAside()
    traffic = TrafficCounter(most_users=settings.min_users)
    for row in read_log(settings, base=log.base, salt=salt, account=account):
        faults.rows += 1
        if isinstance(row, BadRow):
            faults.add(row)
            account.add_bad_row("queries", row.reason, where=f"{row.file}, row {row.row}")
            if counter is not None:
                bad.write(asdict(row))
            tally.add(BAD_ROW, traffic=0)
            continue
        if row.count == 0 and not row.clicked:
            account.add("queries", Kind.SKIPPED, NO_TRAFFIC, where=f"{row.file}, row {row.row}")
            tally.add(NO_TRAFFIC, traffic=0)
            continue
        text = normalise_query(row.text)
        if (reason := screen.reason_to_drop(row, text)) is not None:
            tally.add(reason, traffic=row.count)
            if reason == FILTER and row.condition is not None:
                bad.write(asdict(BadRow(row.file, row.row, masked(screen.refused[row.condition]))))
                traffic.add_unanswered(row)
            continue
        if counter is not None and settings.max_per_minute:
            count_rate(row, counter)
        without = text if settings.personal_data == "keep" else masked(text)
        is_dropped = without != text and settings.personal_data == "drop"
        names_some = settings.personal_data != "keep" and row.condition is not None and names_persons(row.condition)
        if is_dropped or names_some:
            tally.add(PERSONAL, traffic=row.count)
            traffic.add_unanswered(row)
        else:
            traffic.add(row, without)
    return traffic.traffic(), tally, faults


def _budget(log: LogToRead) -> Budget:
    settings, seconds = log.settings.queries, log.settings.queries.budget_seconds
    return Budget(
        queries=settings.budget,
        pairs=None if seconds is None else int(seconds * _rate(log)),
        pairs_per_query=_pairs_per_query(log),
    )


def _rate(log: LogToRead) -> float:
    """Pairs a second: as measured, else as the settings say."""
    return log.settings.queries.pairs_per_second if log.pairs_per_second is None else log.pairs_per_second


def _choose(
    log: LogToRead, merged: Merged, allowed: NDArray[np.bool_], budget: Budget, *, judged: AbstractSet[str]
) -> NDArray[np.int64]:
    settings = log.settings.queries
    demands = demand(merged.entries, size=len(merged.texts), rule=_rule(settings))
    order = by_demand(demands, merged.counts, merged.names, among=np.flatnonzero(allowed))
    is_judged = [settings.always_judged and not judged.isdisjoint(ids) for ids in merged.query_ids]
    known = _known(log, merged.texts, merged.conditions)
    return choose(order, budget, known=known, always=np.array(is_judged, dtype=bool))


def _of_documents(
    log: LogToRead,
    merged: Merged,
    budget: Budget,
    *,
    allowed: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    ask_documents: AskDocuments,
) -> list[DocumentQuery]:
    """What the documents ask beside the chosen queries of people."""
    settings = log.settings.queries
    wanted = min(asked_at_least(settings), budget.queries) - chosen.size
    if wanted <= 0:
        return []
    drop_list = screen_of(settings, base=log.base, salt=b"", account=Account()).listed
    plain = (merged.texts[number] for number in np.flatnonzero(allowed) if merged.conditions[number] is None)
    people = {near_form(text) for text in plain} | drop_list.queries
    new = int((~_known(log, merged.texts, merged.conditions)[chosen]).sum())
    left = None if budget.pairs is None else max(0, budget.pairs - new * budget.pairs_per_query)
    return fill_up(
        ask_documents(),
        settings=settings,
        people=people,
        budget=replace(budget, queries=wanted, pairs=left),
        known=lambda texts: _known(log, texts, [None] * len(texts)),
    )


def _rule(settings: QueriesSettings) -> Rule:
    return Rule(half_life_days=settings.half_life_days, count_exponent=settings.count_exponent)


def _pairs_per_query(log: LogToRead) -> int:
    """What a new query costs at most."""
    settings = log.settings
    without = settings.reranker.model == "none"
    depth = min(settings.reranker.depth, settings.retrieval.candidate_depth)
    by_document = settings.results.unit == "document"
    return 0 if without else depth * (settings.retrieval.chunks_per_document if by_document else 1)


def _known(log: LogToRead, texts: Sequence[str], conditions: Sequence[str | None]) -> NDArray[np.bool_]:
    """Whether the live release answers each query (n,), as far as a budget in seconds asks for it: bool (n,)."""
    if log.answered is None:
        return np.zeros(len(texts), dtype=bool)
    keys = log.answered.read(["query_key"]).column(0)
    asked = pa.array(map(query_key, texts, conditions), pa.string())
    found = pc.is_in(asked, value_set=keys.combine_chunks())
    known: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return known


def _queries_table(merged: Merged, chosen: NDArray[np.int64]) -> pa.Table:
    """The chosen queries, schema QUERIES."""
    numbers = chosen.tolist()
    columns = {
        "query_key": [query_key(merged.texts[number], merged.conditions[number]) for number in numbers],
        "text": [merged.texts[number] for number in numbers],
        "count": merged.counts[chosen].tolist(),
        "query_ids": [merged.query_ids[number] for number in numbers],
        "aliases": [merged.aliases[number] for number in numbers],
        "filter": [merged.conditions[number] for number in numbers],
        "origin": ["log"] * len(numbers),
    }
    return pa.Table.from_pydict(columns, schema=QUERIES)


def _table_of_documents(asked: Sequence[DocumentQuery], judged: AbstractSet[str]) -> pa.Table:
    """The queries of documents, schema QUERIES; judgments name them by their words."""
    nothing: list[list[str]] = [[]] * len(asked)
    columns = {
        "query_key": [query_key(query.text) for query in asked],
        "text": [query.text for query in asked],
        "count": [0] * len(asked),
        "query_ids": ids_or_words(
            [query.text for query in asked], nothing, nothing, [None] * len(asked), judged=judged
        ),
        "aliases": nothing,
        "filter": [None] * len(asked),
        "origin": [query.origin for query in asked],
    }
    return pa.Table.from_pydict(columns, schema=QUERIES)


def _watched(merged: Merged, chosen: NDArray[np.int64]) -> pa.Table:
    """The searches of chosen queries that would show clicks, and their clicks, schema WATCHED."""
    shown = chosen[merged.watched[chosen] > 0]
    columns = {
        "query_key": [query_key(merged.texts[number], merged.conditions[number]) for number in shown.tolist()],
        "searches": merged.watched[shown],
        "clicks": merged.clicks[shown],
    }
    return pa.Table.from_pydict(columns, schema=WATCHED)


def _coverage(log: LogToRead, traffic: Traffic, ours: Candidates) -> pa.Table:
    """Coverage by our rule, and by plain frequency of the texts as they came."""
    single = merge_aliases(traffic, near=False)
    users = np.array([len(users) for users in traffic.users])
    least = log.settings.queries.min_users
    plain = Candidates(
        single.names,
        single.entries,
        users >= least if least > 1 else np.ones(len(single.texts), dtype=bool),
        _known(log, single.texts, single.conditions),
    )
    return coverage_curve(
        {"chosen": (ours, _rule(log.settings.queries)), "frequency": (plain, PLAIN_FREQUENCY)},
        unanswered=traffic.unanswered,
        budget=log.settings.queries.budget,
        pairs_per_query=_pairs_per_query(log),
    )


def _count_left_out(tally: Tally, merged: Merged, *, allowed: NDArray[np.bool_], chosen: NDArray[np.int64]) -> None:
    """Count what was left out after the log was read."""
    over = allowed.copy()
    over[chosen] = False
    for reason, mask in ((TOO_FEW_USERS, ~allowed), (OVER_BUDGET, over)):
        tally.add(reason, rows=int(merged.rows[mask].sum()), traffic=int(merged.counts[mask].sum()))
