"""What the values of an input may be: texts, ids and JSON, whatever format they were written in.

Each function returns the value in the one form that the rest of Nightrank sees, or raises ``ValueError`` whose
message is the reason, in words that a bad row's report can use. Where the value stood is the caller's to say.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from nightrank.storage.characters import visible, without
from nightrank.storage.files.text import NamedTwice, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nightrank.storage.records import JsonValue

MAX_ID_BYTES = 512
MAX_LEVELS = 32
MAX_VALUES = 100_000

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
BLANKS = " \t\u00a0\u2007\u202f\u3000\ufeff"
"""What is taken away around ids: an export pads with them, and nobody sees them. Line breaks are faults."""
_USUAL = b"\t\n" + bytes(range(0x20, 0x7F))
"""Characters of ASCII that a text may hold: many are passed over at once, where a pattern looks at each."""
PLAIN = frozenset({int, bool, type(None)})
PADDED_IDS = "blanks around ids, taken away"
EXACT_TO = 2**53
"""Beyond it not every integer is a float: what was written was another number, perhaps."""


class NoJsonValue(ValueError):
    """A value of a type that JSON lacks, such as an image: its field can be left out, and the row read."""


def clean_text(text: str) -> str:
    r"""A text without control characters and without those that print as nothing.

    Line ends become ``\n``. Every other C0 and C1 control character except the tab, NUL and DEL included, becomes a
    space, so that words that it kept apart stay apart. What prints as nothing, such as a soft hyphen, goes.

    Raises:
        ValueError: The text holds a lone surrogate: half of a character, as left by cutting UTF-16 in the middle.

    >>> clean_text("a\x00b\r\nc\td\x85 so\xadft")
    'a b\nc\td  soft'
    """
    unusual = _encoded(text).translate(None, _USUAL).decode()
    if "\r" in unusual:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return visible(without(text, set(CONTROL.findall(unusual)) - {"\r"}, instead=" "))


def identifier(value: JsonValue) -> str:
    """An id as text: as written, without blanks around it; an integer, a whole float too, is its decimal digits.

    Raises:
        ValueError: It is empty, longer than 512 bytes of UTF-8, holds a line break or a control character, or is
            neither a text nor an integer.

    >>> identifier(42), identifier(7.0), identifier(" guide#2 ")
    ('42', '7', 'guide#2')
    """
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_TO:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError("the id is empty")
    if not isinstance(value, str):
        raise ValueError(f"the id is {kind(value)}, not a text or an integer")
    _refuse_surrogates(value)
    value = value.strip(BLANKS)
    if found := CONTROL_OR_BREAK.search(value):
        raise ValueError(f"the id {shown(value)} holds the control character {found[0]!r}")
    if (size_bytes := len(value.encode())) > MAX_ID_BYTES:
        raise ValueError(f"the id {shown(value)} is {size_bytes:,} bytes long, more than {MAX_ID_BYTES}")
    return value


def json_value(value: object) -> JsonValue:
    """A value as JSON has it, whichever library read it.

    Dates and times become ISO 8601 texts, durations seconds, decimals and UUIDs texts, bytes the text that they are
    in UTF-8, keys of mappings texts. NaN, which pandas writes for what is missing, and infinities are null. Texts
    keep their control characters, which JSON escapes.

    Raises:
        NoJsonValue: It is or holds bytes that are no text, or a value of another type that JSON lacks.
        ValueError: It is or holds a lone surrogate, is nested deeper than 32 levels, or holds more than 100,000
            values.

    >>> json_value({1: [date(2024, 6, 3), -0.5, None, float("nan"), timedelta(minutes=2)]})
    {'1': ['2024-06-03', -0.5, None, None, 120]}
    """
    return _json_value(value, MAX_LEVELS, itertools.count(1))


def json_object(text: str) -> dict[str, JsonValue]:
    """The JSON object that a text holds.

    Raises:
        ValueError: The text is broken JSON, or JSON that is no object, or holds a value that ``json_value`` refuses,
            or an object that names a key twice.
    """
    try:
        value = read_json(text)
    except NamedTwice:
        raise
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    except ValueError:
        raise ValueError("broken JSON: a number has too many digits") from None
    if not isinstance(value, dict):
        raise ValueError(f"JSON that is {kind(value)}, not an object")
    return json_fields(value)


def json_fields(values: Mapping[str, object]) -> dict[str, JsonValue]:
    """The fields of a row as JSON; the reason for refusing one names it."""
    fields: dict[str, JsonValue] = {}
    for name, value in values.items():
        try:
            _refuse_surrogates(name)
            fields[name] = value if isinstance(value, str) and value.isascii() else json_value(value)
        except NoJsonValue as error:
            raise NoJsonValue(f"field {shown(name)}: {error}") from None
        except ValueError as error:
            raise ValueError(f"field {shown(name)}: {error}") from None
    return fields


def fields_and_left_out(values: Mapping[str, object]) -> tuple[dict[str, JsonValue], dict[str, str]]:
    r"""The fields of a row as JSON, and why others, of types that JSON lacks, are left out, by name.

    Raises:
        ValueError: As ``json_value`` does, for what is no matter of a type.

    >>> fields_and_left_out({"id": 1, "image": b"\x89PNG"})
    ({'id': 1}, {'image': 'bytes that are no text'})
    """
    fields: dict[str, JsonValue] = {}
    left_out: dict[str, str] = {}
    for name, value in values.items():
        if (type(value) in PLAIN or (isinstance(value, str) and value.isascii())) and name.isascii():
            fields[name] = value  # type: ignore[assignment]  # it is a JSON value
            continue
        try:
            fields.update(json_fields({name: value}))
        except NoJsonValue as error:
            left_out[name] = str(error).removeprefix(f"field {shown(name)}: ")
    return fields, left_out


def number_as_text(value: JsonValue) -> JsonValue:
    """A number as the text that a reader of text would have met; any other value as it is.

    >>> number_as_text(404), number_as_text(1917.0), number_as_text(-2.5), number_as_text(None)
    ('404', '1917', '-2.5', None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def kind(value: object) -> str:
    """What a value is, in words."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")


def shown(value: object, *, most: int = 64) -> str:
    """A value as a message quotes it: escaped, and cut where it is longer than so many characters."""
    text = repr(value[:most] if isinstance(value, str | bytes) else value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _json_value(value: object, levels: int, counter: Iterator[int]) -> JsonValue:
    if next(counter) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    if isinstance(value, list | tuple | dict):
        if levels == 0:
            raise ValueError(f"nested deeper than {MAX_LEVELS} levels")
        if isinstance(value, list | tuple):
            return [_json_value(item, levels - 1, counter) for item in value]
        fields = {_key(key): _json_value(item, levels - 1, counter) for key, item in value.items()}
        if len(fields) < len(value):
            raise ValueError("two keys of a mapping read the same")
        return fields
    return _scalar(value)


def _scalar(value: object) -> JsonValue:
    if isinstance(value, str):
        _refuse_surrogates(value)
    elif isinstance(value, float | Decimal) and not math.isfinite(value):
        return None
    elif isinstance(value, date | time):
        return value.isoformat()
    elif isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    elif isinstance(value, Decimal | UUID):
        return str(value)
    elif isinstance(value, bytes):
        return _text_of(value)
    elif value is not None and not isinstance(value, bool | int | float):
        raise NoJsonValue(f"{kind(value)} is no JSON value")
    return value


def _text_of(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoJsonValue("bytes that are no text") from None


def _key(key: object) -> str:
    if isinstance(key, str):
        _refuse_surrogates(key)
        return key
    value = json_value(key)
    return value if isinstance(value, str) else json.dumps(value)


def _refuse_surrogates(text: str) -> None:
    if not text.isascii():
        _encoded(text)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()  # many times faster than a search, and every text of every row comes here
    except UnicodeEncodeError as error:
        message = f"character {error.start + 1} is half of a surrogate pair, which is no character"
        raise ValueError(message) from None
