from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.records import CANDIDATES, QUERIES, Judgment
from nightrank.storage.release.evaluation import DIAGNOSIS, EVALUATION
from nightrank.tasks.evaluate.diagnosis import OUTCOMES, diagnose, totals, worst_queries
from nightrank.tasks.settings.ranking import ResultsSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COLLECTION = ("a", "b", "c", "d", "e", "f", "g", "q")


def candidate(
    key: str, chunk: str, *, rank: int, fused: int, bm25: int | None = None, dense: int | None = None
) -> dict[str, object]:
    """A chunk that a leg found; its name is document and ordinal."""
    values = {
        "query_key": key,
        "chunk_id": chunk,
        "chunk_hash": chunk,
        "document_id": chunk.partition("#")[0],
        "chunk_number": fused,
        "bm25_rank": bm25,
        "dense_rank": dense,
        "fused_score": 1.0 / fused,
        "fused_rank": fused,
        "score": 1.0 / rank,
        "rank": rank,
    }
    return dict.fromkeys(CANDIDATES.names) | values


def diagnosed(
    candidates: Sequence[dict[str, object]],
    ids: dict[str, list[str]],
    judgments: Sequence[tuple[str, str, int]],
    *,
    candidate_depth: int = 5,
    depth: int = 2,
    unit: Literal["document", "chunk"] = "document",
    ignore_identical_ids: bool = False,
) -> pa.Table:
    queries = [{"query_key": key, "text": key, "count": 1, "query_ids": names} for key, names in ids.items()]
    found = diagnose(
        pa.Table.from_pylist([*candidates], schema=CANDIDATES),
        pa.Table.from_pylist(queries, schema=QUERIES),
        [Judgment(*row) for row in judgments],
        documents=pa.array(COLLECTION),
        candidate_depth=candidate_depth,
        results=ResultsSettings(depth=depth, unit=unit),
        ignore_identical_ids=ignore_identical_ids,
    )
    assert found.schema == DIAGNOSIS
    return found


# Five chunks are candidates, two documents are published: a and c. The final order is a, c, d, b.
FOUND = [
    candidate("k", "a#0", rank=1, fused=1, bm25=1, dense=2),
    candidate("k", "b#0", rank=5, fused=2, bm25=2),
    candidate("k", "a#1", rank=2, fused=3, bm25=3, dense=1),
    candidate("k", "c#0", rank=3, fused=4, dense=3),
    candidate("k", "d#0", rank=4, fused=5, dense=4),
    candidate("k", "e#0", rank=6, fused=6, bm25=4),
]
EVERY_OUTCOME = [
    ("q1", "a", 2),
    ("q1", "b", 1),
    ("q1", "d", 1),
    ("q1", "e", 1),
    ("q1", "f", 1),
    ("q1", "nowhere", 1),
    ("q1", "c", 0),
    ("unasked", "a", 3),
    ("unasked", "nowhere", 1),
]


def test_each_relevant_document_has_one_outcome_and_its_ranks_as_a_document() -> None:
    found = diagnosed(FOUND, {"k": ["q1"], "other": ["q2"]}, EVERY_OUTCOME)
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        # query, document, grade, outcome, ranks: bm25, dense, sparse, fused, reranked, result
        ("q1", "a", 2, "found", 1, 1, None, 1, 1, 1),
        ("q1", "b", 1, "lost in reranking", 2, None, None, 2, 4, None),
        ("q1", "d", 1, "lost in the cut", None, 3, None, 4, 3, None),
        ("q1", "e", 1, "lost in fusion", 3, None, None, 5, None, None),
        ("q1", "f", 1, "lost in every leg", None, None, None, None, None, None),
        ("q1", "nowhere", 1, "not in the collection", None, None, None, None, None, None),
        ("unasked", "a", 3, "no query", None, None, None, None, None, None),
        ("unasked", "nowhere", 1, "not in the collection", None, None, None, None, None, None),
    ]
    assert totals(found) == {
        "found": 1,
        "not in the collection": 2,
        "no query": 1,
        "lost in every leg": 1,
        "lost in fusion": 1,
        "lost in reranking": 1,
        "lost in diversity": 0,
        "lost in the cut": 1,
    }
    assert tuple(totals(found)) == OUTCOMES


def test_where_chunks_are_published_one_document_can_take_anothers_place() -> None:
    judgments = [("q1", "a", 1), ("q1", "c", 1)]
    found = diagnosed(FOUND, {"k": ["q1"]}, judgments, unit="chunk")
    assert found.column("outcome").to_pylist() == ["found", "lost in the cut"]
    assert found.column("reranked_rank").to_pylist() == [1, 2]
    assert diagnosed(FOUND, {"k": ["q1"]}, judgments).column("outcome").to_pylist() == ["found", "found"]


def test_what_another_result_says_already_is_lost_in_diversity() -> None:
    directions = {"a#0": [1.0, 0.0], "a#1": [0.0, 1.0], "c#0": [1.0, 0.0], "d#0": [0.0, 1.0], "b#0": [0.0, -1.0]}

    def vectors(chunk_hashes: pa.Array) -> NDArray[np.float32]:
        return np.array([directions[chunk_hash] for chunk_hash in chunk_hashes.to_pylist()], dtype=np.float32)

    found = diagnose(
        pa.Table.from_pylist(FOUND, schema=CANDIDATES),
        pa.Table.from_pylist([{"query_key": "k", "text": "k", "count": 1, "query_ids": ["q1"]}], schema=QUERIES),
        [Judgment("q1", document, 1) for document in "abcd"],
        documents=pa.array(COLLECTION),
        candidate_depth=5,
        results=ResultsSettings(depth=2, near_duplicate=0.99),
        ignore_identical_ids=False,
        vectors=vectors,
    )
    # The final order is a, c, d, b, and c says what a says.
    assert found.column("outcome").to_pylist() == ["found", "lost in reranking", "lost in diversity", "found"]
    assert found.column("reranked_rank").to_pylist() == [1, 4, 2, 3]
    assert found.column("result_rank").to_pylist() == [1, None, None, 2]


