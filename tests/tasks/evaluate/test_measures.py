from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import InputError
from nightrank.storage.records import CANDIDATES, QUERIES, Judgment
from nightrank.storage.release.evaluation import EVALUATION
from nightrank.tasks.evaluate.measures import evaluate_run, evaluate_stages, means
from nightrank.tasks.settings.quality import EvaluationSettings
from nightrank.tasks.settings.ranking import ResultsSettings
from nightrank.tasks.trec.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.storage.legs import LegName

QUERY_IDS, DOCUMENT_IDS = ("q1", "q2", "q3"), tuple(f"d{number}" for number in range(13))


def judged(grades: dict[tuple[str, str], int]) -> list[Judgment]:
    return [Judgment(query_id, document_id, grade) for (query_id, document_id), grade in grades.items()]


def value_of(run: Sequence[Entry], grades: dict[tuple[str, str], int], measure: str) -> float:
    """A measure where there is one judged query."""
    [(_, name, value)] = evaluate_run(run, judged(grades), [measure])
    assert name == measure
    return value


def ndcg(ranking: list[int], every_grade: list[int], *, depth: int) -> float:
    def gain(grades: list[int]) -> float:
        return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades[:depth], start=1))

    ideal = gain(sorted(every_grade, reverse=True))
    return gain(ranking) / ideal if ideal else 0.0


def reciprocal_rank(ranking: list[int], *, depth: int) -> float:
    return next((1 / rank for rank, grade in enumerate(ranking[:depth], start=1) if grade > 0), 0.0)


def recall(ranking: list[int], every_grade: list[int], *, depth: int) -> float:
    relevant = sum(grade > 0 for grade in every_grade)
    return sum(grade > 0 for grade in ranking[:depth]) / relevant if relevant else 0.0


PAIRS = st.tuples(st.sampled_from(QUERY_IDS), st.sampled_from(DOCUMENT_IDS))


@given(
    scores=st.dictionaries(PAIRS, st.sampled_from([-1.5, 0.0, 0.25, 3.0]), max_size=39),
    grades=st.dictionaries(PAIRS, st.integers(-1, 3), min_size=1, max_size=12),
)
def test_measures_equal_their_definitions_on_random_runs_with_ties(
    scores: dict[tuple[str, str], float], grades: dict[tuple[str, str], int]
) -> None:
    run = [Entry(query_id, document_id, score) for (query_id, document_id), score in scores.items()]
    expected = []
    for query_id in sorted({query_id for query_id, _ in grades}):
        # Ties as trec_eval breaks them: document id descending.
        ranked = sorted(((score, doc) for (other, doc), score in scores.items() if other == query_id), reverse=True)
        ranking = [grades.get((query_id, document_id), 0) for _, document_id in ranked]
        every = [grade for (other, _), grade in grades.items() if other == query_id]
        expected += [
            (query_id, "nDCG@10", ndcg(ranking, every, depth=10)),
            (query_id, "RR@10", reciprocal_rank(ranking, depth=10)),
            (query_id, "R@5", recall(ranking, every, depth=5)),
        ]
    found = evaluate_run(run, judged(grades), ["nDCG@10", "RR@10", "R@5"])
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected], abs=1e-6)


def test_measures_equal_trec_evals_own_where_every_query_is_answered() -> None:
    scores = {
        query: {doc: float(-(number * number % 7)) for number, doc in enumerate(DOCUMENT_IDS)} for query in QUERY_IDS
    }
    grades = {
        query: {doc: (number + place) % 3 for number, doc in enumerate(DOCUMENT_IDS[::2])}
        for place, query in enumerate(QUERY_IDS)
    }
    theirs = pytrec_eval.RelevanceEvaluator(grades, {"ndcg_cut.10", "map", "P.5"}).evaluate(scores)
    run = [Entry(query, doc, score) for query, found in scores.items() for doc, score in found.items()]
    judgments = [Judgment(query, doc, grade) for query, found in grades.items() for doc, grade in found.items()]
    names = {"nDCG@10": "ndcg_cut_10", "AP": "map", "P@5": "P_5"}
    for query_id, name, value in evaluate_run(run, judgments, list(names)):
        assert value == pytest.approx(theirs[query_id][names[name]])


def test_scores_that_are_equal_in_float32_are_ties_for_every_measure() -> None:
    run = [Entry("q1", "a", 1.0 + 1e-12), Entry("q1", "b", 1.0)]
    for measure in ("RR@10", "RR", "nDCG@1", "P@1", "Success@1", "AP"):
        assert value_of(run, {("q1", "b"): 1}, measure) == 1.0, measure


def test_the_ideal_ranking_comes_from_the_judgments_and_not_from_what_was_found() -> None:
    grades = {("q1", "d1"): 1, ("q1", "never found"): 1}
    ideal = 1 + 1 / math.log2(3)
    assert value_of([Entry("q1", "d1", 1.0)], grades, "nDCG@10") == pytest.approx(1 / ideal)


