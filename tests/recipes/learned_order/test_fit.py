from __future__ import annotations

import json
import lzma
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.legs import LEGS
from nightrank.storage.memo.sparse_vectors import SparseVectors
from nightrank.tasks.rank.fit import Fitting
from nightrank.tasks.rank.grams import GRAM_BITS, gram_shares
from nightrank.tasks.rank.learned import log_means
from nightrank.tasks.rank.lists import RERANKER, Lists
from recipes.learned_order.collections import Scored, listed, read_slice, reranked
from recipes.learned_order.fit import GRAMS_BIAS, fit, queries_of
from recipes.learned_order.recipe import COLLECTIONS, FITTING, QUERIES, Collection
from recipes.legs import Encoders

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.rank.learned import LearnedOrder

ENTRIES, ASKED = 40, 24


def collection(seed: int, **quality: float) -> Scored:
    """Queries with one answer each; every list gives it so much more than chance, and the same entries to all."""
    generator = np.random.default_rng(seed)
    queries = np.repeat(np.arange(ASKED, dtype=np.int32), ENTRIES)
    relevant = np.tile(np.arange(ENTRIES) == 0, ASKED)
    shared = generator.normal(size=queries.size)

    def scores(name: str) -> NDArray[np.float32]:
        good = quality[name]
        noise = generator.normal(size=queries.size)
        values = 4.0 * good * relevant + good * shared + (1.0 - good) * noise
        return values.astype(np.float32)

    legs = {leg: scores(leg) for leg in LEGS}
    ended = [bytes([number, 0x80]) for number in generator.integers(0, 256, queries.size).tolist()]
    grams, places = pa.array(ended, GRAM_BITS), np.tile(np.arange(ENTRIES, dtype=np.int32), ASKED)
    return Scored(queries, places, legs, scores(RERANKER), grams, relevant, np.ones(ASKED, dtype=np.int32))


def weights(model: LearnedOrder, scored: Scored) -> dict[str, float]:
    legs: tuple[LegName, ...] = ("bm25", "dense")
    named: dict[str, NDArray[np.floating]] = {leg: scored.legs[leg] for leg in legs}
    grams = gram_shares(scored.queries, scored.grams)
    lists = Lists.of(scored.queries, named | {RERANKER: scored.pair_scores}, grams=grams)
    log = log_means(lists, legs)
    found = {leg: float(each.mean()) for leg, each in model.weights(lists, legs, log=log).items()}
    return found | {RERANKER: float(model.reranker_weights(lists, legs, log=log).mean())}


@pytest.fixture(scope="module")
def fitted() -> LearnedOrder:
    """Fitted on collections in which the dense leg knows the language, and on some in which it does not."""
    known = [collection(seed, bm25=0.3, dense=0.3, sparse=0.3, reranker=0.6) for seed in range(4)]
    unknown = [collection(seed, bm25=0.3, dense=0.0, sparse=0.0, reranker=0.0) for seed in range(4, 8)]
    return fit([*known, *unknown], FITTING, reranker="own")


def test_a_leg_and_a_reranker_that_know_nothing_count_for_little_in_a_collection_never_seen(
    fitted: LearnedOrder,
) -> None:
    strange = weights(fitted, collection(50, bm25=0.3, dense=0.0, sparse=0.0, reranker=0.0))
    usual = weights(fitted, collection(51, bm25=0.3, dense=0.3, sparse=0.3, reranker=0.6))
    assert strange["dense"] < 0.2 < 0.35 < usual["dense"]
    assert strange[RERANKER] < 0.25 < 0.5 < usual[RERANKER]


def test_a_heavy_penalty_leaves_equal_parts() -> None:
    unknown = [collection(seed, bm25=0.8, dense=0.0, sparse=0.0, reranker=0.0) for seed in range(3)]
    order = fit(unknown, Fitting(penalty=1e4, of_biases=1.0), reranker="own")
    biases = [order.gates[leg].bias for leg in LEGS]
    assert max(biases) - min(biases) < 0.01
    assert order.grams - biases[0] == pytest.approx(GRAMS_BIAS, abs=0.01)


