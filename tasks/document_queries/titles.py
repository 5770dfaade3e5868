"""Titles and headings as people would type them: without numbers, marks of markup, and the name of the site."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from nightrank.storage.keys import normalise_query
from nightrank.tasks.chunk.pieces import split_pieces
from nightrank.tasks.read.suffixes import page_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LONGEST_WORDS, LONGEST_CHARACTERS = 14, 100
SITE_SHARE, SITE_TITLES = 0.1, 3  # of the titles, and how many at least, that have a part which then names the site
GENERIC_DOCUMENTS = 2  # with a heading; one of more says nothing of what is below it

_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")
_MARKS = re.compile(r"[`*¶]|(?<!\w)_(?=[^\W_])|(?<=[^\W_])_(?!\w)|\s#+\s*\Z|\{#?[^{}]*\}\s*\Z")
_NUMBER = re.compile(r"\s*(?:\(?\d{1,3}[.)]|\d{1,3}(?:\.\d+)+[.:]?|[A-Z](?:\.\d+)+[.:]?|[§#])\s+")
_PART = re.compile(r"\s+[|\u2013\u2014\u00b7\u2022\u00bb:-]+\s+")
_PLACE = re.compile(r"://|^\S*[/\\]\S*$|^\S+\.(?:html?|php|aspx?|pdf|md|txt)$")
_SENTENCE = re.compile(r"[^.!?\n。！？]+[.!?。！？]?")


def shown(text: str) -> str:
    """A title or heading as people would type it.

    >>> shown("3.2 Using `csv` with [tables](t.md) #"), shown("  *Tea*  "), shown("C#")
    ('Using csv with tables', 'Tea', 'C#')
    """
    plain = _MARKS.sub("", _LINK.sub(r"\1", " ".join(text.split())))
    return _NUMBER.sub("", " ".join(plain.split()), count=1) if _NUMBER.match(plain) else " ".join(plain.split())


def can_be_asked(text: str) -> bool:
    """Whether a text is one that people might type: words, not too many, and no place of a file.

    >>> [can_be_asked(text) for text in ("read a csv file", "https://a.org/b", "2024-06-03", "docs/index.html", "茶")]
    [True, False, False, False, True]
    """
    return (
        len(text) <= LONGEST_CHARACTERS
        and len(text.split()) <= LONGEST_WORDS
        and any(map(str.isalpha, text))
        and not _PLACE.search(text)
    )


def site_names(titles: Iterable[str]) -> frozenset[str]:
    """Parts that so many titles share that they name the site, or the book.

    >>> sorted(site_names(["Tea | Shop", "Coffee | Shop", "Cake | Shop", "Tea"]))
    ['shop']
    """
    found = [{normalise_query(part) for part in _PART.split(title)} for title in titles]
    counts = Counter(part for parts in found if len(parts) > 1 for part in parts)
    least = max(SITE_TITLES, SITE_SHARE * len(found))
    return frozenset(part for part, times in counts.items() if times >= least)


def without_site(title: str, site: frozenset[str]) -> str:
    """A title without the parts that name the site, unless nothing is left.

    >>> without_site("Tea - Black | Shop", frozenset({"shop"})), without_site("Shop", frozenset({"shop"}))
    ('Tea - Black', 'Shop')
    """
    kept, last = "", 0
    separators = [*_PART.finditer(title)]
    ends = [*(mark.start() for mark in separators), len(title)]
    starts = [0, *(mark.end() for mark in separators)]
    for start, end in zip(starts, ends, strict=True):
        if normalise_query(title[start:end]) not in site:
            kept = title[start:end] if not kept else kept + title[last:end]
        last = end
    return kept.strip(" |\u2013\u2014\u00b7\u2022\u00bb:-") or title


def stand_in(document_id: str, *, file: str, text: str) -> str:
    """What asks for a document without a title: a page's name where it is words, else its first sentence; or nothing.

    >>> stand_in("man/git-rebase.1.txt", file="man/git-rebase.1.txt", text=""), stand_in("7", file="a.csv", text="No?")
    ('git rebase', 'No?')
    """
    if document_id == file and page_suffix(file):
        name = file.rsplit("/", 1)[-1].partition(".")[0]
        return "" if any(map(str.isdigit, name)) else " ".join(re.split(r"[-_\s]+", name)).strip()
    first = _SENTENCE.match(text.lstrip())
    return "" if first is None else first.group().strip()


def headings_of(text: str) -> list[str]:
    r"""The headings of a text in Markdown, each once, in order; what heads nothing is none.

    >>> headings_of("# Tea\nLeaves.\n## Black tea\nWilted.\n## Black tea\nAgain.")
    ['Tea', 'Black tea']
    """
    return list(dict.fromkeys(heading for piece in split_pieces(text) for heading in piece.headings[-1:]))


def telling_headings(headings: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Headings of several words that few documents have, each with its document; a sentence is a comment in code.

    Args:
        headings: Of each document, by its id, as they are shown.
    """
    documents = Counter(key for found in headings.values() for key in {normalise_query(one) for one in found})
    for document_id, found in headings.items():
        for heading in found:
            words = heading.split()
            is_telling = (len(words) > 1 or not heading.isascii()) and not heading.endswith(".")
            if is_telling and documents[normalise_query(heading)] <= GENERIC_DOCUMENTS:
                yield document_id, heading
