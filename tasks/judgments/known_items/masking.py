r"""The words of a known item taken out of what is searched for it, so that nothing wins by copying the question.

What is masked are whole words in their order, whatever stands between them and whatever their case: a title in a
sentence, a heading in a table of contents. Single words of it that a text has elsewhere stay: a text speaks of what it
is about.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.characters import folded
from nightrank.tasks.document_queries.words import is_unspaced

if TYPE_CHECKING:
    from nightrank.tasks.judgments.known_items.items import KnownItem

_WORD = re.compile(r"\w+")
LONGEST_GAP = 4  # signs and blanks between two words of a title


class Masked(NamedTuple):
    """A chunk's text without the words of an item.

    Attributes:
        text: What models read.
        body_start: Where the document's own passage begins in it, in characters.
        has_title: Whether its first line is a title.
    """

    text: str
    body_start: int
    has_title: bool


def masked_chunk(text: str, body_start: int, *, has_title: bool, item: KnownItem) -> Masked:
    r"""A chunk without the words of an item.

    Of a title the whole line goes that the chunk begins with, name of the site and all.

    Args:
        text: Of the chunk: title, headings, passage.
        body_start: Where the passage begins.
        has_title: Whether its document has a title.
        item: It.

    >>> from nightrank.tasks.judgments.known_items.items import KnownItem
    >>> item = KnownItem("", "", "black tea", "d", "Black tea", "title")
    >>> masked_chunk("Black tea | Shop\nHistory\nAll *black* Tea is wilted.", 25, has_title=True, item=item)
    Masked(text='History\nAll * is wilted.', body_start=8, has_title=False)
    """
    pattern = words_pattern(item.words, item.text)
    lead, body = text[:body_start], text[body_start:]
    if has_title and body_start:
        title, _, rest = lead.partition("\n")
        title = "" if item.kind == "title" else pattern.sub(" ", title).strip()
        lead, has_title = (f"{title}\n{rest}", True) if title else (rest, False)
    lines = [pattern.sub(" ", line).strip(" >") for line in lead.split("\n")]
    lead = "".join(f"{line}\n" for line in lines if line)
    return Masked(lead + pattern.sub("", body), len(lead), has_title)


def words_pattern(*texts: str) -> re.Pattern[str]:
    """What matches the words of any of some texts in their order, whatever their case and what stands between them.

    >>> bool(words_pattern("C++ in brief").search("on c++, in Brief:")), bool(words_pattern("a b").search("abs a  bc"))
    (True, False)
    >>> words_pattern("\u7ea2\u8336").sub("", "\u559d\u7ea2\u8336\u7684\u4eba")
    '\u559d\u7684\u4eba'
    """
    between = rf"[\W_]{{1,{LONGEST_GAP}}}"
    found = [_WORD.findall(text) for text in texts]
    forms = [
        f"{_edge(words[0][0], '<')}{between.join(map(re.escape, words))}{_edge(words[-1][-1], '')}"
        for words in found
        if words
    ]
    return re.compile("|".join(forms) if forms else r"(?!)", re.IGNORECASE)


def _edge(character: str, behind: str) -> str:
    """What must hold beside a word: no other letter, unless its script puts no space between words."""
    return "" if is_unspaced(character) else rf"(?{behind}!\w)"


def has_words(text: str, count: int) -> bool:
    """Whether a text has so many words, or as many characters of scripts that part none."""
    found = _WORD.findall(folded(text))
    return len(found) + sum(len(word) // 2 for word in found if is_unspaced(word[0])) >= count
