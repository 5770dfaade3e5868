"""Personal data in a text: e-mail addresses, numbers of telephones, payment cards and bank accounts, by their form.

No form catches everything: a name is no form. What guards against rare queries of any kind is ``min_users``. Numbers
are known by libraries that follow the numbering plans; what they are asked about is only what is written as people
write such numbers, since a bare run of digits is an article's number more often.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from nightrank.storage.characters import visible
from nightrank.storage.filters.language import leaves, parse_filter, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PersonalData: TypeAlias = Literal["drop", "mask", "keep"]

KINDS = ("[email]", "[phone]", "[card]", "[iban]")
"""What stands for personal data where it is masked."""

REGIONS = ("US", "GB", "DE", "FR", "NL", "BE", "CH", "AT", "SE", "FI", "IE", "IT", "JP", "KR", "AU", "NZ", "ZA", "IN")
"""Whose telephone numbers are known where they are written without a country's code."""
ATOM = r"[\w.!#$%&'*+/=?~-]"
EMAIL = re.compile(
    rf"(?:(?<!{ATOM}){ATOM}++(?<=[\w+-])|\"[^\"\n]{{1,64}}\")"
    r"(?:@|\s@\s|\s?(?:\(at\)|\[at\])\s?)[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}"
)
GROUPS = re.compile(r"\d+(?:[ .-]{1,3}\d+)*")
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
LONGEST_ACCOUNT = 34
ACCOUNT = re.compile(r"(?<!\w)[a-z]{2}\d{2}[a-z0-9]*+", re.IGNORECASE)
MORE_OF_ACCOUNT = re.compile(r"[ -]{1,3}([a-z0-9]{1,30}+)(?!\w)", re.IGNORECASE)
INTERNATIONAL = re.compile(r"(?<![\w.,/+-])(?:\+|00)[ ]?[1-9](?:[ ./()-]{0,3}\d){6,14}(?![\w/-]|[.,]\d)")
NATIONAL = re.compile(r"(?<![\w.,/+-])\(?0[1-9](?:[ ./()-]{0,3}\d){6,10}(?![\w/-]|[.,]\d)")
NORTH_AMERICAN = re.compile(
    r"(?<![\w.,/+-])(?:1[ .-]{1,3})?(?:\(\d{3}\)[ ]{0,2}|\d{3}[ .-]{1,3})\d{3}[ .-]{1,3}\d{4}(?![\w/-]|[.,]\d)"
)
DATE = re.compile(
    r"""
      \(?\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2}(?!\1\d))\b  # and no five pairs of figures, as in France
    | \(?\d{1,2}[ ]\d{1,2}[ ](?:19|20)\d\d\b
    | \d{1,2}[.:]\d\d[ ]?-[ ]?\d{1,2}[.:]\d\d\b  # from one time of day to another
    """,
    re.VERBOSE,
)
SEPARATED = re.compile(r"\d\D+\d")
FEWEST_DIGITS = 7
ID_CHARACTERS = 20
MENDED_IDS = "query ids with personal data, hashed"


