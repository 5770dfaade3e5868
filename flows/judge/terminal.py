"""What people read of judgments in a terminal."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from nightrank.flows.terminal import plain, terminal

if TYPE_CHECKING:
    from nightrank.flows.judge.clicks import JudgedByClicks
    from nightrank.flows.judge.model import JudgedByModel
    from nightrank.flows.judge.people import JudgedByPeople, Waiting

FAILURES_SHOWN = 3
RANKS_SHOWN = 10
STEP = 10  # answers after which the terminal is told of them


def show_waiting(waiting: Waiting) -> None:
    """Where to judge."""
    what = f"{waiting.pairs:,} documents of {waiting.queries:,} queries wait"
    sys.stdout.write(f"{what} at {waiting.address} (this machine alone). Ctrl+C ends it; every key is saved.\n")
    sys.stdout.flush()


def show_judged_by_people(judged: JudgedByPeople) -> None:
    """What people judged, and how far they agree."""
    console = terminal()
    if judged.qrels is None:
        console.print("Nobody has judged anything yet.")
        return
    by = ", ".join(f"{plain(judge)} {count:,}" for judge, count in judged.judges.items())
    console.print(f"{judged.judged:,} judgments in {plain(str(judged.qrels))} ({by}).")
    for one in judged.agreements:
        found = one.agreement
        console.print(
            f"{plain(one.one)} and {plain(one.other)}: {found.pairs:,} pairs that both judged, kappa "
            f"{_number(found.kappa)}, weighted {_number(found.weighted_kappa)}."
        )
    console.print("Where judges differ, the median counts; of two grades their mean, rounded down.")
    console.print(f'To measure by them: [judgments] qrels = "{plain(judged.name)}"', highlight=False)


def show_judged_by_model(judged: JudgedByModel) -> None:
    """What a model judged, and how far it agrees with people."""
    console, found = terminal(), judged.found
    if judged.qrels is None:
        console.print("The model gave no grade.")
    else:
        console.print(f"{judged.judged:,} judgments in {plain(str(judged.qrels))}.")
    console.print(
        f"Of {found.pairs:,} pairs {found.answered:,} were asked now in {found.requests:,} requests, "
        f"{len(found.grades) + found.without_grade - found.answered:,} were remembered."
    )
    if found.without_grade:
        console.print(f"{found.without_grade:,} answers are no grade; they are kept, and not paid for again.")
    if found.left:
        console.print(f"{found.left:,} pairs wait for the next run.")
    for reason in found.failed[:FAILURES_SHOWN]:
        console.print(f"No answer: {plain(reason)}", style="yellow", highlight=False)
    if judged.agreement is None:
        return
    console.print(f"Agreement {judged.agreement.told}.")
    if judged.agreement.why_not:
        console.print(f"Advisory: {judged.agreement.why_not}. No gate rests on them.", style="yellow", highlight=False)
    else:
        console.print("Agreement is shown: gates rest on them where [judgments].qrels names them.")


def show_judged_by_clicks(judged: JudgedByClicks) -> None:
    """What clicks say, and what that rests on."""
    console, found, read = terminal(), judged.found, judged.read
    if judged.qrels is None:
        console.print("Clicks say too little: no document was looked at often enough and opened.")
    else:
        console.print(f"{len(found.judgments):,} judgments of {found.queries:,} queries in {plain(str(judged.qrels))}.")
    console.print(f"Read of {plain(judged.log)}: {read.impressions:,} searches, {found.clicks:,} clicks.")
    looks = ", ".join(f"{value:.2f}" for value in found.propensities[:RANKS_SHOWN])
    how = "estimated" if found.estimated else "not estimated: too few documents were shown at several ranks, or given"
    console.print(f"Propensities of a look by rank ({how}): {looks}.", highlight=False)
    for count, what in (
        (read.without_list, "searches do not say what they showed"),
        (read.lost_clicks, "clicks are on nothing that was shown"),
        (read.too_few_users, "queries have fewer users than [queries].min_users"),
    ):
        if count:
            console.print(f"{count:,} {what}; they do not count.", style="yellow", highlight=False)
    if judged.qrels is not None:
        console.print(f'To measure by them: [judgments] qrels = "{plain(judged.name)}"', highlight=False)


def show_progress(answered: int, wanted: int) -> None:
    """How far asking is; on standard error, so that standard output is the outcome alone."""
    if answered % STEP == 0 or answered == wanted:
        sys.stderr.write(f"{answered:,} of {wanted:,} answered\n")


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "unknown"
