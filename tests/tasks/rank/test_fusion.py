from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nightrank.storage.legs import LEGS, LegName
from nightrank.storage.records import FUSED, LEG
from nightrank.tasks.kernels.top_documents import Documents
from nightrank.tasks.rank.fusion import fuse, minmax_within, reciprocal_rank, standardise_within
from nightrank.tasks.settings.ranking import LegWeights, RetrievalSettings
from tests.support.legs_by_loop import cut_by_loop, documents_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypothesis.strategies import SearchStrategy

# What a leg found: scores by (query, chunk).
Found = dict[tuple[int, int], float]


def leg_of(found: Mapping[tuple[int, int], float]) -> pa.Table:
    rows = []
    for query in sorted({query for query, _ in found}):
        of_query = sorted((-score, chunk) for (other, chunk), score in found.items() if other == query)
        rows += [(query, chunk, -minus, rank) for rank, (minus, chunk) in enumerate(of_query, start=1)]
    columns = zip(*rows, strict=True) if rows else [()] * 4
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, LEG, strict=True)], schema=LEG)


def retrieval(*legs: LegName, **named: object) -> RetrievalSettings:
    """Settings with some legs on; a sparse one is a run's, which needs no model."""
    runs = {"sparse_run": "sparse.run"} if "sparse" in legs else {}
    return RetrievalSettings.model_validate({"legs": legs, **runs, **named})


def by_loop(
    legs: dict[LegName, pa.Table], *, fusion: str, rrf_k: int, weights: dict[LegName, float]
) -> list[dict[str, object]]:
    """Both fusions as their papers write them, one chunk after the other."""
    fused: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    seen: dict[tuple[int, int], dict[str, object]] = defaultdict(dict)
    for name, leg in legs.items():
        rows = leg.to_pylist()
        for row in rows:
            query, chunk = row["query_number"], row["chunk_number"]
            scores = [other["score"] for other in rows if other["query_number"] == query]
            if fusion == "rrf":
                share = 1 / (rrf_k + row["rank"])
            elif max(scores) == min(scores):
                share = 1.0
            else:
                share = (row["score"] - min(scores)) / (max(scores) - min(scores))
            fused[query][chunk] += weights[name] * share
            seen[query, chunk] |= {f"{name}_score": row["score"], f"{name}_rank": row["rank"]}
    expected = []
    for query in sorted(fused):
        ordered = sorted(fused[query].items(), key=lambda item: (-np.float32(item[1]), item[0]))
        for rank, (chunk, score) in enumerate(ordered, start=1):
            row = dict.fromkeys(FUSED.names) | {"query_number": query, "chunk_number": chunk} | seen[query, chunk]
            expected.append(row | {"fused_score": float(np.float32(score)), "fused_rank": rank})
    return expected


def legs() -> SearchStrategy[Found]:
    # Few values, so that scores tie; some are negative, and some chunks are found by one leg alone.
    return st.dictionaries(
        st.tuples(st.integers(0, 2), st.integers(0, 7)), st.sampled_from([-3.5, -1.0, 0.0, 0.25, 2.0]), max_size=16
    )


@given(
    found=st.tuples(legs(), legs(), legs()),
    on=st.lists(st.sampled_from(LEGS), min_size=1, unique=True),
    fusion=st.sampled_from(["rrf", "minmax"]),
    rrf_k=st.sampled_from([1, 60]),
    parts=st.tuples(*[st.sampled_from([1.0, 0.0, 2.0, 5.0])] * 3),
)
def test_fusing_columns_is_what_a_plain_loop_gives(
    found: tuple[Found, Found, Found],
    on: list[LegName],
    fusion: Literal["rrf", "minmax"],
    rrf_k: int,
    parts: tuple[float, float, float],
) -> None:
    of_leg = dict(zip(LEGS, parts, strict=True))
    whole = sum(of_leg[leg] for leg in on)
    assume(whole > 0)
    named = {leg: leg_of(one) for leg, one in zip(LEGS, found, strict=True) if leg in on}
    settings = retrieval(*on, fusion=fusion, rrf_k=rrf_k, weights=of_leg)
    table = fuse(named, settings=settings, documents=None)
    assert table.schema == FUSED
    weights = {leg: of_leg[leg] / whole for leg in on}
    assert table.to_pylist() == by_loop(named, fusion=fusion, rrf_k=rrf_k, weights=weights)


