"""The block at the head of a Markdown page that says its title and its fields: found, and read as JSON values.

YAML between ``---``, TOML between ``+++``, JSON in braces or between ``;;;``, the lines of MultiMarkdown, Pandoc and
Org. A block may stand behind blank lines and comments. What only looks like one stays text, as a page that begins with
a rule; one that is broken costs its fields, but for the title and what hides a page, and not the page.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, NamedTuple

from nightrank.tasks.read.markup.yaml_values import TEXT_FIELDS, plain_value, yaml_value
from nightrank.tasks.read.values import json_object, json_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.storage.records import JsonValue

    Fields = dict[str, JsonValue]


class FrontMatter(NamedTuple):
    """A page, its block taken apart.

    Attributes:
        fields: Of the block; empty without one. Dates are ISO 8601 texts.
        text: Below the block.
        fault: Why the block could not be read, with the line; empty where it could, or where there is none.
        line: Of the page, from 1, in which the text begins.
    """

    fields: Fields
    text: str
    fault: str = ""
    line: int = 1


_OPENING = re.compile(r"(?:---[ \t]*(yaml|toml|json)?|\+\+\+|;;;)[ \t]*\n")
_CLOSING = {
    "---": re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE),
    "+++": re.compile(r"^\+\+\+[ \t]*$", re.MULTILINE),
    ";;;": re.compile(r"^;;;[ \t]*$", re.MULTILINE),
}
_FIRST_LINE = re.compile(
    r"\s*(?:#.*\n\s*)*(?:(?P<key>[\"']?[^\W\d][\w.-]*[\"']?)[ \t]*:(?:\s|$)|[{&]|[^\W\d][\w -]*:(?:\s|$))"
)
_FIELDS_LEFT_OUT = re.compile(r"(?:[ \t]*(?:#[ \t]*[\w.-]+[ \t]*:.*)?(?:\n|$))*")
# Of a block that begins with a blank line, as rules do.
_USUAL_KEYS = re.compile(
    r"^(?:title|date|draft|tags|categories|layout|slug|description|author|authors|weight|published|permalink|id|"
    r"sidebar_position|aliases|lang|summary|url|type):(?:\s|$)",
    re.MULTILINE,
)
_KEY_LINE = re.compile(r"([^\W\d][\w .-]{0,40}?)[ \t]*:[ \t]*(.*)")
_MULTIMARKDOWN_KEYS = frozenset(
    {
        "title",
        "author",
        "authors",
        "date",
        "summary",
        "tags",
        "category",
        "categories",
        "slug",
        "status",
        "lang",
        "language",
    }
    | {"template", "keywords", "description", "affiliation", "copyright", "modified", "subtitle", "version", "email"}
    | {"css", "base header level", "format", "comment", "series", "url", "save_as", "draft", "published"}
)
_ORG_LINE = re.compile(r"#\+([A-Za-z_]+):[ \t]*(.*)\n?")
# What hides a page where it is false, and where it is true.
_PUBLISHED = ("published", "publish")
_KEPT_OUT = ("unlisted", "noindex", "search_exclude", "private")
_HIDING = ("draft", "status", "search", *_PUBLISHED, *_KEPT_OUT)
_SALVAGED = re.compile(
    rf"^[ \t]*[\"']?({'|'.join(('title', *_HIDING))})[\"']?[ \t]*[:=](.*)$",
    re.MULTILINE | re.IGNORECASE,
)
_REMARK = re.compile(r"\s+(?:#|//)")
_TOML_STRING = re.compile(r"\"[^\"\n]*+\"|'[^'\n]*+'")
MAX_HEAD_LINES = 60
MAX_KEY_PARTS = 100
"""Of a key in TOML, as in ``a.b.c``: tomllib keeps every beginning of it, so that 20 KB would fill gigabytes."""


def split_front_matter(source: str) -> FrontMatter:
    r"""The fields of a page's front matter and the text below it.

    Args:
        source: The page, with ``\n`` as line ends.

    >>> split_front_matter("---\ntitle: Guide\ndate: 2024-06-03\n---\n# Guide\n")[:2]
    ({'title': 'Guide', 'date': '2024-06-03'}, '# Guide\n')
    >>> split_front_matter("---\ntitle: a: b\n---\ntext")[:3]
    ({'title': 'a: b'}, 'text', 'mapping values are not allowed in this context in line 2')
    """
    start = _head(source)
    found = _fenced(source, start) or _json(source, start) or _lines(source, start)
    return found or FrontMatter({}, source)


def _head(source: str) -> int:
    """Where the first line begins that is neither blank nor within a comment."""
    at = 0
    while True:
        found = re.compile(r"\s*\n").match(source, at)
        at = found.end() if found else at
        if not source.startswith("<!--", at) or (end := source.find("-->", at)) < 0:
            return at
        at = end + len("-->")
        rest_of_line = source[at : source.find("\n", at) + 1 or len(source)]
        if rest_of_line.strip():
            return at
        at += len(rest_of_line)


def _fenced(source: str, start: int) -> FrontMatter | None:
    opening = _OPENING.match(source, start)
    if opening is None:
        return None
    fence = opening[0][:3]
    closing = _CLOSING[fence].search(source, opening.end())
    block = source[opening.end() : closing.start() if closing else len(source)]
    name = opening[1] or {"---": "yaml", "+++": "toml", ";;;": "json"}[fence]
    first_line = block.partition("\n")[0]
    if name == "yaml":
        looked_for = _FIRST_LINE.match(block) if first_line.strip() else _USUAL_KEYS.search(block)
        if looked_for is None and (closing is None or not _FIELDS_LEFT_OUT.fullmatch(block)):
            return None  # a rule, and the text behind it
    line = source.count("\n", 0, opening.end())
    if closing is None:
        fields = _salvaged(block.partition("\n\n")[0])
        fields.pop("title", None)
        return FrontMatter(fields, source, f"front matter is opened by {fence} in line {line} and never closed")
    end = closing.end() + (source[closing.end() : closing.end() + 1] == "\n")
    return _read(block, _READERS[name], source, end, line)


def _read(block: str, reader: Callable[[str], Fields | None], source: str, end: int, line: int) -> FrontMatter | None:
    below, first = source[end:], 1 + source.count("\n", 0, end)
    try:
        fields = reader(block)
    except (ValueError, RecursionError) as error:
        if reader is _yaml and not _is_meant(block):
            return None
        return FrontMatter(_salvaged(block), below, _in_page(str(error), line), first)
    return None if fields is None else FrontMatter(fields, below, "", first)


def _is_meant(block: str) -> bool:
    """Whether a block that is broken YAML was to be one; a sentence with a colon in it is text between two rules."""
    found = _FIRST_LINE.match(block)
    return found is None or found["key"] is not None


def _in_page(fault: str, line: int) -> str:
    """A fault with the number of its line counted from the page's first."""
    return re.sub(r"(?<=\bline )\d+", lambda number: str(int(number[0]) + line), fault)


