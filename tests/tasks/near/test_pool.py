"""The second tier: the pool is what was found for the nearest queries, and within it the dense leg is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from nightrank.storage.keys import query_key
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.records import LEG
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.near.calibrate import Judged
from nightrank.tasks.near.pool import NEIGHBOURS, KnownPools, pool_fused
from nightrank.tasks.near.pool_calibrate import PoolAnswer, calibrate_pool
from nightrank.tasks.settings.near import NearSettings
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONDITION = '{"kind":"docs"}'


def settings(tiers: Sequence[str] = (), **retrieval: object) -> Settings:
    written = {"documents": {"source": "d"}, "queries": {"log": "q"}, "retrieval": retrieval}
    return Settings.model_validate(written | {"near": {"tiers": tiers}, "results": {"unit": "chunk"}})


def pools(folder: Path) -> KnownPools:
    """Queries at 0, 10, 20, ... degrees, whose candidates are chunks of their number; one more with a filter."""
    texts = [f"query {number}" for number in range(12)]
    keys = [*map(query_key, texts), query_key("query 0", CONDITION)]
    conditions: list[str | None] = [None] * 12 + [CONDITION]
    angles = np.radians(np.arange(12) * 10)
    with QueryMemo(folder, embedder="e") as memo:
        memo.append(keys[:12], np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32) * 3)
        queries = pa.table({"query_key": keys, "text": [*texts, "query 0"], "filter": conditions})
        candidates = pa.table(
            {"query_key": keys[::-1] * 2, "chunk_number": [*range(13)][::-1] + [*range(20, 33)][::-1]}
        )
        return KnownPools.of(queries, candidates, memo)


def test_the_nearest_queries_with_the_same_filter_give_their_candidates(tmp_path: Path) -> None:
    known = pools(tmp_path)
    pool = known.near(np.array([2.0, 0.0], dtype=np.float32), None)
    assert pool is not None
    assert known.texts[pool.nearest] == "query 0"
    assert abs(pool.similarity - 1.0) < 1e-6
    assert pool.chunk_numbers.tolist() == [*range(NEIGHBOURS), *range(20, 20 + NEIGHBOURS)]
    held_out = known.near(known.vectors[0], None, without=0)
    assert held_out is not None
    assert known.texts[held_out.nearest] == "query 1"
    assert abs(held_out.similarity - np.cos(np.radians(10))) < 1e-6
    filtered = known.near(known.vectors[5], CONDITION)
    assert filtered is not None
    assert filtered.chunk_numbers.tolist() == [12, 32]
    assert known.near(known.vectors[5], '{"kind":"blog"}') is None


@pytest.mark.parametrize("size", [1, NEIGHBOURS - 1, NEIGHBOURS, NEIGHBOURS + 1, 300])
def test_of_queries_that_are_as_near_the_first_are_taken(size: int) -> None:
    drawn = np.random.default_rng(size).integers(-1, 2, (size, 2)).astype(np.float32)  # most of them many times
    names, one = [str(number) for number in range(size)], np.array([1.0, 0.5], dtype=np.float32)
    of_each = np.arange(size, dtype=np.int32)
    known = KnownPools(names, names, drawn, of_each.astype(np.int64) * 0, np.arange(size + 1), of_each, {None: 0})
    pool = known.near(one, None)
    assert pool is not None
    first = np.argsort(-(drawn @ one), kind="stable")[:NEIGHBOURS]
    assert (pool.nearest, pool.chunk_numbers.tolist()) == (first[0], sorted(first.tolist()))


def test_within_the_pool_the_order_is_that_of_both_legs(tmp_path: Path) -> None:
    known = pools(tmp_path)
    vectors = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    hashes = [f"{number:032x}" for number in range(40)]
    texts = Texts.of(pa.array(hashes))
    query = known.vectors[3]
    bm25 = pa.table([[0, 0], [39, 21], [9.0, 5.0], [1, 2]], schema=LEG)
    pool = known.near(query, None)
    assert pool is not None
    allowed = np.ones(40, dtype=bool)
    allowed[2] = False

    def found(bm25: pa.Table, *legs: str) -> list[int]:
        fused = pool_fused(
            pool,
            bm25,
            query,
            allowed=allowed,
            texts=texts,
            vectors=lambda of: vectors[[int(one, 16) for one in of.to_pylist()]],
            documents=None,
            settings=settings(legs=list(legs), candidate_depth=5),
        )
        numbers: list[int] = fused.sort_by("fused_rank").column("chunk_number").to_pylist()
        return numbers

    dense = vectors @ query
    within = [number for number in {*pool.chunk_numbers.tolist()} if number != 2]
    best = sorted(within, key=lambda number: (-dense[number], number))[:5]
    assert found(LEG.empty_table(), "dense") == best
    both = found(bm25, "bm25", "dense")
    assert {39, 21} <= set(both)  # 39 is no neighbour's
    assert set(both) <= {*within, 39}


def test_a_pool_can_be_asked_where_the_legs_are_ours_and_one_is_dense() -> None:
    for legs in (["bm25", "dense"], ["dense"]):
        assert settings(["same_pool"], legs=legs).near.is_on
    with pytest.raises(ValidationError, match="same_pool needs the legs"):
        settings(["same_pool"], legs=["bm25"])
    with pytest.raises(ValidationError, match="same_pool needs the legs"):
        settings(["same_pool"], legs=["bm25", "dense", "sparse"])
    with pytest.raises(ValidationError, match="same_pool needs the legs"):
        settings(["same_pool"], legs=["bm25", "dense"], bm25_run="run.trec")
    assert settings(["same_answer"], legs=["bm25"], bm25_run="run.trec").near.is_on


def test_the_lowest_similarity_within_the_limit_is_taken() -> None:
    generator = np.random.default_rng(0)
    similarities = generator.permutation(np.linspace(0.4, 1.0, 600))
    # Good above 0.75, wrong below.
    answers = [PoolAnswer(str(number), at, ["own" if at > 0.75 else "other"]) for number, at in enumerate(similarities)]

    def calibrated(answers: list[PoolAnswer]) -> tuple[float | None, bool]:
        move = calibrate_pool(
            answers,
            ranking=lambda _: ("own",),
            overlap=lambda own, near: float(list(own) == list(near)),
            judged=Judged((), {}, "nDCG@10", ignore_identical_ids=False),
            settings=NearSettings(tiers=("same_pool",), max_lost_overlap=0.3),
            tests=6,
        )
        return move.least_similarity, move.is_on

    assert calibrated(answers) == (0.7, True)
    assert calibrated([answer for answer in answers if answer.similarity > 0.8351]) == (0.83, True)  # none was further
    assert not calibrated([answer for answer in answers if answer.similarity < 0.75])[1]
    assert not calibrated([])[1]