def test_reciprocal_rank_by_hand() -> None:
    # Chunk 5 is first in BM25 and second in dense; 6 is found by BM25 alone, 7 by dense alone.
    bm25, dense = leg_of({(0, 5): 9.0, (0, 6): 8.0}), leg_of({(0, 7): 0.9, (0, 5): 0.8})
    table = fuse({"bm25": bm25, "dense": dense}, settings=RetrievalSettings(rrf_k=60), documents=None)
    assert table["chunk_number"].to_pylist() == [5, 7, 6]
    expected = [0.5 / 61 + 0.5 / 62, 0.5 / 61, 0.5 / 62]
    np.testing.assert_allclose(table["fused_score"].to_numpy(), expected, rtol=1e-6)
    assert table["bm25_rank"].to_pylist() == [1, None, 2]
    assert table["dense_score"].to_pylist() == [pytest.approx(0.8), pytest.approx(0.9), None]


def test_equal_fused_scores_go_by_chunk_number() -> None:
    table = fuse(
        {"bm25": leg_of({(0, 9): 1.0}), "dense": leg_of({(0, 2): 0.5})}, settings=RetrievalSettings(), documents=None
    )
    assert table["chunk_number"].to_pylist() == [2, 9]
    assert table["fused_rank"].to_pylist() == [1, 2]


def test_without_one_leg_the_other_keeps_its_order() -> None:
    alone, nothing = leg_of({(0, 3): 5.0, (0, 1): -2.0, (1, 4): 1.0}), leg_of({})
    sides: list[tuple[dict[LegName, pa.Table], RetrievalSettings]] = [
        ({"bm25": alone, "dense": nothing}, RetrievalSettings()),
        ({"bm25": nothing, "dense": alone}, RetrievalSettings()),
        ({"dense": alone}, retrieval("dense")),
        ({"bm25": alone}, RetrievalSettings()),  # a leg that is on and not there counts as if it had found nothing
    ]
    for named, settings in sides:
        table = fuse(named, settings=settings, documents=None)
        assert table.select(["query_number", "chunk_number", "fused_rank"]).to_pylist() == [
            {"query_number": 0, "chunk_number": 3, "fused_rank": 1},
            {"query_number": 0, "chunk_number": 1, "fused_rank": 2},
            {"query_number": 1, "chunk_number": 4, "fused_rank": 1},
        ]
    assert fuse({"bm25": nothing, "dense": nothing}, settings=RetrievalSettings(), documents=None).num_rows == 0


def test_where_no_leg_is_asked_nothing_is_found() -> None:
    for documents in (None, Documents(np.array([0, 0, 1], dtype=np.int32), 1)):
        fused = fuse({}, settings=retrieval("sparse"), documents=documents)
        assert (fused.num_rows, fused.schema) == (0, FUSED)


def test_only_the_proportion_of_weights_counts() -> None:
    named: dict[LegName, pa.Table] = {"bm25": leg_of({(0, 1): 2.0}), "dense": leg_of({(0, 2): 0.5, (0, 1): 0.1})}
    tables = [
        fuse(
            named, settings=RetrievalSettings(weights=LegWeights(bm25=bm25, dense=dense, sparse=sparse)), documents=None
        )
        for bm25, dense, sparse in ((0.25, 0.75, 1.0), (1.0, 3.0, 0.0))
    ]
    assert tables[0].equals(tables[1])


def test_large_query_and_chunk_numbers_stay_themselves() -> None:
    query, chunk = 2**31 - 1, 2**31 - 2
    one = leg_of({(query, chunk): 1.0})
    table = fuse({"bm25": one, "dense": one}, settings=RetrievalSettings(), documents=None)
    assert table.to_pylist()[0] | {"query_number": query, "chunk_number": chunk} == table.to_pylist()[0]
    assert table.num_rows == 1


@pytest.mark.parametrize("value", [0.1, -0.7, 1e-30, 3e7])
@pytest.mark.parametrize("count", [1, 3, 7, 10])
def test_equal_scores_standardise_to_zero_and_scale_to_one_whatever_their_rounding(value: float, count: int) -> None:
    groups, scores = np.zeros(count, dtype=np.int64), np.full(count, value)
    assert standardise_within(groups, scores).tolist() == [0.0] * count
    assert minmax_within(groups, scores).tolist() == [1.0] * count


@given(st.lists(st.tuples(st.sampled_from([0, 1, 3]), st.floats(-100, 100, width=32)), max_size=12))
def test_standardising_equals_numpys_mean_and_deviation_of_each_group(entries: list[tuple[int, float]]) -> None:
    groups = np.array([group for group, _ in entries], dtype=np.int64)
    scores = np.array([score for _, score in entries], dtype=np.float64)
    expected = np.zeros(len(entries))
    for group in set(groups.tolist()):
        values = scores[groups == group]
        if values.min() < values.max() and values.std() > 0:
            expected[groups == group] = (values - values.mean()) / values.std()
    np.testing.assert_allclose(standardise_within(groups, scores), expected, rtol=1e-6, atol=1e-6)


