r"""AsciiDoc as text whose headings are Markdown's, read line by line.

There is no maintained reader of AsciiDoc for Python; what is needed of it for search is little: what a reader sees,
with its headings. Nothing is included from other files, and conditions (``ifdef``) are taken to hold.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nightrank.tasks.read.markup.substitutions import Substitutions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.records import JsonValue

HEADING = re.compile(r"(={1,6}|#{1,6})\s+(\S.*)$")
ATTRIBUTE = re.compile(r":(!?[\w-]+!?):(?:\s+(.*))?$")
BLOCK_ATTRIBUTES = re.compile(r"\[[^\]]*\]$|\[\[[^\]]*\]\]$")
BLOCK_MACRO = re.compile(r"(?:include|image|video|audio|toc|ifdef|ifndef|ifeval|endif)::[^\s\[]*+\[.*\]$")
DELIMITER = re.compile(r"(-{4,}|\.{4,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|```.*|[|,:!]={3,})$")
VERBATIM, DROPPED = "-.`", "+/"

# What has no bracket, or one that is never closed, is matched as well and stays: it is then gone through once.
MACRO_WITH_TEXT = re.compile(r"(?:(?:link|xref|mailto|menu):|(?<![\w/])https?://)([^\s\[\]]*+)(?:\[([^\]]*+)(\]|\Z))?")
MACRO_OF_TEXT = re.compile(r"(?:kbd|btn|footnote|pass|stem):\w*+\[([^\]]*+)(\]|\Z)")
MACRO_UNSEEN = re.compile(
    r"(?:image|icon|indexterm2?|anchor):[^\s\[\]]{0,500}\[[^\[\]]{0,500}\]|\[\[[^\[\]]{0,200}\]\]"
)
COMMENT = re.compile(r"\[comment(?:[,.#%][^\]]*)?\]")
INDEX_TERM_UNSEEN = re.compile(r" ?\(\(\([^()]{1,500}\)\)\)")
INDEX_TERM = re.compile(r"\(\(([^()]{1,500})\)\)")
CROSS_REFERENCE = re.compile(r"<<[^<>,]*+,\s*+([^<>]*+)>>")
CROSS_REFERENCE_ALONE = re.compile(r"<<#?([^<>]*)>>")
ROLE = re.compile(r"\[[^\[\]\s]{0,200}\](#{1,2})(.+?)\1")
SUBSTITUTED = re.compile(r"\{([\w-]+)\}")


def parse_asciidoc(source: str) -> tuple[dict[str, JsonValue], str, str]:
    r"""The metadata, the title and the text of a page.

    Attributes of the header are the metadata, ``= Title`` is the title. Section titles become Markdown's headings,
    code is fenced. Comments, block attributes, passthroughs, images and includes are dropped; links are their text.

    >>> parse_asciidoc("= Start\nAnn Lee <a@b.org>\n:lang: en\n\n// a comment\n== Run\nSee xref:a.adoc[the guide].\n")
    ({'lang': 'en'}, 'Start', '# Start\n\n## Run\nSee the guide.')
    """
    lines = [line.rstrip() for line in source.split("\n")]
    title, attributes, start = _header(lines)
    head = [f"# {title}", ""] if title else []
    text = "\n".join([*head, *_seen(lines[start:], Substitutions(len(source), dict(attributes)))])
    metadata: dict[str, JsonValue] = {name: value or True for name, value in attributes.items()}
    first = next((found[2] for line in lines[start:] if (found := HEADING.fullmatch(line))), "")
    return metadata, title or first, re.sub(r"\n{3,}", "\n\n", text).strip()


def _header(lines: list[str]) -> tuple[str, dict[str, str], int]:
    """The title, the attributes, and the first line behind the header, which ends at a blank line."""
    position = 0
    while position < len(lines) and (not lines[position] or lines[position].startswith("//")):
        is_block = re.fullmatch("/{4,}", lines[position]) is not None
        behind = range(position + 1, len(lines) if is_block else 0)
        closing = next((number for number in behind if lines[number] == lines[position]), position)
        position = closing + 1
    attributes: dict[str, str] = {}
    title = ""
    start = position
    while position < len(lines) and lines[position]:
        line = lines[position]
        if found := ATTRIBUTE.fullmatch(line):
            attributes[found[1].strip("!")] = found[2] or ""
        elif line.startswith("= ") and not title:
            title = line[2:].strip()
        elif not title and not line.startswith("//"):
            return "", attributes, position if attributes else start
        position += 1  # the lines of author and revision, comments
    return title, attributes, position


def _seen(lines: list[str], attributes: Substitutions) -> Iterator[str]:
    """What a reader sees of the lines behind the header."""
    closing = ""
    for line in _without_comments(lines):
        delimiter = DELIMITER.fullmatch(line)
        if closing:
            if line == closing:
                yield from ("```", "") if closing[0] in VERBATIM else ()
                closing = ""
            elif closing[0] in VERBATIM:
                yield line
        elif delimiter and line != "--" and line[0] in VERBATIM + DROPPED:
            closing = "```" if line.startswith("```") else line
            yield from ("", "```") if closing[0] in VERBATIM else ()
        elif found := ATTRIBUTE.fullmatch(line):
            attributes.values[found[1].strip("!")] = found[2] or ""
        elif not (delimiter or line == "+" or line.startswith("//") or _is_unseen(line)):
            yield _line(line, attributes)
    if closing and closing[0] in VERBATIM:
        yield "```"


def _without_comments(lines: list[str]) -> Iterator[str]:
    """The lines but for blocks and paragraphs of the style ``comment``, where they are no part of code."""
    code = ""
    is_announced = False
    comment: str | None = None  # the line that ends one: of a paragraph an empty one
    for line in lines:
        delimiter = DELIMITER.fullmatch(line)
        if is_announced and not _is_unseen(line):
            is_announced, comment = False, line if delimiter else ""
            if delimiter:
                continue
        if comment is not None:
            comment = None if line == comment else comment
            continue
        if code:
            code = "" if line == code else code
        elif delimiter and line != "--" and line[0] in VERBATIM:
            code = "```" if line.startswith("```") else line
        elif COMMENT.fullmatch(line):
            is_announced = True
            continue
        yield line


def _is_unseen(line: str) -> bool:
    return bool(BLOCK_ATTRIBUTES.fullmatch(line) or BLOCK_MACRO.fullmatch(line))


def _line(line: str, attributes: Substitutions) -> str:
    if found := HEADING.fullmatch(line):
        return f"{'#' * len(found[1])} {_inline(found[2], attributes)}"
    if len(line) > 1 and line[0] == "." and line[1] not in ". ":
        line = line[1:]  # the title of a block
    return _inline(line, attributes)


def _inline(text: str, attributes: Substitutions) -> str:
    if "{" in text:
        text = SUBSTITUTED.sub(attributes.shown, text)
    if "[" in text:
        text = MACRO_UNSEEN.sub("", text)
        text = MACRO_WITH_TEXT.sub(lambda found: (found[2].rstrip("^") or found[1]) if found[3] else found[0], text)
        text = MACRO_OF_TEXT.sub(lambda found: found[1] if found[2] else found[0], text)
        text = ROLE.sub(r"\2", text)
    if "((" in text:
        text = INDEX_TERM.sub(r"\1", INDEX_TERM_UNSEEN.sub("", text))
    if "<<" in text:
        text = CROSS_REFERENCE_ALONE.sub(r"\1", CROSS_REFERENCE.sub(r"\1", text))
    return text.removesuffix(" +")
