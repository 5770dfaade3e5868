"""Documents from pages, one a file: Markdown with front matter, reStructuredText, AsciiDoc, plain text, HTML, PDF."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Kind, Skipped
from nightrank.tasks.read.front_matter import split_front_matter
from nightrank.tasks.read.html import parse_html
from nightrank.tasks.read.lines import decoded, too_large, unreadable, without_byte_order_mark
from nightrank.tasks.read.markup.asciidoc import parse_asciidoc
from nightrank.tasks.read.markup.restructured import parse_restructured
from nightrank.tasks.read.pdf import read_pdf
from nightrank.tasks.read.values import clean_text, identifier, kind

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.account import Account

MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdx")
HTML_SUFFIXES = (".html", ".htm", ".xhtml")
RST_SUFFIXES = (".rst",)
ASCIIDOC_SUFFIXES = (".adoc", ".asciidoc")
PAGE_SUFFIXES = (*MARKDOWN_SUFFIXES, ".txt", *RST_SUFFIXES, *ASCIIDOC_SUFFIXES, *HTML_SUFFIXES, ".pdf")
EMPTY_PAGE = "empty page"
HEADING_WORDS = ("text", "code_inline", "softbreak", "hardbreak")
TITLE_WITHIN_CHARACTERS = 100_000
"""How far a heading is looked for: parsing a whole book for its title would take longer than embedding it."""


def page_suffix(file_name: str) -> str | None:
    """Which of ``PAGE_SUFFIXES`` a file has, whatever the case of its name; ``None`` for another one."""
    return next((suffix for suffix in PAGE_SUFFIXES if file_name.lower().endswith(suffix)), None)


def read_page(path: Path, *, name: str, document_id: str, max_bytes: int, account: Account) -> Document | BadRow | None:
    """The document that a page holds; its row is 1.

    * Markdown: the fields of its front matter are the metadata, but for ``title``, which is the title; without one
      the first heading is. Headings stay in the text.
    * HTML: ``<title>`` or the first ``<h1>`` is the title; scripts, styles and navigation are dropped.
    * PDF: the title of the document's properties; the text of all pages.
    * reStructuredText and AsciiDoc: the document's title; headings become Markdown's, so that chunks know them.
    * Text: no title.

    Control characters of titles and texts become spaces, and a title is one line.

    Args:
        path: The file; its suffix says the format.
        name: What the user calls it.
        document_id: The id that the document gets.
        max_bytes: A larger page is a bad row, and is never held in memory as a whole; of a PDF its text counts.
        account: Told what was skipped, and what was put right on the way.

    Returns:
        The document, or a ``BadRow`` with the reason; None where the page is skipped.

    Raises:
        InputError: The package for its format is not installed.
    """
    try:
        metadata, title, text = _parsed(path, name=name, max_bytes=max_bytes, account=account)
        title = " ".join(clean_text(title).split())
        text = clean_text(text)
        if not title and not text.strip():
            raise Skipped(EMPTY_PAGE)
        return Document(identifier(document_id), title, text, metadata, name, 1)
    except Skipped as skipped:
        account.add("documents", Kind.SKIPPED, skipped.reason, where=name)
        return None
    except ValueError as error:
        return BadRow(name, 1, str(error))
    except OSError as error:
        return BadRow(name, 1, unreadable(error, name=name).message.removeprefix(f"{name} ").rstrip("."))


def parse_markdown(source: str) -> tuple[dict[str, JsonValue], str, str]:
    r"""The metadata, the title and the text of a Markdown page.

    Raises:
        ValueError: Its front matter cannot be used, or the front matter's title is a list or a mapping.

    >>> parse_markdown("---\nweight: -5\n---\n## Run *it*\nNow.")
    ({'weight': -5}, 'Run it', '## Run *it*\nNow.')
    """
    metadata, text = split_front_matter(source)
    title = metadata.pop("title", None)
    if isinstance(title, list | dict):
        raise ValueError(f"the front matter's title is {kind(title)}, not a text")
    if title is None or title == "":
        return metadata, first_heading(text), text
    return metadata, str(title), text


def first_heading(text: str) -> str:
    """The words of the first CommonMark heading, without its markup; empty without one."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    tokens = parser.parse(text[:TITLE_WITHIN_CHARACTERS])
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            words = [token.content or " " for token in content.children or () if token.type in HEADING_WORDS]
            if title := " ".join("".join(words).split()):
                return title
    return ""


def _parsed(path: Path, *, name: str, max_bytes: int, account: Account) -> tuple[dict[str, JsonValue], str, str]:
    suffix = page_suffix(path.name)
    if suffix == ".pdf":
        return {}, *read_pdf(path, name=name, max_bytes=max_bytes)
    source = _read_text(path, name=name, max_bytes=max_bytes, account=account)
    if suffix in MARKDOWN_SUFFIXES:
        return parse_markdown(source)
    if suffix in RST_SUFFIXES:
        return parse_restructured(source)
    if suffix in ASCIIDOC_SUFFIXES:
        return parse_asciidoc(source)
    if suffix in HTML_SUFFIXES:
        return {}, *parse_html(source)
    return {}, "", source


def _read_text(path: Path, *, name: str, max_bytes: int, account: Account) -> str:
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ValueError(too_large(path.stat().st_size, max_bytes))
    text = decoded(without_byte_order_mark(data, name=name, account=account, part="documents"))
    return text.replace("\r\n", "\n").replace("\r", "\n")
