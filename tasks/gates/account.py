"""The gate that holds what was read against what the live release was made from: texts do not vanish overnight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.release.manifest import Gate
from nightrank.tasks.gates.rules import Incomparable
from nightrank.tasks.read.told import characters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.read.account import Entry

NAME = "account"


def account_gate(now: Sequence[Entry], before: Sequence[Entry] | Incomparable, *, max_text_lost: float) -> Gate:
    """Passes where not too much of the text that the live release was made from is gone.

    Looked at are documents that have a text and the characters of all texts; what is lost most decides. A column of
    texts that has got another name, or a source that holds half of its pages, keeps its documents and their titles,
    and often the first results with them, so that no other gate sees it.

    Args:
        now: The account of the new release.
        before: That of the live one.
        max_text_lost: The share that may be gone.
    """
    if isinstance(before, Incomparable):
        reason = f"not compared: {before.reason}"
        return Gate(name=NAME, passed=True, value=0.0, threshold=max_text_lost, reason=reason)
    names = "documents with a text", "characters of text"
    compared = list(zip(names, characters_of(before), characters_of(now), strict=True))
    lost, name, was, is_now = max(
        ((was - is_now) / was if was else 0.0, name, was, is_now) for name, was, is_now in compared
    )
    reason = f"{was:,} {name} live, {is_now:,} now"
    reason += f": {lost:.1%} are gone, up to {max_text_lost:.1%} may" if lost > 0 else ""
    value = max(lost, 0.0)
    return Gate(name=NAME, passed=value <= max_text_lost, value=value, threshold=max_text_lost, reason=reason)
