"""Personal data in a query: e-mail addresses, telephone numbers and numbers of payment cards, by their form alone.

No form catches everything: a name is no form. What guards against rare queries of any kind is ``min_users``.
"""

from __future__ import annotations

import re

EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}")
# 14 to 19 digits, in groups or not; which of them are cards is Luhn's to say.
CARD = re.compile(r"(?<![\w.,/-])[2-6]\d(?:[ -]?\d){12,17}(?![\w/-])")
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
    text = CARD.sub(lambda found: "[card]" if passes_luhn(found[0]) else found[0], text)
    for name, form in FORMS:
        text = form.sub(name, text)
    return text


def passes_luhn(digits: str) -> bool:
    """Whether the digits of a text pass the check of ISO/IEC 7812-1, annex B, as those of every card do.

    >>> passes_luhn("79927398713"), passes_luhn("79927398710")
    (True, False)
    """
    values = [int(digit) for digit in digits if digit.isdigit()]
    doubled = sum(sum(divmod(2 * value, 10)) for value in values[-2::-2])
    return (sum(values[-1::-2]) + doubled) % 10 == 0
