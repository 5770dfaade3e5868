"""Personal data in a query: e-mail addresses, telephone numbers and numbers of payment cards, by their form alone.

No form catches everything: a name is no form. What guards against rare queries of any kind is ``min_users``.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

PersonalData: TypeAlias = Literal["drop", "mask", "keep"]

EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}")
FIGURES = re.compile(r"\d+(?:[ .-]\d+)*")
# How the numbers of cards begin and how long they are, by issuer; 13 digits are an article's number more often.
ISSUED = re.compile(
    r"""
      4\d{15}(?:\d{3})?                          # Visa
    | 5[1-5]\d{14} | 2(?:2[2-9]|[3-6]\d|7[0-2])\d{13}  # Mastercard
    | (?:5[06-9]|6\d)\d{12,17}                  # Maestro, Discover, UnionPay
    | 3[47]\d{13}                               # American Express
    | 3(?:0[0-5]|[689]\d)\d{11,16} | 35\d{14,17}  # Diners Club, JCB
    """,
    re.VERBOSE,
)
LONGEST_CARD = 19
# International (+49 30 123456, 0049 ...), North American (212-555-0100, (212) 555-0100), or a national number whose
# leading 0 is followed by groups (030 1234567, 0151/2345678). A bare run of digits is more often an article's number.
PHONE = re.compile(
    r"""
    (?<![\w.,/+-])
    (?:
        (?:\+|00)[ ]?[1-9]\d{0,2}(?:[ ./()-]{0,3}\d){6,12}
      | (?:1[ .-])?(?:\(\d{3}\)[ ]?|\d{3}[ .-])\d{3}[ .-]\d{4}
      | \(?0[1-9]\d{1,4}(?:\)[ ]?|[ ]?/[ ]?|[ -])\d{2,4}(?:[ -]?\d{2,4}){1,4}
    )
    (?![\w/-])
    """,
    re.VERBOSE,
)
FORMS = (("[email]", EMAIL), ("[phone]", PHONE))


def masked(text: str) -> str:
    """A text in which each piece of personal data is replaced by the name of its kind.

    Args:
        text: In Unicode NFKC, so that digits and signs of every width are the plain ones.

    >>> masked("invoice for jane.doe@example.org"), masked("call +49 30 1234567 now")
    ('invoice for [email]', 'call [phone] now')
    >>> masked("4111 1111 1111 1111"), masked("4111 1111 1111 1112")
    ('[card]', '4111 1111 1111 1112')
    """
    text = FIGURES.sub(_without_cards, text)
    for name, form in FORMS:
        text = form.sub(name, text)
    return text


def kept(text: str, how: PersonalData) -> str | None:
    """A text as a setting wants it kept; None where it is dropped.

    >>> [kept("write to a@b.org", how) for how in ("keep", "mask", "drop")]
    ['write to a@b.org', 'write to [email]', None]
    """
    if how == "keep":
        return text
    without = masked(text)
    return None if how == "drop" and without != text else without


def _without_cards(found: re.Match[str]) -> str:
    """A run of groups of digits, in which groups that make up a card's number are replaced.

    A check value or a date may stand before or behind the card, so each sequence of groups is tried, the longest first.
    """
    run, text = found[0], found.string
    groups = [(group.start(), group.end()) for group in re.finditer(r"\d+", run)]
    if found.start() and re.match(r"[\w.,/-]", text[found.start() - 1]):
        groups = groups[1:]  # a part of a word, of a decimal or of a path
    if re.match(r"[\w/-]", text[found.end() : found.end() + 1]):
        groups = groups[:-1]
    kept, done, place = [], 0, 0
    while place < len(groups):
        start = groups[place][0]
        size = _groups_of_card(run, groups[place : place + LONGEST_CARD])
        if size:
            kept.append(run[done:start] + "[card]")
            done = groups[place + size - 1][1]
        place += size or 1
    return "".join(kept) + run[done:]


def _groups_of_card(run: str, groups: list[tuple[int, int]]) -> int:
    """How many groups, from the first, make up a card's number; 0 where none do."""
    digits, found = "", 0
    for size, (start, end) in enumerate(groups, start=1):
        if len(digits) + end - start > LONGEST_CARD:
            break
        digits += run[start:end]
        if ISSUED.fullmatch(digits) and passes_luhn(digits):
            found = size
    return found


def passes_luhn(digits: str) -> bool:
    """Whether the digits of a text pass the check of ISO/IEC 7812-1, annex B, as those of every card do.

    >>> passes_luhn("79927398713"), passes_luhn("79927398710")
    (True, False)
    """
    values = [int(digit) for digit in digits if digit.isdigit()]
    doubled = sum(sum(divmod(2 * value, 10)) for value in values[-2::-2])
    return (sum(values[-1::-2]) + doubled) % 10 == 0