class _Plain(dict[int, str]):
    """Characters as they are looked at, one for one: every dash, blank and decimal digit is ASCII's."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        category = unicodedata.category(character)
        if category == "Nd":
            plain = str(unicodedata.decimal(character))
        elif category == "Pd" or character == "\u2212":
            plain = "-"
        else:
            plain = " " if category == "Zs" else character
        self[number] = plain
        return plain


_PLAIN = _Plain()


def has_personal_data(text: str) -> bool:
    """Whether a text holds personal data, or the name of a kind in its place.

    >>> [has_personal_data(text) for text in ("read a csv file", "mail to a@b.org", "mail to [email]")]
    [False, True, True]
    """
    return masked(text) != text or any(kind in text for kind in KINDS)


def masked(text: str) -> str:
    """A text in which each piece of personal data is replaced by the name of its kind; any other as it is.

    Args:
        text: In whatever form of Unicode; where something is replaced, what prints as nothing is gone, too.

    >>> masked("invoice for jane.doe@example.org"), masked("call +49 30 1234567 now")
    ('invoice for [email]', 'call [phone] now')
    >>> masked("4111 1111 1111 1111"), masked("4111 1111 1111 1112")
    ('[card]', '4111 1111 1111 1112')
    """
    shown = visible(text)
    plain = shown if shown.isascii() else unicodedata.normalize("NFKC", shown).translate(_PLAIN)
    if not any(sign in plain for sign in ("@", "at)", "at]")) and sum(map(plain.count, "0123456789")) < FEWEST_DIGITS:
        return text  # as nearly all
    if len(plain) != len(shown):  # places of the one are not those of the other
        shown = unicodedata.normalize("NFKC", shown)
    found = sorted(_found(plain), key=lambda one: (one[0], -one[1]))
    kept: list[str] = []
    at = 0
    for start, end, name in found:
        if start >= at:
            kept += shown[at:start], name
            at = end
    return "".join((*kept, shown[at:])) if kept else text


def kept(text: str, how: PersonalData) -> str | None:
    """A text as a setting wants it kept; None where it is dropped.

    >>> [kept("write to a@b.org", how) for how in ("keep", "mask", "drop")]
    ['write to a@b.org', 'write to [email]', None]
    """
    if how == "keep":
        return text
    without = masked(text)
    return None if how == "drop" and without != text else without


def names_persons(condition: str) -> bool:
    """Whether what a filter compares with holds personal data by its form; it cannot be masked: it would match nothing.

    Args:
        condition: The filter's canonical text.

    >>> names_persons('{"owner":"a@b.org"}'), names_persons('{"year":2024}')
    (True, False)
    """
    found = parse_filter(condition)
    compared = () if found is None else (value for leaf in leaves(found) for value in values_of(leaf))
    return any(isinstance(value, str) and masked(value) != value for value in compared)


def impersonal_id(identifier: str) -> str:
    """An id under which a query may be stored and shown: itself, or a pseudonym where it holds personal data.

    The same id has the same pseudonym wherever it is read, in the log, the judgments and runs, tonight and in a year.
    It is a hash without a key: who suspects an address can confirm it, and whoever does not reads nothing.

    >>> impersonal_id("q17"), impersonal_id("jane@example.org")
    ('q17', 'id-13d855ce931073d4924a')
    """
    if masked(identifier) == identifier:
        return identifier
    return f"id-{hashlib.sha256(identifier.encode()).hexdigest()[:ID_CHARACTERS]}"


def _found(plain: str) -> Iterator[tuple[int, int, str]]:
    """Where personal data begins and ends, and its kind."""
    for match in EMAIL.finditer(plain):
        yield match.start(), match.end(), "[email]"
    yield from _accounts(plain)
    cards = [one for run in GROUPS.finditer(plain) for one in _cards(run)]
    yield from cards
    for form in (INTERNATIONAL, NORTH_AMERICAN, NATIONAL):
        for match in form.finditer(plain):
            # A card that is not separated from what is beside it may have the form of a telephone number in it.
            if not any(start < match.end() and match.start() < end for start, end, _ in cards) and _is_phone(match[0]):
                yield match.start(), match.end(), "[phone]"


@lru_cache(maxsize=10_000)
def _is_phone(written: str) -> bool:
    """Whether what has the form of a telephone number is one."""
    if written.startswith("+"):  # nothing else is meant, so that a length which some number has is enough
        return _is_number(written, None, by_length=True)
    if written.startswith("00"):
        return _is_number("+" + written[2:], None)
    if DATE.match(written) or not SEPARATED.search(written):
        return False
    regions = REGIONS if written.startswith(("0", "(0")) else REGIONS[:1]
    return any(_is_number(written, region) for region in regions)


def _is_number(written: str, region: str | None, *, by_length: bool = False) -> bool:
    import phonenumbers

    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) if by_length else phonenumbers.is_valid_number(number)


def _accounts(plain: str) -> Iterator[tuple[int, int, str]]:
    """International bank account numbers, written in one or in groups."""
    from stdnum import iban

    done = 0
    for match in ACCOUNT.finditer(plain):
        if match.start() < done:
            continue
        end, number = match.end(), match[0]
        found = end if iban.is_valid(number) else 0
        while len(number) < LONGEST_ACCOUNT and (more := MORE_OF_ACCOUNT.match(plain, end)):
            end, number = more.end(), number + more[1]
            found = end if len(number) <= LONGEST_ACCOUNT and iban.is_valid(number) else found
        if found:
            done = found
            yield match.start(), found, "[iban]"


def _cards(run: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    """Groups of digits that make up the number of a card.

    A check value or a date may stand before or behind the card, so each sequence of groups is tried, the longest first.
    """
    text, first = run.string, run.start()
    groups = [(first + group.start(), first + group.end()) for group in re.finditer(r"\d+", run[0])]
    if first and re.match(r"[\w.,/-]", text[first - 1]):
        groups = groups[1:]  # a part of a word, of a decimal or of a path
    if re.match(r"[\w/-]", text[run.end() : run.end() + 1]):
        groups = groups[:-1]
    place = 0
    while place < len(groups):
        size = _groups_of_card(text, groups[place : place + LONGEST_CARD])
        if size:
            yield groups[place][0], groups[place + size - 1][1], "[card]"
        place += size or 1


def _groups_of_card(text: str, groups: list[tuple[int, int]]) -> int:
    """How many groups, from the first, make up a card's number; 0 where none do."""
    from stdnum import luhn

    digits, found = "", 0
    for size, (start, end) in enumerate(groups, start=1):
        if len(digits) + end - start > LONGEST_CARD:
            break
        digits += text[start:end]
        if ISSUED.fullmatch(digits) and luhn.is_valid(digits):
            found = size
    return found
