"""Why there is no query to answer, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from nightrank.tasks.query_log.budget import Budget
    from nightrank.tasks.query_log.dropped import Tally
    from nightrank.tasks.read.bad_rows import SetAside
    from nightrank.tasks.settings.inputs import QueriesSettings


def nothing_to_answer(
    settings: QueriesSettings, tally: Tally, faults: SetAside, *, budget: Budget | None, rate: float
) -> InputError:
    """The error of a reading that leaves no query, of people or of documents.

    Args:
        settings: ``[queries]``.
        tally: What of the log was not kept.
        faults: Its bad rows.
        budget: What it could not pay for; None where people asked nothing that may be kept.
        rate: Pairs a second.
    """
    if budget is not None and budget.pairs is not None:
        return _too_small(settings, budget, rate)
    if settings.log is not None:
        return _nothing_usable(settings, tally, faults)
    if settings.from_documents is None:
        return InputError(
            "There is nothing to answer: [queries] names no log, and the documents are not to ask.",
            remedy='Name a log as [queries].log, or leave from_documents at "auto".',
        )
    return InputError(
        "There is no query log, and the documents ask nothing: they have no title, heading or phrase to ask by.",
        remedy="Name a log as [queries].log.",
    )


def _too_small(settings: QueriesSettings, budget: Budget, rate: float) -> InputError:
    return InputError(
        f"[queries].budget_seconds = {settings.budget_seconds} pays for no query: at {rate:g} pairs a second that is "
        f"{budget.pairs} pairs, and a query takes up to {budget.pairs_per_query}.",
        remedy="Raise `budget_seconds`, or `pairs_per_second` where the reranker is faster than it says.",
    )


def _nothing_usable(settings: QueriesSettings, tally: Tally, faults: SetAside) -> InputError:
    first = next(iter(faults.first), None)
    fault = "" if first is None else f" The first fault: {first.file}, row {first.row}: {first.reason}."
    dropped = ", ".join(f"{row['rows']} {row['reason']}" for row in tally.table().to_pylist())
    return InputError(
        f"The query log {settings.log} has no usable query. Rows not kept: {dropped}.{fault}",
        remedy="Give a log with a column `query`, or loosen the rules in [queries].",
    )