def _salvaged(block: str) -> Fields:
    """Of a broken block, what the page is called and what hides it."""
    fields: Fields = {}
    for name, line in _SALVAGED.findall(block):
        written = line.strip().rstrip(",").rstrip()
        if not written:
            continue
        is_title, is_quoted = name.lower() == "title", written[0] in "\"'"
        if is_quoted:
            written = written.strip(written[0])
        elif not is_title:
            written = _REMARK.split(written)[0].rstrip().rstrip(",")
        fields.setdefault(name.lower(), written if is_title else plain_value(written))
    return fields


def _yaml(block: str) -> Fields | None:
    value = yaml_value(block)
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def _toml(block: str) -> Fields:
    plain = _TOML_STRING.sub("", block)
    for number, line in enumerate(plain.split("\n") if "." in plain else (), start=1):
        if line.count(".") > MAX_KEY_PARTS:
            raise ValueError(f"a key of more than {MAX_KEY_PARTS} parts in line {number}")
    try:
        values = tomllib.loads(block, parse_float=plain_value)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(str(error).replace("at line ", "in line ")) from None
    fields = json_value(values)
    assert isinstance(fields, dict)
    return fields


def _json_block(block: str) -> Fields:
    text = block.strip()
    return json_object(text if text.startswith("{") else "{" + text.rstrip(",") + "}")


