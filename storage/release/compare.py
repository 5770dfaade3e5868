"""The published rankings of two releases side by side: what readers see, and what they would see."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from nightrank.storage.release.results_file import ResultsFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class RankingPair(NamedTuple):
    """A query's document ids in two releases, best first, each once; None where a release does not answer it."""

    query_key: str
    before: list[str] | None
    after: list[str] | None


class _Entry(msgspec.Struct, frozen=True):
    """What of a result a comparison looks at: the rest is not read."""

    document_id: str


_ENTRIES = msgspec.json.Decoder(list[_Entry])


def paired_rankings(before: Path | None, after: Path) -> Iterator[RankingPair]:
    """Every query of a release with its ranking and with what readers got for it before.

    A query that was answered by an alias's results got those.

    Args:
        before: The results file of the release that readers see; None: there is none to compare with.
        after: The results file of the release that was made.

    Yields:
        Pairs by query key, one in memory at a time.
    """
    with ResultsFile(after) as made, nullcontext() if before is None else ResultsFile(before) as seen:
        for key, _, results in made.rows():
            yield RankingPair(key, None if seen is None else ranking_in(seen, key), _ids(results))


def former_rankings(before: Path, after: Path) -> Iterator[RankingPair]:
    """Every query of the release that readers see with its ranking, and what they would get for it instead.

    A query that has become an alias of another gets that one's results.

    Args:
        before: The results file of the release that readers see.
        after: The results file of the release that was made.

    Yields:
        Pairs by query key, one in memory at a time.
    """
    with ResultsFile(before) as seen, ResultsFile(after) as made:
        for key, _, results in seen.rows():
            yield RankingPair(key, _ids(results), ranking_in(made, key))


def rankings_of(results: Path, keys: Iterable[str]) -> dict[str, list[str]]:
    """The document ids that a release answers some queries with, best first, by query key.

    Args:
        results: Its results file.
        keys: Of queries or aliases; those that it does not answer are left out.
    """
    with ResultsFile(results) as file:
        found = {key: ranking_in(file, key) for key in keys}
    return {key: ranking for key, ranking in found.items() if ranking is not None}


def ranking_in(file: ResultsFile, key: str) -> list[str] | None:
    """The document ids that a query or an alias is answered with, best first; None where it is not answered."""
    found = file.get(key)
    return None if found is None else _ids(found[1])


def _ids(results: bytes) -> list[str]:
    """Document ids, best first; where chunks are the unit, one that comes twice stands where its best chunk stands."""
    return list(dict.fromkeys(entry.document_id for entry in _ENTRIES.decode(results)))
