"""Which queries are suggested to others while they type."""

from __future__ import annotations

from nightrank.tasks.personal_data import has_personal_data

LONGEST = 100  # characters; what is longer is no query that somebody types to its end


def may_suggest(text: str) -> bool:
    """Whether a query is suggested: not where it holds personal data, whatever the settings keep of these.

    Args:
        text: Normalised; one that enough users sent.

    >>> [may_suggest(text) for text in ("read a csv file", "mail to a@b.org", "mail to [email]", "x" * 101)]
    [True, False, False, False]
    """
    return len(text) <= LONGEST and not has_personal_data(text)