def test_a_query_whose_answers_nobody_finds_teaches_nothing() -> None:
    one = collection(0, bm25=0.7, dense=0.7, sparse=0.7, reranker=0.8)
    relevant = one.relevant & (one.queries > 0)
    lost = replace(one, relevant=relevant)
    assert queries_of(lost, ("bm25", "dense"), with_reranker=True).weights.sum() == ASKED - 1


def test_a_cut_keeps_the_first_entries_of_each_list_and_what_is_relevant() -> None:
    whole = collection(0, bm25=0.3, dense=0.3, sparse=0.3, reranker=0.6)
    cut = whole.cut(5)
    for leg in LEGS:
        listed = ~np.isnan(cut.legs[leg])
        assert np.bincount(cut.queries[listed], minlength=ASKED).tolist() == [5] * ASKED
        for query in range(ASKED):
            own = whole.queries == query
            assert cut.legs[leg][own & listed].min() > np.partition(whole.legs[leg][own & ~listed], -1)[-1]
        np.testing.assert_array_equal(cut.legs[leg][listed], whole.legs[leg][listed])
    np.testing.assert_array_equal(cut.relevant, whole.relevant)
    np.testing.assert_array_equal(whole.cut(ENTRIES).legs["bm25"], whole.legs["bm25"])


@pytest.mark.parametrize("depth", [ENTRIES, 10])
def test_a_leg_that_knows_nothing_counts_for_little_however_long_lists_are(fitted: LearnedOrder, depth: int) -> None:
    strange = weights(fitted, collection(52, bm25=0.3, dense=0.0, sparse=0.0, reranker=0.0).cut(depth))
    assert strange["dense"] < 0.25


def test_no_language_that_is_left_for_measuring_is_fitted_on() -> None:
    assert not {"ja", "zh", "fr", "fa", "pt"} & {one.language.partition("-")[0] for one in COLLECTIONS}
    assert len({one.name for one in COLLECTIONS}) == len(COLLECTIONS)


def one_hot(texts: Sequence[str]) -> NDArray[np.float32]:
    """A text's vector is its first letter."""
    vectors = np.zeros((len(texts), 26), dtype=np.float32)
    vectors[np.arange(len(texts)), [ord(text[0]) - ord("a") for text in texts]] = 1.0
    return vectors


def letters(texts: Sequence[str]) -> SparseVectors:
    rows = [(np.array([ord(text[0])], dtype=np.int32), np.ones(1, dtype=np.float32)) for text in texts]
    return SparseVectors.of(rows)


def test_a_slice_is_read_and_scored_by_all_legs_and_the_reranker(tmp_path: Path) -> None:
    words = ["apple tree", "birch wood", "cedar oil", "daisy field"]
    rows = [{"query": word.split()[0], "text": f"{word} text", "language": "en"} for word in words]
    rows.append({"query": "manzana", "text": "texto", "language": "es"})
    with lzma.open(tmp_path / "words.jsonl.xz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    part = read_slice(Collection("words.jsonl.xz"), tmp_path)
    assert part == read_slice(Collection("words.jsonl.xz"), tmp_path)
    assert len(part.queries) == len(words) <= QUERIES
    found = listed(part, Encoders(one_hot, letters, letters))
    assert np.isnan(found.pair_scores).all()
    scored = reranked(found, part, lambda _, texts: np.array([len(text) for text in texts], dtype=np.float32))
    assert scored.relevant.sum() == len(words)
    for leg in ("bm25", "sparse"):  # each finds the answer, which begins with the query, and nothing else
        assert (~np.isnan(scored.legs[leg]) == scored.relevant).all()
    answers = [part.passages[place].model_text() for place in scored.places[scored.relevant].tolist()]
    assert scored.pair_scores[scored.relevant].tolist() == [len(answer) for answer in answers]
    scored.write(tmp_path / "words.npz")
    again = Scored.read(tmp_path / "words.npz")
    np.testing.assert_array_equal(again.pair_scores, scored.pair_scores)
    np.testing.assert_array_equal(again.legs["dense"], scored.legs["dense"])
    assert again.grams == scored.grams
    shares = gram_shares(scored.queries, scored.grams)
    assert (shares[scored.relevant] == 1.0).all()
    assert (shares[~scored.relevant] == 0.0).all()
