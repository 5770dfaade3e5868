"""Measures over arrays are those of ir_measures over runs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.records import LEG, Judgment, ranking_order, ranks_within
from nightrank.tasks.evaluate.judged_candidates import JudgedCandidates
from nightrank.tasks.evaluate.measures import evaluate_run
from nightrank.tasks.rank.fusion import union_legs
from nightrank.tasks.trec.runs import Entry

# Chunk numbers go by document id descending, as a release numbers them: d4 has the chunks 0 and 1.
DOCUMENT_IDS = ["d4", "d3", "d2", "d1", "d0"]
DOCUMENTS = np.array([0, 0, 1, 2, 2, 2, 3, 4])
IDS_BY_QUERY = [["q2"], [], ["q0", "d3"]]  # the last query stands for two ids, one of which is a document's

found = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7)), unique=True, max_size=20)
grades = st.dictionaries(
    st.tuples(st.sampled_from(["q0", "q2", "d3", "q9"]), st.sampled_from([*DOCUMENT_IDS, "gone"])),
    st.integers(-1, 3),
    min_size=1,
)


def leg(pairs: list[tuple[int, int]], generator: np.random.Generator) -> pa.Table:
    queries, chunks = (np.array([pair[side] for pair in pairs], dtype=np.int32) for side in (0, 1))
    scores = generator.integers(0, 3, queries.size).astype(np.float32)  # many ties
    order = ranking_order(queries, scores, chunks)
    columns = queries[order], chunks[order], scores[order], ranks_within(queries[order])
    return pa.table(dict(zip(LEG.names, columns, strict=True)), schema=LEG)


@given(found, found, grades, st.integers(0, 2**32 - 1), st.booleans())
def test_ndcg_and_recall_are_those_of_ir_measures(
    bm25: list[tuple[int, int]],
    dense: list[tuple[int, int]],
    graded: dict[tuple[str, str], int],
    seed: int,
    ignore_identical_ids: bool,
) -> None:
    generator = np.random.default_rng(seed)
    judgments = [Judgment(query_id, document_id, grade) for (query_id, document_id), grade in graded.items()]
    judged_ids = {judgment.query_id for judgment in judgments}
    named = [[query_id for query_id in ids if query_id in judged_ids] for ids in IDS_BY_QUERY]
    judged = JudgedCandidates.of(
        union_legs({"bm25": leg(bm25, generator), "dense": leg(dense, generator)}, documents=None),
        DOCUMENTS,
        DOCUMENT_IDS,
        named,
        judgments,
        ignore_identical_ids=ignore_identical_ids,
    )
    scores = generator.integers(-2, 3, judged.rows.size).astype(np.float32)
    among = generator.random(judged.rows.size) < 0.7

    run: dict[tuple[str, str], float] = {}
    for row in np.flatnonzero(among):  # a document's best chunk
        query_id = judged.query_ids[judged.pool.queries[row]]
        document_id = DOCUMENT_IDS[DOCUMENTS[judged.pool.chunks[row]]]
        if not (ignore_identical_ids and query_id == document_id):
            key = query_id, document_id
            run[key] = max(run.get(key, -np.inf), float(scores[row]))
    entries = [Entry(query_id, document_id, score) for (query_id, document_id), score in run.items()]
    expected = {
        (query_id, measure): value for query_id, measure, value in evaluate_run(entries, judgments, ["nDCG@3", "R@99"])
    }

    assert set(judged.query_ids) == judged_ids
    for place, query_id in enumerate(judged.query_ids):
        ndcg, recall = judged.ndcg(scores, among, depth=3)[place], judged.recall(among)[place]
        assert ndcg == pytest.approx(expected[query_id, "nDCG@3"], abs=1e-12)
        assert recall == pytest.approx(expected[query_id, "R@99"], abs=1e-12)


def test_a_judged_query_without_an_answer_scores_0() -> None:
    judgments = [Judgment("q2", "d4", 1), Judgment("q9", "d4", 1)]
    pool = union_legs(
        {"bm25": leg([(0, 0)], np.random.default_rng(0)), "dense": leg([], np.random.default_rng(0))}, documents=None
    )

    judged = JudgedCandidates.of(pool, DOCUMENTS, DOCUMENT_IDS, [["q2"], [], []], judgments, ignore_identical_ids=False)

    everything = np.ones(1, dtype=np.bool_)
    assert judged.query_ids == ["q2", "q9"]
    assert judged.ndcg(np.zeros(1, dtype=np.float32), everything, depth=10).tolist() == [1.0, 0.0]
    assert judged.recall(everything).tolist() == [1.0, 0.0]
