"""Aliases of a query: which of them are one, and which form stands for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nightrank.tasks.query_log.near_form import near_form
from nightrank.tasks.query_log.traffic import totals

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.query_log.traffic import Entries, Traffic

Form = TypeVar("Form")


def group_aliases(aliases: Sequence[Form], *, key: Callable[[Form], Hashable]) -> NDArray[np.int64]:
    """Which query each form belongs to.

    Args:
        aliases: (n,), distinct.
        key: What aliases of one query share.

    Returns:
        Group numbers int64 (n,), in the order in which groups come.

    >>> group_aliases(["a", "b", "a?"], key=near_form).tolist()
    [0, 1, 0]
    """
    numbers: dict[Hashable, int] = {}
    groups = (numbers.setdefault(key(form), len(numbers)) for form in aliases)
    return np.fromiter(groups, np.int64, len(aliases))


@dataclass(frozen=True, slots=True)
class Merged:
    """The queries of a log, each with all its aliases.

    Attributes:
        texts: The most frequent form of each, the first by text among equals, (n,).
        conditions: The canonical text of each query's filter, (n,); None without one.
        aliases: The other aliases of each, by text, (n,).
        query_ids: Of all aliases, in the order met, (n,).
        users: How many distinct users each had, counted no further than was asked for, int64 (n,); 0 where each of its
            forms is one person's, and such forms are not kept.
        counts: Searches of each, int64 (n,).
        rows: Rows of the log of each, int64 (n,).
        watched: Searches of each that would show clicks, int64 (n,).
        clicks: Clicks after searches of each, int64 (n,).
        entries: By query and day.
    """

    texts: list[str]
    conditions: list[str | None]
    aliases: list[list[str]]
    query_ids: list[list[str]]
    users: NDArray[np.int64]
    counts: NDArray[np.int64]
    rows: NDArray[np.int64]
    watched: NDArray[np.int64]
    clicks: NDArray[np.int64]
    entries: Entries

    @property
    def names(self) -> list[str]:
        """What tells each query from all others, (n,): its text, with its filter in a line of its own."""
        if not any(self.conditions):
            return self.texts
        named = zip(self.texts, self.conditions, strict=True)
        return [text if condition is None else f"{text}\n{condition}" for text, condition in named]


def merge_aliases(traffic: Traffic, *, near: bool, keeps_single: bool = True) -> Merged:
    """The queries of a log.

    Args:
        traffic: By distinct text and filter.
        near: Whether near-identical texts with the same filter are one query; else each text is one.
        keeps_single: Whether forms are kept that only one person typed; else they count as traffic alone.
    """
    texts, same = traffic.texts, near_form if near else str
    queries = list(zip(texts, traffic.conditions, strict=True))
    groups = group_aliases(queries, key=lambda query: (same(query[0]), query[1]))
    counts = totals(traffic.entries, traffic.entries.counts, size=len(texts))
    members: list[list[int]] = [[] for _ in range(int(groups.max(initial=-1)) + 1)]
    for form, group in enumerate(groups.tolist()):
        members[group].append(form)
    is_shared = [keeps_single or len(users) > 1 for users in traffic.users]
    kept = [min(aliases, key=lambda form: (not is_shared[form], -counts[form], texts[form])) for aliases in members]
    entries = traffic.entries.renumbered(groups)
    users = [
        len(frozenset().union(*(traffic.users[form] for form in aliases))) * any(is_shared[form] for form in aliases)
        for aliases in members
    ]
    return Merged(
        texts=[texts[form] for form in kept],
        conditions=[traffic.conditions[form] for form in kept],
        aliases=[
            sorted(texts[form] for form in aliases if form != first and is_shared[form])
            for aliases, first in zip(members, kept, strict=True)
        ],
        query_ids=[[query_id for form in aliases for query_id in traffic.query_ids[form]] for aliases in members],
        users=np.array(users, dtype=np.int64),
        counts=totals(entries, entries.counts, size=len(kept)),
        rows=totals(entries, entries.rows, size=len(kept)),
        watched=_added_up(groups, traffic.watched, size=len(kept)),
        clicks=_added_up(groups, traffic.clicks, size=len(kept)),
        entries=entries,
    )


def _added_up(groups: NDArray[np.int64], values: Sequence[int], *, size: int) -> NDArray[np.int64]:
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, groups, np.array(values, dtype=np.int64))
    return sums