def test_rank_zero_means_not_found() -> None:
    assert reciprocal_rank(np.array([0, 1, 2]), k=1).tolist() == [0.0, 1 / 2, 1 / 3]


def fused_by_loop(
    legs: Mapping[LegName, pa.Table], documents: Documents, settings: RetrievalSettings
) -> list[tuple[int, int, int, dict[str, tuple[float, int]]]]:
    """(query, chunk, fused rank, score and rank by leg) of documents, one after the other; weights are equal."""
    rows = []
    for query in range(3):
        said: dict[str, dict[int, tuple[float, int]]] = {}  # by leg and document
        standing: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)  # (place, rank, leg, chunk)
        for number, (name, leg) in enumerate(legs.items()):
            own = said.setdefault(name, {})
            places: dict[int, int] = defaultdict(int)
            for row in (row for row in leg.to_pylist() if row["query_number"] == query):
                document = int(documents.of_chunk[row["chunk_number"]])
                own.setdefault(document, (row["score"], len(own) + 1))
                places[document] += 1
                standing[document].append((places[document], own[document][1], number, row["chunk_number"]))
        scores = {}
        for document in standing:
            shares = []
            for own in (own for own in said.values() if document in own):
                score, rank = own[document]
                low, high = min(one for one, _ in own.values()), max(one for one, _ in own.values())
                minmax = 1.0 if high == low else (score - low) / (high - low)
                shares.append(1 / (settings.rrf_k + rank) if settings.fusion == "rrf" else minmax)
            scores[document] = float(np.float32(sum(0.5 * share for share in shares)))
        ranked = sorted(scores, key=lambda document: (-scores[document], document))
        for rank, document in enumerate(ranked, start=1):
            chunks = list(dict.fromkeys(chunk for *_, chunk in sorted(standing[document])))
            said_of = {name: own[document] for name, own in said.items() if document in own}
            rows += [(query, chunk, rank, said_of) for chunk in chunks[: documents.chunks]]
    return rows


@given(seed=st.integers(0, 2**32 - 1), fusion=st.sampled_from(["rrf", "minmax"]), chunks=st.integers(1, 3))
def test_documents_are_fused_by_their_best_chunks_and_stood_for_by_those_of_the_legs_that_rank_them_highest(
    seed: int, fusion: str, chunks: int
) -> None:
    generator = np.random.default_rng(seed)
    documents = Documents(documents_of(30, generator), chunks)
    found: dict[LegName, pa.Table] = {
        name: leg_of(
            {
                (int(query), int(chunk)): float(generator.integers(-2, 3))
                for query, chunk in zip(generator.integers(0, 3, 25), generator.integers(0, 30, 25), strict=True)
            }
        )
        for name in ("bm25", "dense")
    }
    legs = {name: cut(leg, documents, depth=4) for name, leg in found.items()}
    settings = retrieval("bm25", "dense", fusion=fusion)
    table = fuse(legs, settings=settings, documents=documents)

    assert table.schema == FUSED
    assert [
        (
            row["query_number"],
            row["chunk_number"],
            row["fused_rank"],
            {leg: (row[f"{leg}_score"], row[f"{leg}_rank"]) for leg in legs if row[f"{leg}_rank"] is not None},
        )
        for row in table.to_pylist()
    ] == fused_by_loop(legs, documents, settings)


def cut(leg: pa.Table, documents: Documents, *, depth: int) -> pa.Table:
    """A whole ranking as a leg of documents."""
    rows = [dict(zip(LEG.names, row, strict=True)) for row in cut_by_loop(leg, documents, depth=depth)]
    return pa.Table.from_pylist(rows, schema=LEG)


def test_a_document_that_two_legs_find_by_different_chunks_has_the_support_of_both() -> None:
    documents = Documents(np.array([0, 0, 1, 2], dtype=np.int32), chunks=1)
    legs: dict[LegName, pa.Table] = {
        "bm25": leg_of({(0, 2): 9.0, (0, 0): 8.0}),
        "dense": leg_of({(0, 1): 0.9, (0, 3): 0.8}),
    }
    table = fuse(legs, settings=RetrievalSettings(), documents=documents)
    assert table["chunk_number"].to_pylist() == [1, 2, 3]  # the dense leg has the document first, so its chunk stands
    assert table.to_pylist()[0]["bm25_score"] == 8.0
    assert table.to_pylist()[0]["dense_score"] == pytest.approx(0.9)
