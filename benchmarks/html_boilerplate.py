"""How much of what is read of HTML pages is their main text, and how much of that text is read.

    python -m benchmarks.html_boilerplate FOLDER

``FOLDER`` holds pages and their main texts, as two collections on GitHub have them: ``html/ID.html.gz`` with
``ground-truth.json`` (scrapinghub/article-extraction-benchmark, 181 news pages), or ``NAME/source.html`` with
``NAME/expected.html`` (mozilla/readability's ``test/test-pages``, 130 pages of news, blogs, encyclopedias,
documentation). Both are counted in words. Extractors that are installed beside Nightrank are counted, too.
"""

from __future__ import annotations

import gzip
import importlib
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.tasks.read.account import Skipped
from nightrank.tasks.read.markup.html import parse_html
from nightrank.tasks.read.markup.html_rules import Unseen
from nightrank.tasks.read.markup.html_text import visible_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOST = 0.9
"""Of a page's main text; where less is read, the page counts as one that lost it."""


class Page(NamedTuple):
    """A page and the words of its main text."""

    source: str
    main: str


def pages_of(folder: Path) -> Iterator[Page]:
    """The pages of a collection in one of the two forms."""
    truth = folder / "ground-truth.json"
    if truth.exists():
        for name, page in json.loads(truth.read_text()).items():
            source = gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes()).decode("utf-8", "replace")
            yield Page(source, page["articleBody"])
        return
    for path in sorted(folder.glob("*/source.html")):
        expected = path.with_name("expected.html").read_text(errors="replace")
        yield Page(path.read_text(errors="replace"), everything(expected))


def everything(source: str) -> str:
    """All that is not hidden on a page, boilerplate and all."""
    from selectolax.lexbor import LexborHTMLParser

    root = LexborHTMLParser(source).root
    return "" if root is None else visible_text(root, Unseen(), None)


def content(source: str) -> str:
    """What Nightrank reads of a page; nothing where it is skipped."""
    try:
        return parse_html(source).text
    except Skipped:
        return ""


def words(text: str) -> Counter[str]:
    """How often each word is in a text."""
    return Counter(re.findall(r"\w+", text.lower()))


def shares(read: str, main: str) -> tuple[float, float]:
    """The share of the main text that was read, and that of boilerplate in what was read.

    >>> shares("home help the text", "the text")
    (1.0, 0.5)
    """
    found, wanted = words(read), words(main)
    both = (found & wanted).total()
    return both / max(1, wanted.total()), 1 - both / max(1, found.total())


def extractors() -> dict[str, Callable[[str], str]]:
    """Those that are installed, by name."""
    found: dict[str, Callable[[str], str]] = {"everything": everything, "nightrank": content}
    try:
        extract = importlib.import_module("trafilatura").extract
        found["trafilatura"] = lambda source: extract(source, include_comments=False) or ""
    except ImportError:
        pass
    return found


def main(arguments: list[str]) -> int:
    """Print a line for each extractor."""
    pages = [page for page in pages_of(Path(arguments[0])) if content(page.source)]
    print(f"{len(pages)} pages that are not skipped, {sum(len(page.source) for page in pages) / 1e6:.1f} MB")
    print(f"{'':12} main text read   boilerplate   pages that lost over {1 - LOST:.0%}   seconds")
    for name, extract in extractors().items():
        began = time.process_time()
        texts = [extract(page.source) for page in pages]
        seconds = time.process_time() - began
        found = np.array([shares(text, page.main) for text, page in zip(texts, pages, strict=True)])
        read, boilerplate = found.mean(axis=0)
        lost = int((found[:, 0] < LOST).sum())
        print(f"{name:12} {read:14.3f} {boilerplate:13.3f} {lost:27} {seconds:9.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
