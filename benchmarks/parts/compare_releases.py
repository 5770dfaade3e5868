"""Do two releases hold the same? The same ids in the same order, scores within 1e-5, query by query.

A shortcut must end where a rebuild ends, so a difference is a fault. One kind is told apart: where the models have run
again, the same text may get a vector that differs in the seventh digit, and two entries closer than the tolerance may
change places. Such a query is counted as a tie by rounding.

What was measured is compared to the last bit: the figures of every judged query. Only where a query differs by a tie
may figures differ too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from nightrank.storage.files.parquet import read_table
from nightrank.storage.filters.queries import conditions_of
from nightrank.storage.legs import LEGS
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.serving.cache import SearchCache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from nightrank.storage.serving.cache import Snippet
    from nightrank.storage.workspace.base import Workspace

TOLERANCE = 1e-5
MEASURED = (ReleaseFiles.evaluation, ReleaseFiles.depths, ReleaseFiles.diagnosis)
COUNTS = ("documents", "chunks", "queries", "pairs")  # what is there, not what was done


class Entry(NamedTuple):
    """A result of a query."""

    document_id: str
    chunk_id: str
    score: float
    snippet: Snippet | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two releases compare.

    Attributes:
        equal: Queries with equal results and candidates.
        ties: Queries where nothing but ties by rounding, or what follows from one in a leg, differs.
        different: All other queries.
        counts_equal: Whether both hold as many documents, chunks, queries and pairs.
        first: The first thing that differs, a tie included; None where nothing does.
        measures_equal: Whether all that was measured is the same.
    """

    equal: int
    ties: int
    different: int
    counts_equal: bool
    first: str | None
    measures_equal: bool = True  # records of earlier versions lack it

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs at all."""
        return self.first is None

    @property
    def is_same_but_for_ties(self) -> bool:
        """Whether nothing differs but ties by rounding."""
        return self.counts_equal and self.different == 0 and (self.measures_equal or self.ties > 0)

    def __str__(self) -> str:
        if self.is_exact:
            return "equal"
        return f"{self.equal} queries equal, {self.ties} ties by rounding, {self.different} differ; first {self.first}"


def compare_releases(left: Workspace, right: Workspace) -> Comparison:
    """Compare the current releases of two workspaces.

    Raises:
        InputError: One has no published release.
    """
    ours, theirs = _read(left), _read(right)
    tally = dict.fromkeys(Agreement, 0)
    reasons = [
        f"{name}: {ours.counts[name]} and {theirs.counts[name]}"
        for name in COUNTS
        if ours.counts[name] != theirs.counts[name]
    ]
    counts_equal = not reasons
    for text in sorted(ours.queries.keys() | theirs.queries.keys()):
        agreement, reason = _compare(ours.queries.get(text), theirs.queries.get(text))
        tally[agreement] += 1
        if reason is not None:
            reasons.append(f"{text!r}: {reason}")
    differing = [f"other rows in {name}" for name in ours.measured if ours.measured[name] != theirs.measured[name]]
    return Comparison(
        equal=tally[Agreement.SAME],
        ties=tally[Agreement.TIE],
        different=tally[Agreement.DIFFERENT],
        counts_equal=counts_equal,
        measures_equal=not differing,
        first=next(iter(reasons + differing), None),
    )


def rankings_of(workspace: Workspace, release_id: str | None = None) -> dict[str, list[Entry]]:
    """Every answered query of a release (by default the current one) and its results, read as readers read them.

    A query with a filter goes by its text and its filter.
    """
    release_id = workspace.require_current() if release_id is None else release_id
    folder = workspace.release(release_id)
    table = ReleaseFiles(folder).queries.read()
    queries = list(zip(table.column("text").to_pylist(), conditions_of(table), strict=True))
    with SearchCache(folder, release_id=release_id) as cache:
        assert len(cache) == len(queries)
        return dict(_rankings(cache, queries))


def first_difference(left: Mapping[str, Sequence[Entry]], right: Mapping[str, Sequence[Entry]]) -> str | None:
    """Where two mappings of queries to results part first: other ids, another order, other scores or snippets."""
    for text in sorted(left.keys() | right.keys()):
        if text not in left or text not in right:
            return f"{text!r}: answered on one side alone"
        if (reason := _first_of_results(left[text], right[text])) is not None:
            return f"{text!r}: {reason}"
    return None


class Agreement(Enum):
    """How two rankings compare."""

    SAME = 0
    TIE = 1
    DIFFERENT = 2


class Scored(NamedTuple):
    """An entry of a ranking."""

    name: str
    score: float


@dataclass(slots=True)
class _Query:
    """What a release holds of a query: rankings, each in its own order."""

    results: list[Entry]
    candidates: list[Scored]
    legs: dict[str, list[Scored]]


@dataclass(frozen=True, slots=True)
class _Release:
    counts: dict[str, int]
    queries: dict[str, _Query]
    measured: dict[str, list[tuple[object, ...]]]


def _read(workspace: Workspace) -> _Release:
    release_id = workspace.require_current()
    files = ReleaseFiles.of(workspace, release_id)
    asked = files.queries.read()
    names = map(_name, asked.column("text").to_pylist(), conditions_of(asked))
    texts = dict(zip(asked.column("query_key").to_pylist(), names, strict=True))
    queries = {text: _Query(results, [], {leg: [] for leg in LEGS}) for text, results in rankings_of(workspace).items()}
    for stage in ("fused", *LEGS):
        columns = ["query_key", "chunk_id", f"{stage}_score", f"{stage}_rank"]
        for key, chunk_id, score, rank in _rows_of(files.candidates.path, columns):
            if rank is not None:
                query = queries[texts[key]]
                ranking = query.candidates if stage == "fused" else query.legs[stage]
                ranking.append(Scored(chunk_id, score))
                assert rank <= len(ranking)  # the chunks of a document share its rank
    manifest = read_manifest(workspace, release_id)
    counts = manifest.counts.model_dump()
    measured = {
        named.name: _sorted_rows(read_table(files.folder / named.name))
        for named in MEASURED
        if (files.folder / named.name).is_file()
    }
    return _Release({name: counts[name] for name in COUNTS}, queries, measured)


def _sorted_rows(table: pa.Table) -> list[tuple[object, ...]]:
    ordered = table.sort_by([(name, "ascending") for name in table.schema.names])
    return list(zip(*(column.to_pylist() for column in ordered.columns), strict=True))


def _rows_of(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a Parquet file, ordered by the last column, then the second."""
    table = read_table(path, columns=columns).sort_by([(columns[-1], "ascending"), (columns[1], "ascending")])
    return zip(*(column.to_pylist() for column in table.select(columns).columns), strict=True)


