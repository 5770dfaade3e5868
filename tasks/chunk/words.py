"""Where a sentence that does not fit may be cut at last: between words, in scripts without spaces too.

Chinese and Japanese may be cut at each character. Thai, Lao, Khmer and Burmese are cut between the words of ICU's
dictionaries, and other scripts without spaces between what a reader takes for a character, marks included. ICU looks a
few words ahead, so that behind an edit the old boundaries are found again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from icu4py.breakers import CharacterBreaker, WordBreaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.models.tokens import TokenCounter

Span = tuple[int, int]

_CHARACTERS = r"\u3040-\u30ff\u3105-\u312f\u3400-\u9fff\ua000-\ua48f\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_WORD = re.compile(rf"\s*(?:[{_CHARACTERS}]|[^\s{_CHARACTERS}]+)\s*")
_OF_DICTIONARIES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f]")
_OF_CLUSTERS = re.compile(r"[\u0f00-\u0fff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9df\uaa80-\uaadf]")


def finest_spans(text: str, start: int, end: int) -> list[Span]:
    """Where the words between two places of a text begin and end, whitespace behind them included, in order.

    >>> text = "two words, 漢字 รองเท้าใหม่"
    >>> [text[first:last] for first, last in finest_spans(text, 0, len(text))]
    ['two ', 'words, ', '漢', '字 ', 'รองเท้า', 'ใหม่']
    """
    spans: list[Span] = []
    for match in _WORD.finditer(text, start, end):
        run = match.group()
        if not _has_hidden_words(run):
            spans.append(match.span())
            continue
        breaker = WordBreaker if _OF_DICTIONARIES.search(run) else CharacterBreaker
        first = place = match.start()
        for part in breaker(run, "en"):
            if place > first and any(map(str.isalnum, part)) and any(map(str.isalnum, text[first:place])):
                spans.append((first, place))
                first = place
            place += len(part)
        spans.append((first, place))
    return spans


def counting_words(count_tokens: TokenCounter) -> TokenCounter:
    """Counts tokens, and at least as many as a text without spaces has words.

    A tokenizer of English takes a whole sentence of Thai for one unknown token, and a book of it too.
    """

    def count(texts: Sequence[str], /) -> list[int]:
        sizes = count_tokens(texts)
        return [
            max(size, len(finest_spans(text, 0, len(text)))) if _has_hidden_words(text) else size
            for text, size in zip(texts, sizes, strict=True)
        ]

    return count


def _has_hidden_words(text: str) -> bool:
    return not text.isascii() and bool(_OF_DICTIONARIES.search(text) or _OF_CLUSTERS.search(text))
