"""Checks of what a release says of the queries: lists, candidates, results, measures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.doctor.candidates import candidate_faults, pair_score_faults
from nightrank.storage.doctor.faults import count_fault, fault_of
from nightrank.storage.doctor.lists import leg_list_faults
from nightrank.storage.filters.queries import conditions_of
from nightrank.storage.memo.prune import PAIRS, memo_path
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.wide import rows_at
from nightrank.tasks.doctor.examined import Findings
from nightrank.tasks.evaluate.measures import means
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.results import cut_results
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.trec.leg import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.doctor.faults import Fault
    from nightrank.storage.release.files import TableReference
    from nightrank.storage.serving.cache import CachedResults
    from nightrank.tasks.doctor.examined import Examined

TOLERANCE = 1e-9

Ranking = list[tuple[str, str, float]]  # document id, chunk id, score


def check_dense_lists(examined: Examined) -> Findings:
    """Each query has one list of its nearest texts, ordered and above its floor; without a dense leg there is none."""
    return _check_lists(examined, examined.files.dense_lists, leg="dense")


def check_sparse_lists(examined: Examined) -> Findings:
    """The same of the lists of the learned sparse leg, where there is one of our own."""
    return _check_lists(examined, examined.files.sparse_lists, leg="sparse")


def _check_lists(examined: Examined, lists: TableReference, *, leg: Literal["dense", "sparse"]) -> Findings:
    retrieval, files = examined.settings.retrieval, examined.files
    if not examined.holds(lists) or leg not in retrieval.own_legs:
        return Findings({}, [])
    stands_in = leg in runs_of(retrieval)
    count, faults = leg_list_faults(
        lists.path,
        leg=leg,
        queries=files.queries.path,
        candidates=None if stands_in else files.candidates.path,
        bm25=files.statistics.path,
        by_document=examined.ranks_documents,
    )
    return Findings({"lists": count}, faults)


def check_candidates(examined: Examined) -> Findings:
    """Candidates are chunks of the release, ranked as their scores say, with the pair scores of the memo."""
    files = examined.files
    count, faults = candidate_faults(
        files.candidates.path,
        queries=files.queries.path,
        bm25=files.statistics.path,
        by_document=examined.ranks_documents,
    )
    path = memo_path(examined.workspace.memo, PAIRS, examined.manifest.inputs.reranker_fingerprint)
    memo = examined.workspace.memo_to_read(path, scratch=examined.scratch / "memo")
    compared: int = 0
    of_pairs: list[Fault] = []
    if memo.is_file():
        compared, of_pairs = pair_score_faults(files.candidates.path, queries=files.queries.path, memo=memo)
    return Findings({"candidates": count, "pair scores": compared}, [*faults, *of_pairs, *_outside_filters(examined)])


def check_results(examined: Examined) -> Findings:
    """The search cache answers every query, in all its aliases, with what its candidates, cut again, give."""
    files = examined.files
    queries = files.queries.read()
    expected = _cut_again(examined)
    differing, missing = [], []
    opened = SearchCache(examined.folder, release_id=examined.manifest.release_id)
    with opened as cache, progress("results", queries.num_rows) as advance:
        answered = len(cache)
        for row in queries.to_pylist():
            for text in (row["text"], *row.get("aliases", ())):  # older releases have no aliases
                found = cache.get(text, filter_by=row.get("filter"))
                if found is None:
                    missing.append(text)
                elif not _is_ranked(found) or _ranking(found) != expected.get(row["query_key"], []):
                    differing.append(text)
            advance(1)
    count = examined.manifest.counts.queries
    faults = [
        *count_fault("queries", expected=count, found=queries.num_rows),
        *count_fault("answered queries", expected=count, found=answered),
        *fault_of("queries without an answer", missing),
        *fault_of("queries whose results are not what their candidates give", differing),
    ]
    return Findings({"queries": queries.num_rows, "answers": answered}, faults)


def check_measures(examined: Examined) -> Findings:
    """The manifest's measures are the means of what was measured for each judged query."""
    files = examined.files
    if not examined.holds(files.evaluation):
        return Findings({}, [])
    measured = _flat(means(files.evaluation.read()))
    told = _flat(examined.manifest.measures)
    differing = [
        f"{stage} {name}"
        for stage, name in measured.keys() | told.keys()
        if not math.isclose(
            measured.get((stage, name), math.nan), told.get((stage, name), math.nan), rel_tol=0, abs_tol=TOLERANCE
        )
    ]
    faults = fault_of("measures that are not the mean of their queries' values", differing)
    return Findings({"measures": len(told)}, faults)


def _outside_filters(examined: Examined) -> list[Fault]:
    """Candidates that their query's filter, applied once more, does not let through."""
    files = examined.files
    queries = files.queries.read()
    if not any(conditions_of(queries)):
        return []
    with Bm25Store.open(files.statistics.path) as store:
        filters = QueryFilters.of_release(queries, store)
    candidates = files.candidates.read(["query_key", "chunk_id", "chunk_number"])
    rows = rows_at(candidates, filters.outside(queries.column("query_key"), candidates)).to_pylist()
    names = [f"{row['query_key']} {row['chunk_id']}" for row in rows]
    return fault_of("candidates that their query's filter does not let through", names)


def _cut_again(examined: Examined) -> dict[str, Ranking]:
    """The results that the stored candidates give, by query key."""
    files = examined.files
    settings = examined.settings
    columns = ["query_key", "chunk_id", "chunk_hash", "document_id", "fused_rank", "score"]
    results = cut_results(
        files.candidates.read(columns),
        candidate_depth=settings.retrieval.candidate_depth,
        settings=settings.results,
        vectors=stored_vectors(examined.table()) if settings.results.diversifies else None,
    )
    rankings: dict[str, Ranking] = {}
    for row in results.to_pylist():
        rankings.setdefault(row["query_key"], []).append((row["document_id"], row["chunk_id"], row["score"]))
    return rankings


def _ranking(found: CachedResults) -> Ranking:
    return [(result.document_id, result.chunk_id, result.score) for result in found.results]


def _is_ranked(found: CachedResults) -> bool:
    return [result.rank for result in found.results] == list(range(1, len(found.results) + 1))


def _flat(measures: dict[str, dict[str, float]]) -> dict[tuple[str, str], float]:
    def values() -> Iterator[tuple[tuple[str, str], float]]:
        for stage, by_name in measures.items():
            for name, value in by_name.items():
                yield (stage, name), value

    return dict(values())
