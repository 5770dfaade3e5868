"""JSON as people write it: an object that names one key twice says nothing certain, and is refused."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue


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
    value: JsonValue = json.loads(text, object_pairs_hook=_object)
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise NamedTwice(f"an object names {twice[:64]!r} twice")
    return found
