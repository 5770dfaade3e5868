"""The documentation as its tests see it: pages, code blocks, inline code, links and anchors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted(DOCS.rglob("*.md"))]


@dataclass(frozen=True, slots=True)
class Code:
    """A block of code, or code within a line (without a language)."""

    page: Path
    language: str | None
    text: str


@cache
def tokens_of(page: Path) -> tuple[Token, ...]:
    """A page, parsed as CommonMark with tables; inline parts follow the line that they stand in."""
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return tuple(part for token in parsed for part in (token, *(token.children or ())))


def code_in(pages: list[Path], *languages: str | None) -> Iterator[Code]:
    """The code of some languages; None stands for code within a line."""
    for page in pages:
        for token in tokens_of(page):
            if token.type == "fence" and token.info in languages:
                yield Code(page, token.info, token.content)
            elif token.type == "code_inline" and None in languages:
                yield Code(page, None, token.content)


def links_of(page: Path) -> Iterator[str]:
    """What a page links to or shows within the repository."""
    for token in tokens_of(page):
        target = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if target is None and token.type in {"html_block", "html_inline"}:
            yield from re.findall(r'src="([^"]+)"', token.content)
        elif target is not None and "://" not in str(target):
            yield str(target)


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as the built pages and forges have them.

    >>> slug("[reranker.hosted]"), slug("Better, or noise?")
    ('rerankerhosted', 'better-or-noise')
    """
    tokens = tokens_of(page)
    return {slug(tokens[place + 1].content) for place, token in enumerate(tokens) if token.type == "heading_open"}


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
