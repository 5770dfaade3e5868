"""Words as people see them, so that a broken analysis does not decide what two texts share."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

BEGINNING = 5  # letters by which forms of a word are told to be of one
COMMON = 0.2  # of texts: a word that more of them have tells nothing
FEWEST = 50  # texts, to tell by

_WORD = re.compile(r"[^\W_]+")
_SPACELESS = 0x0E00  # from Thai on: scripts without spaces between words, and Hangul, whose particles stick to words


def word_forms(text: str) -> frozenset[str]:
    """The beginnings of a text's words, case-folded; of scripts without spaces between words, pairs of characters.

    >>> sorted(word_forms("Rankings, ranked: 漢字体"))
    ['ranke', 'ranki', '字体', '漢字']
    """
    forms: set[str] = set()
    for word in _WORD.findall(text.casefold()):
        if ord(max(word)) >= _SPACELESS and len(word) > 1:
            forms.update(first + second for first, second in pairwise(word))
        else:
            forms.add(word[:BEGINNING])
    return frozenset(forms)


def common_forms(texts: Iterable[AbstractSet[str]]) -> frozenset[str]:
    """The forms that so many texts have that sharing them says nothing; none where there are few texts."""
    found: Sequence[AbstractSet[str]] = list(texts)
    if len(found) < FEWEST:
        return frozenset()
    counts = Counter(form for forms in found for form in forms)
    return frozenset(form for form, count in counts.items() if count > COMMON * len(found))


def share_in_common(query: AbstractSet[str], text: AbstractSet[str], *, common: AbstractSet[str]) -> float:
    """The share of a query's forms that a text has, those left out that say nothing; all count where no others are.

    >>> share_in_common({"how", "bees", "honey"}, {"honey", "how"}, common={"how"})
    0.5
    """
    telling = query - common or query
    return len(telling & text) / len(telling) if telling else 0.0