def _name(text: str, condition: str | None) -> str:
    """What a query is told by: its text, and its filter where it has one."""
    return text if condition is None else f"{text} {condition}"


def _rankings(cache: SearchCache, queries: Sequence[tuple[str, str | None]]) -> Iterator[tuple[str, list[Entry]]]:
    for text, condition in queries:
        found = cache.get(text, filter_by=condition)
        assert found is not None
        assert [result.rank for result in found.results] == list(range(1, len(found.results) + 1))
        yield (
            _name(text, condition),
            [Entry(result.document_id, result.chunk_id, result.score, result.snippet) for result in found.results],
        )


def _compare(left: _Query | None, right: _Query | None) -> tuple[Agreement, str | None]:
    if left is None or right is None:
        return Agreement.DIFFERENT, "answered on one side alone"
    reason = _first_of_results(left.results, right.results) or _first_of_candidates(left.candidates, right.candidates)
    if reason is None:
        return Agreement.SAME, None
    # What comes later is made of the ranks of what comes before, so the first stage that disagrees decides.
    legs = max((agreement(left.legs[leg], right.legs[leg]) for leg in LEGS), key=lambda leg: leg.value)
    results = ([Scored(entry.chunk_id, entry.score) for entry in side.results] for side in (left, right))
    stages = (legs, agreement(left.candidates, right.candidates), agreement(*results))
    # Where all are the same, a snippet is not.
    if next((stage for stage in stages if stage is not Agreement.SAME), Agreement.DIFFERENT) is Agreement.DIFFERENT:
        return Agreement.DIFFERENT, reason
    return Agreement.TIE, f"{reason} (a tie by rounding)"


def _first_of_results(left: Sequence[Entry], right: Sequence[Entry]) -> str | None:
    for place, (one, other) in enumerate(zip_longest(left, right), start=1):
        if one != other:
            return f"result {place}: {_shown(one)} and {_shown(other)}"
    return None


def _first_of_candidates(left: Sequence[Scored], right: Sequence[Scored]) -> str | None:
    for place, (one, other) in enumerate(zip_longest(left, right), start=1):
        if one != other:
            return f"candidate {place}: {_shown(one)} and {_shown(other)}"
    return None


def _shown(entry: tuple[object, ...] | None) -> str:
    return "nothing" if entry is None else " ".join(map(str, entry))


def agreement(left: Sequence[Scored], right: Sequence[Scored]) -> Agreement:
    """Whether two rankings are the same, the same but for entries closer than the tolerance, or neither.

    Args:
        left: In its order.
        right: In its order.

    >>> left = [Scored("a", 0.5), Scored("b", -0.1), Scored("c", -0.1)]
    >>> agreement(left, [left[0], left[2], left[1]])
    <Agreement.TIE: 1>
    >>> agreement(left, [Scored("b", 0.5), Scored("a", -0.1), Scored("c", -0.1)])
    <Agreement.DIFFERENT: 2>
    """
    if len(left) != len(right) or any(
        abs(one.score - other.score) > TOLERANCE for one, other in zip(left, right, strict=True)
    ):
        return Agreement.DIFFERENT
    if [entry.name for entry in left] == [entry.name for entry in right]:
        return Agreement.SAME
    # Whatever changed places must have its own score on both sides; what fell off the end, that of the last place.
    scores, others = dict(left), dict(right)
    moved = (
        abs(scores.get(name, left[-1].score) - others.get(name, right[-1].score)) for name in scores.keys() | others
    )
    return Agreement.TIE if all(distance <= TOLERANCE for distance in moved) else Agreement.DIFFERENT
