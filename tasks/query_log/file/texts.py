"""Queries in files of text: one a line, or as TREC's topics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.tables.row import Row
from nightrank.tasks.read.text_lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.tasks.read.input_file import InputFile

TEXT_SUFFIXES = (".txt", ".txt.gz")
TOPIC = re.compile(r"<top>", re.IGNORECASE)
TAG = re.compile(r"<(/?)(\w+)>\s*(.*)")
NUMBER = re.compile(r"(?:number|num)?\s*:?\s*", re.IGNORECASE)
LABEL = re.compile(r"topic\s*:\s*", re.IGNORECASE)  # as the first topics head their titles
OTHERS = re.compile(r"\t|^\s*[\[{<]")


def is_text(file_name: str) -> bool:
    """Whether a file's name says that it is text."""
    return file_name.lower().endswith(TEXT_SUFFIXES)


def read_texts(file: InputFile, *, max_bytes: int) -> Iterator[Row | BadRow]:
    """The queries of a text file, with the column ``query``, and ``query_id`` where they are TREC's topics.

    A topic is ``<top>``, ``<num>``, ``<title>``; its title is the query. Any other file has one query a line; a first
    line ``query`` is a header.

    Args:
        file: It; its account is told which it is.
        max_bytes: A longer line is a bad row.

    Raises:
        InputError: It cannot be read, or its first line is neither.
    """
    lines = read_lines(file, max_bytes=max_bytes)
    for line in lines:
        if isinstance(line, BadRow):
            yield line
            continue
        text = line.text.strip()
        if not text:
            continue
        if TOPIC.match(text):
            file.tell(Kind.FORM, "TREC's topics, whose titles are the queries")
            yield from _topics(file, max_bytes=max_bytes)
            return
        if OTHERS.search(line.text.rstrip()):
            raise InputError(
                f"{file.name} is a text file whose first line is neither a query nor TREC's <top>.",
                remedy="Call a table by its suffix, .tsv, .csv or .jsonl, with a header such as query_id<TAB>query; of "
                "XML make such a table.",
            )
        file.tell(Kind.FORM, "one query a line")
        if text.casefold() != "query":
            yield Row(line.number, {"query": text})
        break
    for line in lines:
        if isinstance(line, BadRow):
            yield line
        elif line.text.strip():
            yield Row(line.number, {"query": line.text.strip()})


def _topics(file: InputFile, *, max_bytes: int) -> Iterator[Row | BadRow]:
    row, fields, field = 0, dict[str, str](), ""
    for line in read_lines(file, max_bytes=max_bytes):
        if isinstance(line, BadRow):
            yield line
            continue
        tag = TAG.match(line.text.strip())
        name = tag[2].casefold() if tag else ""
        if name == "top":
            if fields:
                yield _topic(file.name, row, fields)
            row, fields, field = line.number, {}, ""
        elif tag:
            field = "" if tag[1] else name
            if field in ("num", "title"):
                fields[field] = tag[3].removesuffix(f"</{tag[2]}>")
        elif field in ("num", "title"):
            fields[field] += " " + line.text.strip()
    if fields:
        yield _topic(file.name, row, fields)


def _topic(name: str, row: int, fields: dict[str, str]) -> Row | BadRow:
    title = LABEL.sub("", " ".join(fields.get("title", "").split()), count=1)
    number = NUMBER.sub("", " ".join(fields.get("num", "").split()), count=1)
    return Row(row, {"query_id": number, "query": title}) if title else BadRow(name, row, "the topic has no title")