def test_a_judged_query_without_results_scores_zero_and_is_counted() -> None:
    run = [Entry("q1", "d1", 1.0)]
    found = evaluate_run(run, judged({("q1", "d1"): 1, ("q2", "d1"): 1}), ["RR@10", "nDCG@10"])
    assert found == [("q1", "RR@10", 1.0), ("q1", "nDCG@10", 1.0), ("q2", "RR@10", 0.0), ("q2", "nDCG@10", 0.0)]
    assert value_of([], {("q1", "d1"): 1}, "RR@10") == 0.0


def test_an_answered_query_that_nobody_judged_does_not_count() -> None:
    found = evaluate_run([Entry("q1", "d1", 1.0), Entry("q9", "d1", 1.0)], judged({("q1", "d1"): 1}), ["RR@10"])
    assert [row[0] for row in found] == ["q1"]


def test_every_measure_that_was_asked_for_is_there_even_if_two_are_the_same() -> None:
    found = evaluate_run([Entry("q1", "d1", 1.0)], judged({("q1", "d1"): 1}), ["MRR@10", "RR@10", "R@1"])
    assert found == [("q1", "MRR@10", 1.0), ("q1", "RR@10", 1.0), ("q1", "R@1", 1.0)]


@pytest.mark.parametrize("name", ["nDGC@10", "", "10", "nDCG@", "nDCG@ten", "__import__('os')", "RR@10 R@100"])
def test_a_measure_that_nobody_knows_is_the_users_error(name: str) -> None:
    with pytest.raises(InputError, match="is not a measure that ir_measures knows") as caught:
        evaluate_run([], judged({("q1", "d1"): 1}), [name])
    assert "nDCG@10" in caught.value.remedy


def candidate(key: str, chunk: str, *, rank: int, fused_rank: int | None = None, **values: object) -> dict[str, object]:
    """A candidate of the query ``key``; the chunk's name is document and ordinal, such as "d1#0"."""
    defaults = {
        "query_key": key,
        "chunk_id": chunk,
        "chunk_hash": chunk,
        "document_id": chunk.partition("#")[0],
        "chunk_number": rank,
        "fused_score": 1.0 / rank,
        "fused_rank": fused_rank or rank,
        "score": 1.0 / rank,
        "rank": rank,
    }
    return dict.fromkeys(CANDIDATES.names) | defaults | values


def stages(
    candidates: Sequence[dict[str, object]],
    ids: dict[str, list[str]],
    grades: dict[tuple[str, str], int],
    *,
    depth: int = 100,
    results: int = 10,
    unit: Literal["document", "chunk"] = "document",
    ignore_identical_ids: bool = False,
    legs: Sequence[LegName] = ("bm25", "dense"),
) -> dict[str, dict[str, float]]:
    """Means by stage, of queries whose key is the first element and whose ids are the second."""
    queries = [{"query_key": key, "text": key, "count": 1, "query_ids": names} for key, names in ids.items()]
    evaluation = evaluate_stages(
        pa.Table.from_pylist([*candidates], schema=CANDIDATES),
        pa.Table.from_pylist(queries, schema=QUERIES),
        judged(grades),
        measures=["RR@10", "R@100"],
        legs=legs,
        candidate_depth=depth,
        results=ResultsSettings(depth=results, unit=unit),
        ignore_identical_ids=ignore_identical_ids,
    )
    assert evaluation.schema == EVALUATION
    return means(evaluation)


def test_a_leg_is_a_stage_where_it_is_on_though_it_found_nothing() -> None:
    row = candidate("k", "a#0", rank=1, sparse_rank=1, sparse_score=7.0)
    found = stages([row], {"k": ["q"]}, {("q", "a"): 1}, legs=["dense", "sparse"])
    assert [*found] == ["dense", "sparse", "fused", "reranked", "results"]
    assert (found["dense"]["RR@10"], found["sparse"]["RR@10"]) == (0.0, 1.0)


def test_each_stage_is_measured_in_its_own_order() -> None:
    # The relevant document is 1st in BM25, not found by dense, 2nd fused, 3rd by the reranker, 4th weighted.
    good = candidate("k", "good#0", rank=4, fused_rank=2, bm25_rank=1, bm25_score=9.0, pair_score=-1.0)
    others = [
        candidate("k", "a#0", rank=1, fused_rank=1, bm25_rank=2, bm25_score=1.0, pair_score=5.0),
        candidate("k", "b#0", rank=2, fused_rank=3, dense_rank=1, dense_score=0.5, pair_score=4.0),
        candidate("k", "c#0", rank=3, fused_rank=4, dense_rank=2, dense_score=0.4),
    ]
    found = stages([good, *others], {"k": ["q1"]}, {("q1", "good"): 1}, results=3)
    assert {stage: values["RR@10"] for stage, values in found.items()} == {
        "bm25": 1.0,
        "dense": 0.0,
        "fused": 1 / 2,
        "reranker": 1 / 3,
        "reranked": 1 / 4,
        "results": 0.0,
    }


