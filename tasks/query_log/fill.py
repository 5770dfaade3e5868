"""Queries that the documents ask, where people asked too few: behind all of theirs, and fewer with each of theirs.

They are no traffic: their count is 0, and coverage, demand and what was dropped know nothing of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.tasks.personal_data import masked
from nightrank.tasks.query_log.budget import choose
from nightrank.tasks.query_log.near_form import near_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from nightrank.storage.records import Origin
    from nightrank.tasks.query_log.budget import Budget
    from nightrank.tasks.settings.inputs import QueriesSettings

WITHOUT_A_LOG = 200
"""Queries that are asked where there is no log: some minutes of reranking on two cores."""


class DocumentQuery(NamedTuple):
    """A query that documents ask: its text, normalised, and what of them asks it."""

    text: str
    origin: Origin


def asked_at_least(settings: QueriesSettings) -> int:
    """How many queries a release is to answer at least, whoever asks them; 0 where people alone do."""
    if settings.from_documents == "auto":
        return WITHOUT_A_LOG if settings.log is None else 0
    return settings.from_documents or 0


def fill_up(
    asked: Iterable[DocumentQuery],
    *,
    settings: QueriesSettings,
    people: AbstractSet[str],
    budget: Budget,
    known: Callable[[Sequence[str]], NDArray[np.bool_]],
) -> list[DocumentQuery]:
    """The queries of documents that a release answers beside people's.

    Args:
        asked: By the documents, those that are to be asked first at the head.
        settings: What becomes of personal data.
        people: Near forms of what people asked, and of what is not to be asked.
        budget: What people's queries leave of it.
        known: Whether the live release answers each of some texts (n,): bool (n,).
    """
    found: list[DocumentQuery] = []
    for query in asked:
        if len(found) >= budget.queries:
            break
        is_personal = settings.personal_data != "keep" and masked(query.text) != query.text
        if not is_personal and near_form(query.text) not in people:
            found.append(query)
    answered = known([query.text for query in found])
    chosen = choose(np.arange(len(found)), budget, known=answered, always=np.zeros(len(found), dtype=bool))
    return [found[number] for number in chosen.tolist()]