def test_the_document_with_the_querys_own_id_is_neither_wanted_nor_counted_where_that_is_asked_for() -> None:
    rows = [
        candidate("k", "q#0", rank=2, fused=1, bm25=1),
        candidate("k", "a#0", rank=1, fused=2, bm25=2, dense=1),
        candidate("k", "b#0", rank=3, fused=3, bm25=3),
    ]
    judgments = [("q", "q", 1), ("q", "a", 1), ("q", "b", 1), ("other", "b", 1)]
    found = diagnosed(rows, {"k": ["q", "other"]}, judgments, ignore_identical_ids=True)
    assert [(*row[:2], *row[4:6], *row[7:9]) for row in (tuple(row.values()) for row in found.to_pylist())] == [
        ("other", "b", 3, None, 3, 3),
        ("q", "a", 1, 1, 1, 1),
        ("q", "b", 2, None, 2, 2),
    ]


def test_without_judgments_or_candidates_nothing_is_lost_that_was_not_there() -> None:
    assert diagnosed(FOUND, {"k": ["q1"]}, []).num_rows == 0
    assert totals(diagnosed([], {}, [])) == dict.fromkeys(OUTCOMES, 0)
    assert diagnosed([], {"k": ["q1"]}, [("q1", "a", 1)]).column("outcome").to_pylist() == ["lost in every leg"]


@given(st.data())
def test_a_plain_reading_of_random_rankings_gives_the_same(data: st.DataObject) -> None:
    rows: list[dict[str, object]] = []
    for key in ("k", "l"):
        chunks = data.draw(st.lists(st.sampled_from([f"{d}#{n}" for d in "abcq" for n in (0, 1)]), unique=True))
        places = range(1, len(chunks) + 1)
        final, bm25, dense = (data.draw(st.permutations(places)) for _ in range(3))
        legs = data.draw(st.lists(st.sampled_from(["bm25", "dense"]), min_size=len(chunks), max_size=len(chunks)))
        for place, chunk, leg, *ranks in zip(places, chunks, legs, final, bm25, dense, strict=True):
            of_leg = {leg: ranks[1] if leg == "bm25" else ranks[2]}
            rows.append(candidate(key, chunk, rank=ranks[0], fused=place, **of_leg))
    judgments = [(query, document, 1) for query in ("q", "q2", "q3") for document in "abcq"]
    ids = {"k": ["q", "q2"], "l": ["q3"]}
    found = diagnosed(rows, ids, judgments, candidate_depth=4, ignore_identical_ids=True)

    def rank(query: str, document: str, order: str, *, within: int = 100) -> int | None:
        key = "l" if query == "q3" else "k"
        mine = [row for row in rows if row["query_key"] == key and row[order] and int(str(row["fused_rank"])) <= within]
        mine.sort(key=lambda row: int(str(row[order])))
        seen = list(dict.fromkeys(str(row["document_id"]) for row in mine if row["document_id"] != query))
        return seen.index(document) + 1 if document in seen else None

    expected = [
        {
            "query_id": query,
            "document_id": document,
            "bm25_rank": rank(query, document, "bm25_rank"),
            "dense_rank": rank(query, document, "dense_rank"),
            "fused_rank": rank(query, document, "fused_rank"),
            "reranked_rank": rank(query, document, "rank", within=4),
        }
        for query, document, _ in judgments
        if query != document
    ]
    assert found.select(list(expected[0])).to_pylist() == expected
    assert sum(totals(found).values()) == len(expected)
    assert Counter(found.column("outcome").to_pylist()) == {name: n for name, n in totals(found).items() if n}


def test_the_worst_queries_come_first_and_those_that_lost_nothing_never() -> None:
    rows = [
        ("best", "a", "found"),
        ("low", "a", "lost in fusion"),
        ("zero", "a", "lost in every leg"),
        ("two", "a", "lost in the cut"),
        ("two", "b", "lost in the cut"),
        ("whole", "a", "found"),
        ("also zero", "a", "no query"),
    ]
    diagnosis = pa.Table.from_pylist(
        [
            dict.fromkeys(DIAGNOSIS.names)
            | {"query_id": query, "document_id": document, "grade": 1, "outcome": outcome}
            for query, document, outcome in rows
        ],
        schema=DIAGNOSIS,
    )
    values = {"best": 1.0, "low": 0.25, "zero": 0.0, "two": 0.0, "whole": 0.0, "also zero": 0.0, "unjudged": 0.0}
    evaluation = pa.Table.from_pylist(
        [
            {"stage": stage, "query_id": query, "measure": measure, "value": value * factor}
            for query, value in values.items()
            for stage, measure, factor in (("results", "RR@10", 1), ("fused", "RR@10", -1), ("results", "P@5", -1))
        ],
        schema=EVALUATION,
    )
    assert worst_queries(diagnosis, evaluation, measure="RR@10", count=9) == ["two", "also zero", "zero", "low"]
    assert worst_queries(diagnosis, evaluation, measure="RR@10", count=2) == ["two", "also zero"]
    assert worst_queries(diagnosis, evaluation, measure="AP", count=2) == []