def test_equal_pair_scores_go_by_chunk_number_in_the_rerankers_own_order() -> None:
    rows = [
        candidate("k", "a#0", rank=1, chunk_number=9, pair_score=2.0),
        candidate("k", "b#0", rank=2, chunk_number=4, pair_score=2.0),
    ]
    found = stages(rows, {"k": ["q1"]}, {("q1", "b"): 1})
    assert found["reranker"]["RR@10"] == 1.0
    assert found["reranked"]["RR@10"] == 1 / 2


def test_without_a_reranker_it_is_not_measured() -> None:
    found = stages([candidate("k", "a#0", rank=1)], {"k": ["q1"]}, {("q1", "a"): 1})
    assert list(found) == ["bm25", "dense", "fused", "reranked", "results"]


def test_what_lies_below_the_candidates_counts_for_the_legs_alone() -> None:
    rows = [candidate("k", "a#0", rank=1), candidate("k", "b#0", rank=2, bm25_rank=1, bm25_score=1.0)]
    found = stages(rows, {"k": ["q1"]}, {("q1", "b"): 1}, depth=1)
    assert (found["bm25"]["R@100"], found["fused"]["R@100"], found["reranked"]["R@100"]) == (1.0, 0.0, 0.0)


def test_a_document_with_several_chunks_counts_once_where_its_best_stands() -> None:
    rows = [candidate("k", f"a#{place}", rank=place + 1) for place in range(3)]
    rows += [candidate("k", "b#0", rank=4), candidate("k", "a#3", rank=5), candidate("k", "c#0", rank=6)]
    found = stages(rows, {"k": ["q1"]}, {("q1", "b"): 1}, results=2)
    assert found["results"] == {"RR@10": 1 / 2, "R@100": 1.0}
    assert stages(rows, {"k": ["q1"]}, {("q1", "c"): 1}, results=2)["results"]["R@100"] == 0.0
    assert stages(rows, {"k": ["q1"]}, {("q1", "c"): 1}, results=3)["results"]["RR@10"] == 1 / 3


def test_results_that_are_chunks_count_as_they_are_published() -> None:
    rows = [candidate("k", chunk, rank=rank, fused_rank=rank) for rank, chunk in enumerate(["a#0", "a#1", "b#0"], 1)]

    assert stages(rows, {"k": ["q1"]}, {("q1", "b"): 1}, results=2, unit="document")["results"]["R@100"] == 1.0
    assert stages(rows, {"k": ["q1"]}, {("q1", "b"): 1}, results=2, unit="chunk")["results"]["R@100"] == 0.0


def test_judged_queries_of_one_text_share_its_ranking_and_count_each() -> None:
    found = stages([candidate("k", "a#0", rank=1)], {"k": ["q1", "q2"]}, {("q1", "a"): 1, ("q2", "b"): 1})
    assert found["fused"] == {"RR@10": 0.5, "R@100": 0.5}


def test_a_judged_query_that_the_log_lacks_scores_zero_and_is_counted() -> None:
    found = stages([candidate("k", "a#0", rank=1)], {"k": ["q1"]}, {("q1", "a"): 1, ("lost", "a"): 1})
    assert found["results"] == {"RR@10": 0.5, "R@100": 0.5}


def test_queries_that_nobody_judged_change_nothing() -> None:
    rows = [candidate("k", "a#0", rank=1), candidate("other", "b#0", rank=1), candidate("nameless", "b#0", rank=1)]
    found = stages(rows, {"k": ["q1"], "other": ["q7"], "nameless": []}, {("q1", "a"): 1})
    assert found["results"] == {"RR@10": 1.0, "R@100": 1.0}


@pytest.mark.parametrize(("ignore", "expected"), [(False, 1 / 2), (True, 1.0)])
def test_the_document_with_the_querys_own_id_is_left_out_where_that_is_asked_for(ignore: bool, expected: float) -> None:
    rows = [candidate("k", "q1#0", rank=1), candidate("k", "good#0", rank=2)]
    found = stages(rows, {"k": ["q1"]}, {("q1", "good"): 1}, ignore_identical_ids=ignore)
    assert found["fused"]["RR@10"] == expected


def test_without_judgments_nothing_is_measured() -> None:
    assert stages([candidate("k", "a#0", rank=1)], {"k": ["q1"]}, {}) == {}


def test_the_measures_of_the_contract_are_known() -> None:
    found = evaluate_run([Entry("q1", "d1", 1.0)], judged({("q1", "d1"): 1}), EvaluationSettings().measures)
    assert [name for _, name, _ in found] == ["nDCG@10", "RR@10", "R@100", "Judged@10"]
