"""The form that near-identical queries share."""

from __future__ import annotations

import re

# A dash beside a letter: covid-19, e-mail, not 2019-2020, not a leading minus.
HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u2010-\u2015](?=[^\W_])|(?<=\d)[-\u2010-\u2015](?=[^\W\d_])")
END = " ?!.,;:\u2026\u061f\u3002"  # other signs can be a name's: c++, c#, yes*
START = " \u00bf\u00a1"
APOSTROPHES = str.maketrans("\u2019\u2018\u02bc", "'''")


def near_form(text: str) -> str:
    """What near-identical queries share: no punctuation at the end, hyphens as spaces, one kind of apostrophe.

    Nothing that may carry a meaning goes: accents, digits, word order, plural, a dot in front (``.net``), signs of
    names (``c++``), quotation marks. A text of punctuation alone stays as it is.

    Args:
        text: Normalised.

    >>> near_form("what is e-mail ?"), near_form("c++"), near_form("2019-2020"), near_form("?!")
    ('what is e mail', 'c++', '2019-2020', '?!')
    """
    plain = HYPHEN.sub(" ", text.translate(APOSTROPHES)).rstrip(END).lstrip(START)
    return " ".join(plain.split()) or text
