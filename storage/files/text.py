r"""A text that a person may look at: nothing in it steers a terminal, or turns the direction of what is shown.

What joins letters, and is needed to write some languages (U+200C, U+200D), stays.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue


# Control characters, marks and overrides of direction, breaks of lines and paragraphs, characters that print as
# nothing, tags, halves of characters.
_REFUSED = (
    r"\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    r"\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_A_LINE = re.compile(rf"[\x00-\x0a{_REFUSED}]")
_IN_LINES = re.compile(rf"[\x00-\x08{_REFUSED}]")


def plain_text(text: str, *, lines: bool = False) -> str:
    r"""A text in which every character that may not be shown is a replacement character.

    Args:
        text: As it came.
        lines: Whether tabs and ends of lines stay.

    >>> plain_text("a\x1b[31m\u202eb\n") == "a\ufffd[31m\ufffdb\ufffd"
    True
    """
    return (_IN_LINES if lines else _IN_A_LINE).sub("\N{REPLACEMENT CHARACTER}", text)


class NamedTwice(ValueError):
    """An object names a key twice; most readers would silently take what stands last."""


def read_json(text: str) -> JsonValue:
    """The value that a text holds.

    Raises:
        NamedTwice: An object in it names a key twice.
        ValueError: It is no JSON; of ``json.JSONDecodeError`` where a place in it can be told.
        RecursionError: It is nested too deeply.

    >>> read_json('{"weight": -1, "tags": ["a", "a"]}')
    {'weight': -1, 'tags': ['a', 'a']}
    """
    value: JsonValue = _DECODER.decode(text)
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise NamedTwice(f"an object names {twice[:64]!r} twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)  # making one takes as long as a short text
