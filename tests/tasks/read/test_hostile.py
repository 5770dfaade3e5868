"""No page costs more than its length: hostile ones through every reader, the chunker and what splits words."""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.records import Document
from nightrank.tasks.bm25.segment import split_words
from nightrank.tasks.chunk.boundaries import chunk_document
from nightrank.tasks.read.account import Skipped
from nightrank.tasks.read.markup.html import parse_html
from nightrank.tasks.read.markup.pdf_text import joined_pages, real_title
from nightrank.tasks.read.pages import parsed_page
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.names import DOCUMENTS
from nightrank.tasks.read.text.blobs import without_blobs
from nightrank.tasks.read.values import clean_text
from nightrank.tasks.runtime.bounded import BoundedProcess
from nightrank.tasks.settings.index import ChunkingSettings
from tests.support.hostile import DELIMITERS, hostile_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SECONDS = 5.0
"""Of computing; what grows with the text alone takes a tenth of it for so many characters, what grows with its square
minutes."""
CHARACTERS = 200_000


def count_words(texts: Sequence[str], /) -> list[int]:
    """A tokenizer for which every run of characters is a token."""
    return [len(text.split()) for text in texts]


def read_text(text: str) -> None:
    """What every text goes through behind its reader."""
    text, _ = without_blobs(clean_text(text))
    joined_pages([text, text])
    real_title(text)
    chunk_document(
        Document("a", "title", text, {}, "f", 1), settings=ChunkingSettings(max_tokens=64), count_tokens=count_words
    )
    split_words([text])


def read_page(form: str, text: str) -> None:
    """Read a page, whatever comes of it."""
    with suppress(ValueError, Skipped):  # a page may be told to be broken
        if form == "text":
            read_text(text)
        else:
            parsed_page(form, text)
            if form == ".md":
                parsed_page(".mdx", text)
            if form == ".html":
                parsed_page(".xhtml", text)


def operations(work: Callable[[], object]) -> int:
    """Calls of functions, of Python and of C, that some work makes."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture(scope="module")
def call() -> Iterator[BoundedProcess]:
    with BoundedProcess(seconds=SECONDS, setting="the test") as process:
        for form in DELIMITERS:
            process(read_page, form, "")  # what is imported is no work of a page
        yield process


def is_slow(call: BoundedProcess, form: str, page: str) -> bool:
    try:
        call(read_page, form, page)
    except ValueError:  # it was ended
        return True
    return False


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("text", "." * CHARACTERS),
        ("text", "a" * CHARACTERS),
        ("text", "a" * 400 + "\n" + "--\n" * (CHARACTERS // 3)),
        ("text", "# " + "long " * 20_000 + "\n" + "".join(f"## b{number}\nc\n\n" for number in range(20_000))),
        (".html", "<a " * (CHARACTERS // 3)),
        (".html", "<!--" * (CHARACTERS // 4)),
        (".html", "<table><tr>" + "<td>" * (CHARACTERS // 4)),
        (".html", "<table><tr><td>" + "<b><p>" * (CHARACTERS // 6)),
        (".html", "<h1>a</h1>" * (CHARACTERS // 10)),
        (".html", "<x><article></article>" * (CHARACTERS // 22)),
        (".html", "".join(f"<font size={number}>" for number in range(2000)) + "<p>x" * 20_000),
        (".html", '<meta http-equiv=refresh content="' + "1" * CHARACTERS + '">'),
        (".adoc", "link:[" * (CHARACTERS // 6)),
        (".adoc", "include::" + "[" * CHARACTERS),
        (".adoc", "<<a," + " " * CHARACTERS + "x"),
        (".adoc", f":a: {'b' * 100_000}\n\n" + "{a}" * 60_000),
        (".rst", f".. |a| replace:: {'b' * 100_000}\n\n" + "|a| " * 60_000),
        (".rst", ".. note::\n\n   " * (CHARACTERS // 14)),
        (".rst", ".. note::\n" + "   :a: b\n" * (CHARACTERS // 9)),
        (".rst", "`" + ":a" * (CHARACTERS // 2)),
        (".md", "<div hidden>\n\n" * (CHARACTERS // 14)),
        (".md", "import a" + "\n" * CHARACTERS + "x"),
        (".md", "export {\n\n" * (CHARACTERS // 10)),
        (".md", ("</a" + "1" * 3000) * (CHARACTERS // 3000)),
        (".md", "+++\n" + "a." * (CHARACTERS // 2) + "a = 1\n+++\n"),
    ],
)
def test_a_small_page_takes_no_longer_than_others_of_its_size(call: BoundedProcess, form: str, page: str) -> None:
    assert not is_slow(call, form, page)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", DELIMITERS)
def test_no_page_of_a_grammar_of_openers_takes_longer_than_others_of_its_size(
    call: BoundedProcess, form: str, seed: int
) -> None:
    pages = hostile_pages(form, size=CHARACTERS, random=random.Random(seed))
    assert [name for name, page in pages if is_slow(call, form, page)] == []


@pytest.mark.slow
@pytest.mark.parametrize("form", DELIMITERS)
def test_readers_make_twice_the_calls_for_twice_the_page(form: str) -> None:
    grown: list[str] = []
    small, large = (list(hostile_pages(form, size=size, random=random.Random(7))) for size in (4_000, 8_000))
    for (name, page), (_, twice) in zip(small, large, strict=True):
        once, again = (operations(lambda text=text: read_page(form, text)) for text in (page, twice))  # type: ignore[misc]
        if again > 2.6 * once + 2_000:
            grown.append(f"{name}: {once} calls, then {again}")
    assert grown == []


def test_a_header_of_unnamed_columns_is_gone_through_once() -> None:
    header = ["id", "text", *(f"Unnamed: {number}" for number in range(20_000))]
    assert operations(lambda: Columns(DOCUMENTS, {}).taken(header)) < 60 * len(header)
    assert len(Columns(DOCUMENTS, {}).taken(header).unnamed) == 20_000


def test_what_was_mended_reads_what_it_read() -> None:
    page = parsed_page(
        ".adoc", "See link:a.html[the guide^], http://b.org[b], kbd:[Ctrl+C], link:open[ and http://c.org"
    )
    assert page.text == "See the guide, b, Ctrl+C, link:open[ and http://c.org"
    hidden = "a <div hidden>b <div>c</div> d</div> e\n\n<div hidden>f\n\ng"
    assert parsed_page(".md", hidden).text.split() == ["a", "e", "g"]
    fonts = "<p>" + "".join(f"<b id=b{number}>w{number} " for number in range(40)) + "</p><p>end</p>"
    assert parse_html(fonts).text == " ".join(f"w{number}" for number in range(40)) + "\n\nend"
