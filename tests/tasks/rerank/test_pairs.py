from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.keys import digest, query_key
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.records import CANDIDATES, FUSED
from nightrank.tasks.rank.order import Weighing, final_order, name_candidates
from nightrank.tasks.rerank import pairs as module
from nightrank.tasks.rerank.hosted.client import ScoredTexts
from nightrank.tasks.rerank.pairs import DriftCheck, PairsScored, PairTexts, distinct, score_pairs
from nightrank.tasks.settings.quality import DriftCheckSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.rerank.scorer import Scorer

EQUAL_PARTS: dict[LegName, float] = {"bm25": 0.5, "dense": 0.5}
QUERIES = ("read csv", "write csv", "sort a list")
TEXTS = ("the csv module", "sorting how to", "a list of lists", "text files")
TEXTS_OF_QUERIES = {query_key(query): query for query in QUERIES}


def score(query: str, text: str) -> float:
    """The fake reranker's teacher score: common letters, less the difference of lengths."""
    return len(set(query) & set(text)) - abs(len(query) - len(text)) / 8


class Counting:
    """Scores by ``score``; keeps what it was asked, and breaks after some batches where it is told to."""

    def __init__(self, *, breaks_after: int | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.batches = 0
        self._breaks_after = breaks_after

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        if self.batches == self._breaks_after:
            raise KeyboardInterrupt
        assert lengths.tolist() == [len(text.split()) for text in texts]
        self.batches += 1
        self.asked += zip(queries, texts, strict=True)
        return np.array([score(query, text) for query, text in zip(queries, texts, strict=True)], dtype=np.float32)


def never() -> Scorer:
    raise AssertionError("the reranker was loaded although every score is known")


def hash_of(text: str) -> str:
    return digest("chunk", text)


def pairs(*named: tuple[str, str]) -> pa.Table:
    columns = [[query_key(query) for query, _ in named], [hash_of(text) for _, text in named]]
    return pa.table([pa.array(column, pa.string()) for column in columns], names=["query_key", "chunk_hash"])


@pytest.fixture
def chunks(tmp_path: Path) -> ChunkTable:
    table = ChunkTable.create(LanceFolder(tmp_path / "lance"), embedder="e1", dimensions=2)
    vectors = np.ones((len(TEXTS), 2), dtype=np.float32)
    table.add([hash_of(text) for text in TEXTS], TEXTS, [len(text.split()) for text in TEXTS], vectors)
    return table


@pytest.fixture
def memo(tmp_path: Path) -> Iterator[PairMemo]:
    with PairMemo(tmp_path / "memo", reranker="r1") as opened:
        yield opened


EVERY = [(query, text) for query in QUERIES for text in TEXTS]


def run(wanted: pa.Table, memo: PairMemo, chunks: ChunkTable, scorer: Scorer | None) -> tuple[list[float], int]:
    load = never if scorer is None else lambda: scorer
    scores, done = score_pairs(wanted, memo, PairTexts(TEXTS_OF_QUERIES, chunks), load=load, drift_check=drift_check(0))
    assert scores.dtype == np.float32
    assert (done.pairs, done.checked) == (distinct(wanted).num_rows, 0)
    return scores.tolist(), done.scored


def drift_check(sample: int) -> DriftCheck:
    return DriftCheck(DriftCheckSettings(sample=sample or None), "float32", np.random.default_rng(5))


def test_each_pair_gets_the_score_of_its_own_query_and_text(memo: PairMemo, chunks: ChunkTable) -> None:
    assert run(pairs(*EVERY), memo, chunks, Counting()) == ([score(*pair) for pair in EVERY], len(EVERY))


def test_nothing_is_ever_scored_twice(tmp_path: Path, chunks: ChunkTable) -> None:
    with PairMemo(tmp_path, reranker="r1") as memo:
        first, _ = run(pairs(*EVERY), memo, chunks, Counting())
    with PairMemo(tmp_path, reranker="r1") as memo:
        assert run(pairs(*reversed(EVERY)), memo, chunks, None) == (first[::-1], 0)


def test_only_what_is_missing_is_computed(memo: PairMemo, chunks: ChunkTable) -> None:
    run(pairs(*EVERY[:5]), memo, chunks, Counting())
    scorer = Counting()
    assert run(pairs(*EVERY), memo, chunks, scorer) == ([score(*pair) for pair in EVERY], len(EVERY) - 5)
    assert sorted(scorer.asked) == sorted(EVERY[5:])


def test_a_pair_that_comes_more_than_once_is_scored_once(memo: PairMemo, chunks: ChunkTable) -> None:
    # Two documents with the same text are two candidates and one pair.
    scorer = Counting()
    scores, computed = run(pairs(EVERY[0], EVERY[1], EVERY[0]), memo, chunks, scorer)
    assert scores == [score(*EVERY[0]), score(*EVERY[1]), score(*EVERY[0])]
    assert computed == len(memo) == len(scorer.asked) == 2


def test_a_run_that_was_stopped_keeps_the_batches_before(
    memo: PairMemo, chunks: ChunkTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_PAIRS", 3)
    first = Counting(breaks_after=2)
    with pytest.raises(KeyboardInterrupt):
        run(pairs(*EVERY), memo, chunks, first)
    assert len(memo) == 6
    second = Counting()
    assert run(pairs(*EVERY), memo, chunks, second) == ([score(*pair) for pair in EVERY], len(EVERY) - 6)
    assert sorted(first.asked + second.asked) == sorted(EVERY)


@pytest.mark.parametrize("seed", range(3))
def test_neither_the_order_of_pairs_nor_the_size_of_batches_matters(
    memo: PairMemo, chunks: ChunkTable, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(module, "COMMIT_PAIRS", 2 + seed)
    monkeypatch.setattr(module, "TEXTS_HELD", 4 + seed)
    shuffled = [EVERY[place] for place in np.random.default_rng(seed).permutation(len(EVERY))]
    scores, _ = run(pairs(*shuffled), memo, chunks, Counting())
    assert scores == [score(*pair) for pair in shuffled]


def test_the_same_pairs_make_the_same_batches_in_whatever_order_they_come(tmp_path: Path, chunks: ChunkTable) -> None:
    asked = []
    for name, order in (("a", EVERY), ("b", EVERY[::-1]), ("c", EVERY[5:] + EVERY[:5])):
        scorer = Counting()
        with PairMemo(tmp_path, reranker=name) as memo:
            run(pairs(*order), memo, chunks, scorer)
        asked.append(scorer.asked)
    assert asked[0] == asked[1] == asked[2]


def test_no_pairs_load_no_reranker(memo: PairMemo, chunks: ChunkTable) -> None:
    assert run(pairs(), memo, chunks, None) == ([], 0)


def test_a_reranker_that_gives_no_numbers_is_an_error_and_nothing_is_remembered(
    memo: PairMemo, chunks: ChunkTable
) -> None:
    class Overflowing(Counting):
        def score(
            self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]
        ) -> NDArray[np.float32]:
            return super().score(queries, texts, lengths) * np.float32(np.nan)

    with pytest.raises(MachineError, match="not finite"):
        run(pairs(*EVERY), memo, chunks, Overflowing())
    assert len(memo) == 0


class Drifted(Counting):
    """Says something else than it used to."""

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        return super().score(queries, texts, lengths) + np.float32(0.001)


def test_a_reranker_that_no_longer_says_what_it_said_stops_the_run_and_adds_nothing(
    memo: PairMemo, chunks: ChunkTable
) -> None:
    run(pairs(*EVERY[:5]), memo, chunks, Counting())
    with pytest.raises(MachineError, match=r"3 of 3 stored pair scores .* up to 0\.001"):
        score_pairs(pairs(*EVERY), memo, PairTexts(TEXTS_OF_QUERIES, chunks), load=Drifted, drift_check=drift_check(3))
    assert len(memo) == 5


def test_a_sample_of_the_memo_is_scored_again_wherever_something_is_missing(memo: PairMemo, chunks: ChunkTable) -> None:
    run(pairs(*EVERY[:5]), memo, chunks, Counting())
    scorer, texts = Counting(), PairTexts(TEXTS_OF_QUERIES, chunks)
    scores, done = score_pairs(pairs(*EVERY), memo, texts, load=lambda: scorer, drift_check=drift_check(3))
    assert scores.tolist() == [score(*pair) for pair in EVERY]
    assert (done.scored, done.checked) == (len(EVERY) - 5, 3)
    assert set(scorer.asked[:3]) < set(EVERY[:5])
    _, done = score_pairs(pairs(*EVERY), memo, texts, load=never, drift_check=drift_check(3))
    assert (done.scored, done.checked) == (0, 0)


class Paid:
    """Scores by ``score`` as long as it may; keeps what it was asked."""

    def __init__(self, *, cap: int) -> None:
        self.asked: list[tuple[str, str]] = []
        self.searches = 0
        self._cap = cap

    @property
    def is_spent(self) -> bool:
        return len(self.asked) >= self._cap

    def answers(self, query: str, texts: Sequence[str]) -> Iterator[ScoredTexts]:
        sold = texts[: self._cap - len(self.asked)]
        self.searches += 1
        self.asked += [(query, text) for text in sold]
        scores = np.array([score(query, text) for text in sold], dtype=np.float32)
        yield ScoredTexts(np.arange(len(sold)), scores)

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        raise NotImplementedError

    def close(self) -> None:
        pass


def filtered(text: str, condition: str | None) -> str:
    """The key of a query."""
    return query_key(text) if condition is None else digest("filtered", text, condition)


def asked_with_filters(texts: PairTexts, memo: PairMemo, cap: int) -> tuple[list[float], PairsScored, Paid]:
    """What a cap leaves of the pairs of ``DEMAND``."""
    rows = [(filtered(*query), hash_of(text)) for query, found in DEMAND.items() for text in found]
    columns = (pa.array(column, pa.string()) for column in zip(*reversed(rows), strict=True))
    scorer = Paid(cap=cap)
    wanted = pa.table(list(columns), names=["query_key", "chunk_hash"])
    scores, done = score_pairs(wanted, memo, texts, load=lambda: scorer, drift_check=drift_check(0))
    return scores.tolist()[::-1], done, scorer


# Those most in demand first; the same text comes with no filter, then with two.
DEMAND: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("read csv", None): TEXTS[:2],
    ("sort a list", None): TEXTS[1:3],
    ("read csv", "a"): TEXTS[1:3],  # one of them is known of the text by then
    ("read csv", "b"): TEXTS[:1],  # so is this one
    ("read csv", "c"): TEXTS[3:],
}


@pytest.fixture
def texts_with_filters(chunks: ChunkTable) -> PairTexts:
    names = ("query_key", "text", "filter")
    rows = [(filtered(text, condition), text, condition) for text, condition in DEMAND]
    queries = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return PairTexts.of(pa.table(queries, names=names), chunks)


@pytest.mark.parametrize(
    ("cap", "unfinished"),
    [
        (3, {("sort a list", None), ("read csv", "a"), ("read csv", "c")}),
        (4, {("read csv", "a"), ("read csv", "c")}),
        (5, {("read csv", "c")}),
        (6, set()),
    ],
)
def test_under_a_cap_queries_are_paid_for_by_demand_whatever_their_filters_and_each_is_finished_by_itself(
    memo: PairMemo, texts_with_filters: PairTexts, cap: int, unfinished: set[tuple[str, str | None]]
) -> None:
    scores, done, scorer = asked_with_filters(texts_with_filters, memo, cap)

    in_order = [query for query, found in DEMAND.items() for _ in found]
    assert {query for query, value in zip(in_order, scores, strict=True) if np.isnan(value)} == unfinished
    assert done.queries_left == len(unfinished)
    bought = ["read csv", "read csv", "sort a list", "sort a list", "read csv", "read csv"]
    assert [query for query, _ in scorer.asked] == bought[:cap]
    assert len(set(scorer.asked)) == len(scorer.asked) == len(memo) == cap
    assert (done.pairs, done.scored, done.left) == (6, cap, 6 - cap)
    expected = [score(query, text) for (query, _), found in DEMAND.items() for text in found]
    assert all(np.isnan(value) or value == expected[row] for row, value in enumerate(scores))


def test_a_pair_of_one_text_under_many_filters_is_computed_once(memo: PairMemo, texts_with_filters: PairTexts) -> None:
    scorer = Counting()
    rows = [(filtered(*query), hash_of(text)) for query, found in DEMAND.items() for text in found]
    columns = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    wanted = pa.table(list(columns), names=["query_key", "chunk_hash"])
    scores, done = score_pairs(wanted, memo, texts_with_filters, load=lambda: scorer, drift_check=drift_check(0))
    assert scores.tolist() == [score(query, text) for (query, _), found in DEMAND.items() for text in found]
    assert (done.pairs, done.scored, len(scorer.asked), len(memo)) == (6, 6, 6, 6)


def test_each_pair_is_distinct_once() -> None:
    found = distinct(pairs(EVERY[0], EVERY[1], EVERY[0], EVERY[4]))
    assert sorted(found.to_pylist(), key=repr) == sorted(pairs(EVERY[0], EVERY[1], EVERY[4]).to_pylist(), key=repr)


def fused_of(rows: Sequence[tuple[int, int, float, int]]) -> pa.Table:
    """FUSED from (query number, chunk number, fused score, fused rank)."""
    names = ("query_number", "chunk_number", "fused_score", "fused_rank")
    records = [dict.fromkeys(FUSED.names) | dict(zip(names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(records, schema=FUSED)


def test_candidates_are_named_and_put_in_their_final_order() -> None:
    fused = fused_of([(0, 2, 0.9, 1), (0, 0, 0.5, 2), (0, 1, 0.4, 3), (1, 1, 0.7, 1)])
    queries = pa.table({"query_key": ["k0", "k1"]})
    chunks = pa.table(
        {"chunk_id": ["c#0", "b#0", "a#0"], "chunk_hash": ["hc", "hb", "ha"], "document_id": ["c", "b", "a"]}
    )
    candidates = name_candidates(fused, queries, chunks.take(fused.column("chunk_number")))
    table = final_order(
        candidates,
        fused,
        np.array([-1.0, 3.0, np.nan, np.nan], dtype=np.float32),
        weighing=Weighing(EQUAL_PARTS, 1.0),
    )
    assert table.schema == CANDIDATES
    columns = ["query_key", "chunk_id", "chunk_hash", "document_id", "chunk_number", "pair_score", "score", "rank"]
    assert [tuple(row.values()) for row in table.select(columns).to_pylist()] == [
        ("k0", "c#0", "hc", "c", 0, 3.0, 1.0, 1),
        ("k0", "a#0", "ha", "a", 2, -1.0, -1.0, 2),
        ("k0", "b#0", "hb", "b", 1, None, -2.0, 3),
        ("k1", "b#0", "hb", "b", 1, None, pytest.approx(0.7), 1),
    ]


def test_the_legs_scores_decide_between_candidates_that_fusion_and_reranker_hold_for_equal() -> None:
    fused = fused_of([(0, 0, 0.5, 1), (0, 1, 0.5, 2), (0, 2, 0.5, 3)])
    fused = fused.set_column(2, "bm25_score", pa.array([1.0, None, 9.0], pa.float32()))
    fused = fused.set_column(4, "dense_score", pa.array([0.1, 0.9, 0.2], pa.float32()))
    fused = fused.set_column(6, "sparse_score", pa.array([3.0, None, -1.0], pa.float32()))
    candidates = pa.table({name: ["x"] * 3 for name in ("query_key", "chunk_id", "chunk_hash", "document_id")})
    pair_scores = np.zeros(3, dtype=np.float32)

    def order(leg_weights: dict[LegName, float]) -> list[int]:
        table = final_order(candidates, fused, pair_scores, weighing=Weighing(leg_weights, 0.5))
        return [int(number) for number in table["chunk_number"].to_pylist()]

    # One leg alone decides; the candidate that it does not list counts like its last, ties by number.
    assert order({"bm25": 1.0, "dense": 0.0}) == order({"bm25": 1.0}) == [2, 0, 1]
    assert order({"bm25": 0.0, "dense": 1.0}) == [1, 2, 0]
    assert order({"sparse": 1.0}) == [0, 1, 2]
    assert order({"bm25": 0.25, "sparse": 0.75}) == [0, 2, 1]


def test_equal_final_scores_go_by_chunk_number() -> None:
    fused = fused_of([(0, 5, 0.5, 1), (0, 3, 0.5, 2), (0, 4, 0.5, 3)])
    candidates = pa.table({name: ["x"] * 3 for name in ("query_key", "chunk_id", "chunk_hash", "document_id")})
    table = final_order(candidates, fused, np.array([1, 1, 2], dtype=np.float32), weighing=Weighing(EQUAL_PARTS, 0.5))
    assert table["chunk_number"].to_pylist() == [4, 3, 5]
    assert table["rank"].to_pylist() == [1, 2, 3]
