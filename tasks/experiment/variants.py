"""Variants of the settings: what may differ over the stores of one release, and how differences are written.

Fusion, weights, depths, BM25's formula and weights of fields, and the reranker work on chunks and vectors that are
there. Whatever would make other chunks, vectors or terms needs a workspace of its own.
"""

from __future__ import annotations

import difflib
import itertools
import re
import tomllib
from typing import TYPE_CHECKING

from pydantic import ValidationError

from nightrank.storage.errors import InputError
from nightrank.storage.legs import LEGS
from nightrank.tasks.settings.index import Bm25FieldsSettings, Bm25Settings
from nightrank.tasks.settings.ranking import RerankerSettings, ResultsSettings, RetrievalSettings
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nightrank.storage.records import JsonValue

MAX_VARIANTS = 1000
OF_THE_TERMS = {"bm25.language", "bm25.stop_words", "bm25.fold_accents"}
EXTERNAL_RUNS = {f"retrieval.{leg}_run" for leg in LEGS}  # a release holds what it read of them, and nothing else
VARIABLE = {
    f"{section}.{key}"
    for section, model in (
        ("bm25", Bm25Settings),
        ("retrieval", RetrievalSettings),
        ("reranker", RerankerSettings),
        ("results", ResultsSettings),
    )
    for key in model.model_fields
} - (OF_THE_TERMS | EXTERNAL_RUNS)
TABLES = {"retrieval.weights": LEGS, "bm25.fields": tuple(Bm25FieldsSettings.model_fields)}
OF_TABLES = {f"{table}.{key}" for table, keys in TABLES.items() for key in keys}  # each is an axis of a grid
HOSTED = "reranker.hosted"
WORD = re.compile(r"[A-Za-z0-9_./-]+")
ANOTHER_WORKSPACE = (
    "Write another settings file with a `workspace` of its own, refresh it, and compare: "
    "`nightrank evaluate -c this.toml --baseline other.toml`."
)
BESIDE_HOSTED = (
    "Hold a hosted reranker against another, or against one that runs here, with a settings file of its own: "
    "`nightrank evaluate -c this.toml --baseline other.toml`."
)


def read_grid(axes: Sequence[str]) -> list[dict[str, JsonValue]]:
    """The product of axes as people write them: ``retrieval.fusion=rrf,minmax``.

    Values are TOML's; a word need not be quoted. A list is one value: ``retrieval.legs=["bm25"],["bm25","dense"]``.

    Args:
        axes: Each a key of the settings file and its values.

    Returns:
        The values by key of each variant, the last axis changing fastest; none without axes.

    Raises:
        InputError: An axis is malformed or comes twice, its key may not vary, or there are too many variants.

    >>> read_grid(["retrieval.fusion=rrf,minmax", "bm25.k1=0.9"])
    [{'retrieval.fusion': 'rrf', 'bm25.k1': 0.9}, {'retrieval.fusion': 'minmax', 'bm25.k1': 0.9}]
    """
    values: dict[str, list[JsonValue]] = {}
    for axis in axes:
        key, equals, text = axis.partition("=")
        key = key.strip()
        if not equals or not text.strip():
            message = f"--grid {axis!r} names no values."
            raise InputError(message, remedy="Write KEY=V1,V2, such as retrieval.fusion=rrf,minmax.")
        if key == HOSTED:
            message = (
                f"--grid {key}: a whole section is no value, and what of it decides scores is where they come from."
            )
            raise InputError(message, remedy=BESIDE_HOSTED)
        if key in TABLES:
            message = f"--grid {key}: a whole table is no value."
            axes_of_it = ", ".join(f"{key}.{name}" for name in TABLES[key])
            raise InputError(message, remedy=f"Vary one weight of it: {axes_of_it}.")
        _require_variable(key)
        if key in values:
            message = f"--grid {key} is given twice."
            raise InputError(message, remedy="Give all values of a key at once, separated by commas.")
        read = _values(axis, text)
        values[key] = [value for place, value in enumerate(read) if value not in read[:place]]
    count = 1
    for choices in values.values():
        count *= len(choices)
    if count > MAX_VARIANTS:
        message = f"The grid has {count:,} variants, more than {MAX_VARIANTS:,}."
        raise InputError(message, remedy="Give fewer values, or fewer keys at one time.")
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())] if values else []


