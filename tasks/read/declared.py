"""The language that a document says it is in: a column, front matter, the root of its HTML, or its folder's name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nightrank.tasks.languages import language_called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.storage.records import JsonValue

FIELDS = ("lang", "language")
"""Of front matter and of folders, whatever their case."""
# What says that nothing is said: of ISO 639 undetermined, several, none and others.
_NOTHING = frozenset({"", "und", "mul", "zxx", "mis", "auto", "unknown", "none", "null", "nan", "n/a"})
_TAG = re.compile(r"[a-z]{2,20}(?:[-_][a-z0-9]{1,8}){0,3}", re.IGNORECASE)
LEFT = "left to the words of the text"


class Declared(NamedTuple):
    """What a document says of its language.

    Attributes:
        language: Its name; empty where none is said that is known.
        told: What is to be told of it, in words; empty for nothing.
    """

    language: str
    told: str = ""


def declared_language(value: JsonValue) -> Declared:
    """The language that a value names, in English or by a code of ISO 639 with whatever region.

    >>> declared_language("pt-BR"), declared_language("German"), declared_language(None)
    (Declared(language='portuguese', told=''), Declared(language='german', told=''), Declared(language='', told=''))
    >>> declared_language("sk").told
    "the language 'sk', which is not known: left to the words of the text"
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list) and value:
        return Declared("", f"several languages of one document: {LEFT}")
    if not isinstance(value, str):
        return Declared("", "" if value in (None, []) else f"a language that is no text: {LEFT}")
    name = value.strip()
    if name.casefold() in _NOTHING:
        return Declared("")
    found = language_called(name)
    if found is not None:
        return Declared(found.name)
    # A short tag alone is told as it stands: a longer value may be text of the document.
    if _TAG.fullmatch(name):
        return Declared("", f"the language {name.lower()!r}, which is not known: {LEFT}")
    return Declared("", f"a language that is no name or code: {LEFT}")


def language_of_fields(fields: Mapping[str, JsonValue]) -> Declared:
    """The language that front matter names, or a folder called ``lang=de``.

    >>> language_of_fields({"Lang": "de", "weight": 3}).language
    'german'
    """
    by_name = {name.lower(): value for name, value in fields.items()}
    return next((declared_language(by_name[name]) for name in FIELDS if name in by_name), Declared(""))
