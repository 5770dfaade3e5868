"""The gate that holds what was read against what the live release was made from: texts do not vanish overnight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.release.manifest import Gate
from nightrank.tasks.gates.rules import Incomparable
from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.told import characters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.read.account import Entry

NAME = "account"


def account_gate(
    now: Sequence[Entry],
    before: Sequence[Entry] | Incomparable,
    *,
    max_text_lost: float,
    most: tuple[int, int] = (0, 0),
    days: int | None = None,
) -> Gate:
    """Passes where not too much of the text that the live release was made from is gone.

    Looked at are documents that have a text and the characters of all texts; what is lost most decides. A column of
    texts that has got another name, or a source that holds half of its pages, keeps its documents and their titles,
    and often the first results with them, so that no other gate sees it.

    Args:
        now: The account of the new release.
        before: That of the live one.
        max_text_lost: The share that may be gone.
        most: Documents with a text, and characters, that there were at most within some days.
        days: How many.
    """
    if isinstance(before, Incomparable):
        return Gate.not_compared(NAME, before.reason, value=0.0, threshold=max_text_lost)
    names = "documents with a text", "characters of text"
    # What was taken down on purpose is not lost.
    kept, taken_down = characters_of(now), characters_of(now, Kind.RETRACTED)
    counts, held = tuple(map(sum, zip(kept, taken_down, strict=True))), f"within the last {days} days"
    compared = [
        *((name, "live", was, is_now) for name, was, is_now in zip(names, characters_of(before), counts, strict=True)),
        *((name, held, was, is_now) for name, was, is_now in zip(names, most, counts, strict=True) if was),
    ]
    # Of equals the first: the live release is what a person looks at.
    lost, name, when, was, is_now = max(
        (((was - is_now) / was if was else 0.0, name, when, was, is_now) for name, when, was, is_now in compared),
        key=lambda found: found[0],
    )
    reason = f"{was:,} {name} {when}, {is_now:,} now"
    reason += ", what was taken down counted in" if any(taken_down) else ""
    reason += f": {lost:.1%} are gone, up to {max_text_lost:.1%} may" if lost > 0 else ""
    value = max(lost, 0.0)
    return Gate(name=NAME, passed=value <= max_text_lost, value=value, threshold=max_text_lost, reason=reason)
