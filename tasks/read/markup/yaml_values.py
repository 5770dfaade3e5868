"""A YAML block as JSON values in which a person finds what was written.

YAML 1.1, which PyYAML's loaders follow, reads ``No`` as false, ``12:30`` as 750 and ``0123`` as 83. Here the core
schema of YAML 1.2 decides (https://yaml.org/spec/1.2.2/#103-core-schema), and a number that would not be written again
as it stood, such as ``1.10`` or ``1e3``, stays a text. So does every value of a field that people read as a text, such
as ``version``, lest it be a number on one page and a text on another. Dates keep working for filters: they become ISO
8601.

libyaml's parser is used where PyYAML has it. Values are built from its events: nothing recurses, no tag makes an
object, and aliases, which let a few lines stand for billions of values, are refused.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING

import yaml

from nightrank.tasks.read.values import MAX_LEVELS, json_value

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue

TEXT_FIELDS = frozenset(
    {"title", "subtitle", "name", "slug", "version", "since", "release", "id", "sku", "isbn", "ean", "code", "phone"}
    | {"zip", "postcode", "lang", "language", "locale", "label", "sidebar_label", "author", "authors", "tags"}
    | {"categories", "category", "keywords", "aliases", "permalink", "url", "path", "description", "summary", "layout"}
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_DATE = re.compile(
    r"(\d{4}-\d\d?-\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?:\d\d:\d\d)(\.\d{1,6})?\d*[ \t]*(Z|[+-]\d\d?(?::?\d\d)?)?)?"
)
_PLAIN_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")


def yaml_value(block: str) -> JsonValue:
    r"""The value of a YAML document.

    Raises:
        ValueError: It is broken, uses aliases, is nested deeper than 32 levels, or names a key twice. Where a line of
            the block is to blame, the message ends with its number, from 1.

    >>> yaml_value("title: No\nversion: 1.10\nprice: 1.25\nopens: 12:30\nday: 2024-06-03\ndraft: true")
    {'title': 'No', 'version': '1.10', 'price': 1.25, 'opens': '12:30', 'day': '2024-06-03', 'draft': True}
    """
    try:
        return json_value(_built(block))
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{error.problem or error.context}{line}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from None


def plain_value(text: str) -> JsonValue:
    """What a plain scalar says: null, a boolean, a number that is written so, a date, or itself.

    >>> [plain_value(text) for text in ("-7", "0.5", "0.50", "1_000", "0x1F", "yes", "~")]
    [-7, 0.5, '0.50', '1_000', '0x1F', 'yes', None]
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _DECIMAL.fullmatch(text):
        number = float(text) if "." in text else int(text) if len(text) <= 18 else text
        return number if str(number) == text else text
    return _iso_date(text) if _DATE.fullmatch(text) else text


def _iso_date(text: str) -> str:
    day, clock, fraction, zone = _DATE.fullmatch(text).groups()  # type: ignore[union-attr]  # it was matched
    try:
        year, month, number = (int(part) for part in day.split("-"))
        if clock is None:
            return date(year, month, number).isoformat()
        hour, minute, second = (int(part) for part in clock.split(":"))
        offset = "" if zone is None else "+00:00" if zone == "Z" else _offset(zone)
        moment = datetime(year, month, number, hour, minute, second).isoformat()  # noqa: DTZ001  # the zone is a text
        return datetime.fromisoformat(
            f"{moment}{(fraction or '').ljust(7, '0') if fraction else ''}{offset}"
        ).isoformat()
    except ValueError:
        return text


def _offset(zone: str) -> str:
    digits = zone[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "00")
    return f"{zone[0]}{hours.zfill(2)}:{minutes}"


class _Open:
    """A list or a mapping that is not ended yet."""

    def __init__(self, *, is_mapping: bool, is_text: bool) -> None:
        self.items: list[JsonValue] = []
        self.fields: dict[str, JsonValue] = {}
        self.key: str | None = None
        self.is_mapping = is_mapping
        self.is_text = is_text  # whether every value in it is one

    def add(self, value: JsonValue) -> None:
        if not self.is_mapping:
            self.items.append(value)
        elif self.key is None:
            if not isinstance(value, str):
                raise ValueError("a key is a list or a mapping")
            if value in self.fields:
                raise ValueError(f"the key {value[:64]!r} is named twice")
            self.key = value
        else:
            self.fields[self.key], self.key = value, None

    def value(self) -> JsonValue:
        return self.fields if self.is_mapping else self.items


def _built(block: str) -> JsonValue:
    outermost = _Open(is_mapping=False, is_text=False)
    levels = [outermost]
    for event in yaml.parse(block, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        level = levels[-1]
        if isinstance(event, yaml.AliasEvent):
            line = f" in line {event.start_mark.line + 1}" if event.start_mark else ""
            raise ValueError(f"the alias *{event.anchor}; write the value out{line}")
        if isinstance(event, yaml.ScalarEvent):
            is_key = level.is_mapping and level.key is None
            is_text = is_key or level.is_text or (level.key or "").lower() in TEXT_FIELDS
            level.add(_scalar(event, is_text=is_text, is_key=is_key))
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(levels) > MAX_LEVELS:
                raise ValueError(f"nested deeper than {MAX_LEVELS} levels")
            is_text = not isinstance(event, yaml.MappingStartEvent) and (level.key or "").lower() in TEXT_FIELDS
            levels.append(_Open(is_mapping=isinstance(event, yaml.MappingStartEvent), is_text=is_text))
        elif isinstance(event, yaml.CollectionEndEvent):
            levels.pop()
            levels[-1].add(level.value())
        elif isinstance(event, yaml.DocumentStartEvent) and outermost.items:
            raise ValueError("it is more than one document")
    return outermost.items[0] if outermost.items else None


def _scalar(event: yaml.ScalarEvent, *, is_text: bool, is_key: bool) -> JsonValue:
    text = str(event.value)
    is_plain = event.implicit[0] or event.tag in _PLAIN_TAGS
    if is_key or not is_plain:
        return text
    if is_text:
        return None if text in _NULLS else text
    return plain_value(text)