_READERS: dict[str, Callable[[str], Fields | None]] = {"yaml": _yaml, "toml": _toml, "json": _json_block}


def _json(source: str, start: int) -> FrontMatter | None:
    if not re.compile(r"\{[ \t]*(?:\n\s*)?(?:\"|\})").match(source, start):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(source, start)
    except (ValueError, RecursionError):
        closing = re.compile(r"^\}[ \t]*$", re.MULTILINE).search(source, start)
        if closing is None:
            return None
        end = closing.end()
    rest_of_line = source[end : source.find("\n", end) + 1 or len(source)]
    if rest_of_line.strip():
        return None
    return _read(source[start:end], _json_block, source, end + len(rest_of_line), source.count("\n", 0, start))


def _lines(source: str, start: int) -> FrontMatter | None:
    head = source[start : start + 10_000].split("\n", MAX_HEAD_LINES)[:MAX_HEAD_LINES]
    read = _pandoc(head) or _org(head) or _multimarkdown(head)
    if read is None:
        return None
    fields, count = read
    end = min(len(source), start + sum(len(line) + 1 for line in head[:count]))
    return FrontMatter(fields, source[end:], "", 1 + source.count("\n", 0, end))


def _pandoc(head: list[str]) -> tuple[Fields, int] | None:
    """Up to three lines of title, authors and date, each after a per cent sign; indented lines go on."""
    blocks: list[str] = []
    count = 0
    for line in head:
        if re.match(r"%(?:[ \t]|$)", line) and len(blocks) < 3:
            blocks.append(line[1:].strip())
        elif blocks and line[:1] in (" ", "\t") and line.strip():
            blocks[-1] += f" {line.strip()}"
        else:
            break
        count += 1
    fields: Fields = {name: text for name, text in zip(("title", "author", "date"), blocks, strict=False) if text}
    if isinstance(day := fields.get("date"), str):
        fields["date"] = plain_value(day)
    return (fields, count) if fields else None


def _org(head: list[str]) -> tuple[Fields, int] | None:
    fields: Fields = {}
    count = 0
    for line in head:
        found = _ORG_LINE.fullmatch(line)
        if found is None:
            break
        name, value = found[1].lower(), found[2].strip()
        fields.setdefault(name, value if name in ("title", "author") else plain_value(value))
        count += 1
    return (fields, count) if "title" in fields or "date" in fields else None


def _multimarkdown(head: list[str]) -> tuple[Fields, int] | None:
    """Lines of ``Key: value`` down to a blank one, if the first key is a usual one and all are of this form."""
    fields: Fields = {}
    last = ""
    for count, line in enumerate(head):
        if not line.strip():
            return (fields, count + 1) if fields else None
        found = _KEY_LINE.fullmatch(line)
        if line[0] in " \t" and last:
            fields[last] = f"{fields[last]} {line.strip()}".strip()
            continue
        if found is None or (not last and found[1].lower() not in _MULTIMARKDOWN_KEYS):
            return None
        last = found[1].lower()
        text = found[2].strip()
        fields[last] = text if last in TEXT_FIELDS else plain_value(text)
    return (fields, len(head)) if fields and len(head) < MAX_HEAD_LINES else None


def hidden_because(fields: Fields) -> str:
    """Why a page with these fields is not published, or is kept out of searches, in words; empty where it is.

    >>> hidden_because({"draft": True}), hidden_because({"draft": False})
    ('draft', '')
    """
    names = {name.lower(): value for name, value in fields.items()}
    if _says(names.get("draft"), True) or str(names.get("status", "")).lower() in ("draft", "hidden"):
        return "draft"
    if any(_says(names.get(name), False) for name in _PUBLISHED):
        return "page that is not published"
    search = names.get("search")
    is_excluded = isinstance(search, dict) and _says(search.get("exclude"), True)
    if is_excluded or _says(search, False) or any(_says(names.get(name), True) for name in _KEPT_OUT):
        return "page kept out of searches"
    return ""


def _says(value: JsonValue, wanted: bool) -> bool:
    words = ("true", "yes", "on", "1") if wanted else ("false", "no", "off", "0")
    return value is wanted or (isinstance(value, str) and value.strip().lower() in words)
