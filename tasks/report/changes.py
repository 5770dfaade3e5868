"""What differs between two releases' manifests: inputs, settings, and the version that made them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Counts, Inputs, Manifest

INPUTS = {
    "documents": "The documents",
    "queries": "The queries",
    "judgments": "The judgments",
    "settings": "The settings that decide a release",
    "chunking": "How documents are cut",
    "embedder": "The embedder",
    "reranker": "The reranker",
    "analysis": "Words and stems",
    "pipeline": "What the stages compute",
}
COUNTS = {
    "documents": "Documents",
    "chunks": "Chunks",
    "queries": "Queries answered",
    "queries_judged": "Queries judged",
    "pairs": "Pairs of query and chunk",
}
ABSENT = "not there"
DIGEST_SHOWN = 10


class Change(NamedTuple):
    """Something that has another value than before, both as people read them."""

    name: str
    before: str
    after: str


class Count(NamedTuple):
    """A count now and before; ``before`` is None for a first release."""

    name: str
    before: int | None
    after: int


def changed_settings(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> list[Change]:
    """The settings that differ, key by key, written as in the settings file's sections.

    >>> changed_settings({"bm25": {"k1": 1.2, "b": 0.75}}, {"bm25": {"k1": -1.5, "b": 0.75}, "x": 1})
    [Change(name='[bm25].k1', before='1.2', after='-1.5'), Change(name='x', before='not there', after='1')]
    """
    left, right = dict(_flat(before)), dict(_flat(after))
    return [
        Change(key, left.get(key, ABSENT), right.get(key, ABSENT))
        for key in {**right, **left}
        if left.get(key) != right.get(key)
    ]


def changed_inputs(before: Inputs, after: Inputs) -> list[Change]:
    """The digests that differ, each with what it stands for, shortened."""
    left, right = before.model_dump(), after.model_dump()
    return [
        Change(INPUTS.get(name, name), _short(left[name]), _short(value))
        for name, value in right.items()
        if value != left[name]
    ]


def changed_version(before: Manifest, after: Manifest) -> list[Change]:
    """The version of Nightrank, where it is another."""
    if before.nightrank == after.nightrank:
        return []
    return [Change("Nightrank itself", before.nightrank, after.nightrank)]


def counts_beside(before: Counts | None, after: Counts) -> list[Count]:
    """How much each release holds."""
    return [
        Count(words, None if before is None else getattr(before, name), getattr(after, name))
        for name, words in COUNTS.items()
    ]


def _flat(settings: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    for section, value in settings.items():
        if isinstance(value, dict):
            for key, inner in value.items():
                yield f"[{section}].{key}", _as_written(inner)
        else:
            yield section, _as_written(value)


def _as_written(value: JsonValue) -> str:
    return "default" if value is None else json.dumps(value, ensure_ascii=False)


def _short(digest: str) -> str:
    fingerprint, at, rest = digest.partition(" at ")
    return fingerprint[:DIGEST_SHOWN] + at + rest