def varied(settings: Settings, changes: Mapping[str, JsonValue]) -> Settings:
    """The settings with some keys changed, checked as a settings file is.

    Args:
        settings: To begin with.
        changes: Values by key, such as ``bm25.k1``.

    Raises:
        InputError: A key may not vary, or a value is not allowed.
    """
    sections: dict[str, dict[str, JsonValue]] = {}
    for name, value in changes.items():
        _require_variable(name)
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    whole = settings.model_dump()
    for section, values in sections.items():
        for key, value in values.items():
            table, _, entry = key.partition(".")
            if entry:
                whole[section][table][entry] = value
            else:
                whole[section][key] = value
    try:
        return Settings.model_validate(whole)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        message = f"{name} = {fault.get('input')!r} is wrong: {fault['msg']}."
        raise InputError(message, remedy="The reference of the settings has the bounds of every key.") from error


def differences(before: Settings, after: Settings) -> dict[str, JsonValue]:
    """What is computed otherwise: the keys that differ, such as ``bm25.k1``, with their later values."""
    sides = [
        settings.model_dump(mode="json", include=_COMPUTED, exclude={"queries": {"pairs_per_second"}})
        for settings in (before, after)
    ]
    return {
        f"{section}.{key}": value
        for section, values in sides[1].items()
        for key, value in values.items()
        if sides[0][section][key] != value
    }


def require_variant(before: Settings, after: Settings, *, name: str) -> None:
    """Refuse settings that are no variant of others.

    Args:
        before: What the stores were made with.
        after: What would be run over them.
        name: What the user calls the latter.

    Raises:
        InputError: They would make other chunks, vectors or terms, or answer other queries.
    """
    fixed = sorted(differences(before, after).keys() - VARIABLE)
    if fixed:
        message = f"{name} differs in {', '.join(fixed)}, which no variant over the same workspace may change."
        raise InputError(message, remedy=ANOTHER_WORKSPACE)


# What decides chunks, vectors, terms, queries and rankings; neither the judgments nor where it runs.
_COMPUTED = {"documents", "queries", "chunking", "embedder", "bm25", "retrieval", "reranker", "results"}


def _require_variable(key: str) -> None:
    if key in VARIABLE or key in OF_TABLES:
        return
    section, _, name = key.partition(".")
    model = Settings.model_fields.get(section)
    fields: Iterable[str] = getattr(model.annotation, "model_fields", ()) if model is not None else ()
    if name in fields:
        varies = section in _COMPUTED
        reason = "would make other chunks, vectors, terms or queries" if varies else "decides no ranking"
        message = f"{key} cannot vary over one release: it {reason}."
        raise InputError(message, remedy=ANOTHER_WORKSPACE if varies else f"May vary: {', '.join(sorted(VARIABLE))}.")
    nearest = difflib.get_close_matches(key, [*VARIABLE, *OF_TABLES], n=1, cutoff=0.5)
    remedy = f"Did you mean {nearest[0]}?" if nearest else f"May vary: {', '.join(sorted(VARIABLE))}."
    raise InputError(f"{key!r} is not a setting.", remedy=remedy)


def _values(axis: str, text: str) -> list[JsonValue]:
    try:
        return _plain(tomllib.loads(f"values = [{text}]\n"), axis)
    except tomllib.TOMLDecodeError:
        return [value for part in text.split(",") for value in _word(part.strip(), axis)]


def _word(part: str, axis: str) -> list[JsonValue]:
    try:
        return _plain(tomllib.loads(f"values = [{part}]\n"), axis)
    except tomllib.TOMLDecodeError as error:
        if WORD.fullmatch(part):
            return [part]
        message = f"--grid {axis!r}: {part!r} is not a value."
        raise InputError(message, remedy="Write values as in the settings file, separated by commas.") from error


def _plain(parsed: Mapping[str, JsonValue], axis: str) -> list[JsonValue]:
    values = parsed["values"]
    assert isinstance(values, list)
    if len(parsed) > 1 or not values or not all(_is_plain(value) for value in values):
        message = f"--grid {axis!r}: values are plain numbers, words or booleans, or lists of words."
        raise InputError(message, remedy="Write KEY=V1,V2, such as retrieval.fusion=rrf,minmax.")
    return values


def _is_plain(value: JsonValue) -> bool:
    if isinstance(value, list):
        return all(isinstance(part, str) for part in value)
    return isinstance(value, str | int | float | bool)
