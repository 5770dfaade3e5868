"""The published rankings of two releases side by side: what readers see, and what they would see."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from nightrank.storage.release.results.file import ResultsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path


OpenAnswers: TypeAlias = "Callable[[], ResultsFile]"


class RankingPair(NamedTuple):
    """A query's document ids in two releases, best first, each once; None where a release does not answer it."""

    query_key: str
    before: list[str] | None
    after: list[str] | None


class _Entry(msgspec.Struct, frozen=True):
    """What of a result a comparison looks at: the rest is not read."""

    document_id: str


_ENTRIES = msgspec.json.Decoder(list[_Entry])


def paired_rankings(before: OpenAnswers | None, after: Path, *, without: Collection[str] = ()) -> Iterator[RankingPair]:
    """Every query of a release with its ranking and with what readers got for it before.

    A query that was answered by an alias's results got those.

    Args:
        before: Opens what readers see; None: there is nothing to compare with.
        after: The results file of the release that was made.
        without: Ids of documents that were taken down, which no ranking shows, whenever it was made.

    Yields:
        Pairs by query key, one in memory at a time.
    """
    with ResultsFile(after) as made, nullcontext() if before is None else before() as seen:
        for key, _, results in made.rows():
            was = None if seen is None else ranking_in(seen, key, without)
            yield RankingPair(key, was, _ids(results, without))


def former_rankings(before: OpenAnswers, after: Path, *, without: Collection[str] = ()) -> Iterator[RankingPair]:
    """Every query of the release that readers see with its ranking, and what they would get for it instead.

    A query that has become an alias of another gets that one's results.

    Args:
        before: Opens what readers see.
        after: The results file of the release that was made.
        without: As for ``paired_rankings``.

    Yields:
        Pairs by query key, one in memory at a time.
    """
    with before() as seen, ResultsFile(after) as made:
        for key, _, results in seen.rows():
            yield RankingPair(key, _ids(results, without), ranking_in(made, key, without))


def rankings_of(results: Path, keys: Iterable[str]) -> dict[str, list[str]]:
    """The document ids that a release answers some queries with, best first, by query key.

    Args:
        results: Its results file.
        keys: Of queries or aliases; those that it does not answer are left out.
    """
    with ResultsFile(results) as file:
        found = {key: ranking_in(file, key) for key in keys}
    return {key: ranking for key, ranking in found.items() if ranking is not None}


def ranking_in(file: ResultsFile, key: str, without: Collection[str] = ()) -> list[str] | None:
    """The document ids that a query or an alias is answered with, best first; None where it is not answered."""
    found = file.get(key)
    return None if found is None else _ids(found[1], without)


def _ids(results: bytes, without: Collection[str] = ()) -> list[str]:
    """Document ids, best first; where chunks are the unit, one that comes twice stands where its best chunk stands."""
    ids = dict.fromkeys(entry.document_id for entry in _ENTRIES.decode(results))
    return [document_id for document_id in ids if document_id not in without]
