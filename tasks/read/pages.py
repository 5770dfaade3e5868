"""Documents from pages, one a file: Markdown with front matter, reStructuredText, AsciiDoc, text, HTML, PDF, Office."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.foreign import passing_failure
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Kind, Skipped
from nightrank.tasks.read.declared import Declared, declared_language, language_of_fields
from nightrank.tasks.read.lines import too_large, unreadable
from nightrank.tasks.read.markup.asciidoc import parse_asciidoc
from nightrank.tasks.read.markup.front_matter import hidden_because, split_front_matter
from nightrank.tasks.read.markup.html import parse_html
from nightrank.tasks.read.markup.markdown import published_markdown
from nightrank.tasks.read.markup.office import read_docx, read_pptx
from nightrank.tasks.read.markup.pdf import read_pdf
from nightrank.tasks.read.markup.restructured import parse_restructured
from nightrank.tasks.read.suffixes import (
    ASCIIDOC_SUFFIXES,
    HTML_SUFFIXES,
    MARKDOWN_SUFFIXES,
    OFFICE_SUFFIXES,
    RST_SUFFIXES,
    page_suffix,
)
from nightrank.tasks.read.text.blobs import BLOBS_LEFT_OUT, without_blobs
from nightrank.tasks.read.text.charset import decoded_page
from nightrank.tasks.read.values import clean_text, identifier, kind, shown
from nightrank.tasks.runtime.bounded import directly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.input_file import InputFile
    from nightrank.tasks.runtime.bounded import Call

EMPTY_PAGE = "empty page"
DRAFTS = "_drafts"
ERROR_PAGES = ("404.html", "404.htm")
HEADING_WORDS = ("text", "code_inline", "softbreak", "hardbreak")
TITLE_NEARBY_CHARACTERS = 2_000
"""How far a heading is looked for at first: most pages begin with one."""
TITLE_WITHIN_CHARACTERS = 100_000
"""How far a heading is looked for: parsing a whole book for its title would take longer than embedding it."""


class Page(NamedTuple):
    """What a page holds, before it is cleaned.

    Attributes:
        title: Empty without one.
        text: As its readers see it.
        metadata: Its fields.
        mended: What was put right or left out on the way, in words.
        declared: The language that it says it is in.
    """

    title: str
    text: str
    metadata: dict[str, JsonValue]
    mended: tuple[str, ...] = ()
    declared: Declared = Declared("")


def read_page(file: InputFile, *, document_id: str, max_bytes: int, call: Call = directly) -> Document | BadRow | None:
    """The document that a page holds, as its readers see it; its row is 1.

    * Markdown: the fields of its front matter are the metadata, but for ``title``, which is the title; without one
      the first heading is. Comments, tags, shortcodes and targets of links are left out.
    * HTML: its content, without what is hidden and what all pages of a site have; headings, list items, table rows and
      code become Markdown's.
    * PDF: the title of the document's properties; the text of all pages.
    * reStructuredText and AsciiDoc: the document's title; headings become Markdown's, so that chunks know them.
    * Word and PowerPoint: the title of the file's properties, else the first heading; headings become Markdown's.
    * Text: no title.

    The language that it says it is in is that of front matter (``lang`` or ``language``), or of ``<html lang>``.

    Control characters of titles and texts become spaces, invisible ones and data written out as base64 go, and a title
    is one line. Drafts, pages that ask not to be indexed or lead elsewhere, and empty ones are skipped.

    Args:
        file: It; its suffix says the format, and its account is told what was skipped and what was put right.
        document_id: The id that the document gets.
        max_bytes: A larger page is a bad row, and is never held in memory as a whole; of a PDF its text counts.
        call: Calls the parser of its format, which may be bounded; one that was ended makes a bad row.

    Returns:
        The document, or a ``BadRow`` with the reason; None where the page is skipped.

    Raises:
        InputError: The package for its format is not installed.
    """
    try:
        if DRAFTS in document_id.split("/")[:-1]:
            raise Skipped("page in _drafts")
        if file.name.rpartition("/")[2].lower() in ERROR_PAGES:
            raise Skipped("page of an error")
        page = _parsed(file, max_bytes=max_bytes, call=call)
        title = " ".join(clean_text(page.title).split())
        text, blobs = without_blobs(clean_text(page.text))
        if not title and not text.strip():
            raise Skipped(EMPTY_PAGE)
        document = Document(identifier(document_id), title, text, page.metadata, file.name, 1, page.declared.language)
    except Skipped as skipped:
        file.tell(Kind.SKIPPED, skipped.reason)
        return None
    except ValueError as error:
        return BadRow(file.name, 1, str(error))
    except OSError as error:
        if passing_failure(error) is not None:  # left out, the page would be missing from the release
            raise unreadable(error, name=file.name) from error
        return BadRow(file.name, 1, unreadable(error, name=file.name).message.removeprefix(f"{file.name} ").rstrip("."))
    for what in (*page.mended, page.declared.told):
        if what:
            file.tell(Kind.MENDED, what)
    if blobs:
        file.tell(Kind.MENDED, BLOBS_LEFT_OUT)
    return document


def parse_markdown(source: str, *, is_mdx: bool = False) -> Page:
    r"""A Markdown page.

    Raises:
        Skipped: Its front matter says that it is a draft, or is kept out of searches.

    >>> parse_markdown("---\nweight: -5\n---\n## Run *it*\nNow.")[:3]
    ('Run it', '## Run *it*\nNow.', {'weight': -5})
    """
    front = split_front_matter(source)
    if reason := hidden_because(front.fields):
        raise Skipped(reason)
    mended = [f"front matter left out but for its title: {front.fault}"] if front.fault else []
    metadata = dict(front.fields)
    title = metadata.pop("title", None)
    if isinstance(title, list | dict):
        mended.append(f"a title that is {kind(title)} left out")
        title = None
    page = published_markdown(front.text, is_mdx=is_mdx)
    if page.is_cut:
        mended.append("a comment that is never closed left out, with all that follows")
    if page.pictures:
        mended.append("pictures written out in links left out")
    language = language_of_fields(metadata)
    return Page(str(title or "") or first_heading(page.text), page.text, metadata, tuple(mended), language)


def first_heading(text: str) -> str:
    """The words of the first CommonMark heading, without its markup; empty without one."""
    head = text[: text.rfind("\n", 0, TITLE_NEARBY_CHARACTERS) + 1]
    for heading, words in _headings(head):
        if "[" in heading:  # a link whose target may stand farther down
            break
        if words:
            return words
    return next((words for _, words in _headings(text[:TITLE_WITHIN_CHARACTERS]) if words), "")


def _headings(text: str) -> Iterator[tuple[str, str]]:
    """Each heading as it is written, and its words."""
    from markdown_it import MarkdownIt

    for opening, content in itertools.pairwise(MarkdownIt("commonmark").parse(text)):
        if opening.type == "heading_open":
            words = [token.content or " " for token in content.children or () if token.type in HEADING_WORDS]
            yield content.content, " ".join("".join(words).split())


def parsed_page(suffix: str, source: str) -> Page:
    """A page of a text format.

    Args:
        suffix: One of ``PAGE_SUFFIXES`` other than that of PDF.
        source: Decoded, with line feeds.

    Raises:
        Skipped: It is none to be searched for.
        ValueError: Its parser failed, whatever with: one page must not end a night.
    """
    try:
        return _text_page(suffix, source)
    except (Skipped, ValueError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"its reader failed ({type(error).__name__}: {shown(str(error))})") from error


def _text_page(suffix: str, source: str) -> Page:
    if suffix in MARKDOWN_SUFFIXES:
        return parse_markdown(source, is_mdx=suffix == ".mdx")
    if suffix in (*RST_SUFFIXES, *ASCIIDOC_SUFFIXES):
        metadata, title, text = (parse_restructured if suffix in RST_SUFFIXES else parse_asciidoc)(source)
        return Page(title, text, metadata, declared=language_of_fields(metadata))
    if suffix in HTML_SUFFIXES:
        page = parse_html(source, is_xml=suffix == ".xhtml")
        return Page(page.title, page.text, {}, page.mended, declared_language(page.language))
    return Page("", source, {})


def _parsed(file: InputFile, *, max_bytes: int, call: Call) -> Page:
    suffix = page_suffix(file.path.name) or ""
    if suffix == ".pdf":
        title, text, is_damaged = call(read_pdf, file.path, name=file.name, max_bytes=max_bytes)
        return Page(title, text, {}, ("a damaged PDF read as far as it goes",) if is_damaged else ())
    if suffix in OFFICE_SUFFIXES:
        read = read_docx if suffix == ".docx" else read_pptx
        title, text = call(read, file.path, name=file.name, max_bytes=max_bytes)
        return Page(title or first_heading(text), text, {})
    source = _read_text(file, max_bytes=max_bytes, declares=suffix in HTML_SUFFIXES)
    return Page("", source, {}) if suffix == ".txt" else call(parsed_page, suffix, source)


def _read_text(file: InputFile, *, max_bytes: int, declares: bool) -> str:
    with file.path.open("rb") as opened:
        data = opened.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ValueError(too_large(file.path.stat().st_size, max_bytes))
    text, told = decoded_page(data, encoding=file.encoding, declares=declares)
    file.tell(Kind.ENCODING, told)
    return text.replace("\r\n", "\n").replace("\r", "\n")
