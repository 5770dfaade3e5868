"""Fits of the learned order to judged queries: held to the packaged one, and measured by queries that took no part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightrank.storage.records import Judgment
from nightrank.tasks.evaluate.judged_candidates import JudgedCandidates
from nightrank.tasks.experiment.values import OrderedCandidates
from nightrank.tasks.rank.fusion import LegUnion
from nightrank.tasks.rank.lists import RERANKER
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.settings.ranking import RetrievalSettings
from nightrank.tasks.tune.order import STRENGTHS, OrderFits, prior_of

ENTRIES = 12
RETRIEVAL = RetrievalSettings()


def candidates(asked: int, *, depth: int | None = None, answers: dict[int, int] | None = None) -> OrderedCandidates:
    """Queries whose answer the dense leg and the reranker find, and BM25 finds by chance alone.

    Args:
        asked: Queries.
        depth: Candidates that are reranked.
        answers: By query, another entry than the first that answers it.
    """
    generator = np.random.default_rng(5)
    numbers = np.repeat(np.arange(asked, dtype=np.int32), ENTRIES)
    chunks = np.tile(np.arange(ENTRIES, dtype=np.int32), asked)
    is_answer = (chunks == 0).astype(np.float32)
    scores = {
        "bm25": generator.normal(size=numbers.size).astype(np.float32),
        "dense": (generator.normal(size=numbers.size) + 2.0 * is_answer).astype(np.float32),
    }
    order = {leg: np.lexsort((-values, numbers)) for leg, values in scores.items()}
    ranks = {leg: np.empty(numbers.size, dtype=np.int32) for leg in scores}
    for leg, by_rank in order.items():
        ranks[leg][by_rank] = chunks + 1
    pool = LegUnion(numbers, chunks, chunks, np.ones_like(chunks), scores, ranks)  # type: ignore[arg-type]  # LegName
    names = [f"d{number:02}" for number in range(ENTRIES)]
    judgments = [Judgment(f"q{one:03}", names[(answers or {}).get(one, 0)], 1) for one in range(asked)]
    ids = [[f"q{one:03}"] for one in range(asked)]
    judged = JudgedCandidates.of(pool, np.arange(ENTRIES), names, ids, judgments, ignore_identical_ids=False)
    pairs = (generator.normal(size=numbers.size) + 3.0 * is_answer).astype(np.float32)
    grams = np.zeros(numbers.size)
    return OrderedCandidates.of(judged, RETRIEVAL, None if depth is None else pairs, depth=depth, grams=grams)


WEIGHING = Weighing({"bm25": 0.5, "dense": 0.5}, 0.5)


def fits_over(found: OrderedCandidates, *, weight: float = 0.5) -> OrderFits:
    prior = prior_of("own", weight)
    return OrderFits(found, WEIGHING, prior=prior, units=list(found.judged.query_ids))


def dense_share(fits: OrderFits, subset: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    gates = fits.fit(subset, strength=STRENGTHS[0]).model.gates
    return float(1.0 / (1.0 + np.exp(gates["bm25"].bias - gates["dense"].bias)))


def test_many_queries_teach_which_leg_to_trust_and_unseen_ones_gain() -> None:
    found = candidates(80)
    fits, everything = fits_over(found), np.ones(80, dtype=np.bool_)
    packaged = found.values(replace(WEIGHING, learned=read_order()))
    for strength in STRENGTHS:
        assert fits.unseen_values(everything, strength=strength).mean() > packaged.mean() + 0.03


def test_few_queries_change_little() -> None:
    fits = fits_over(candidates(80))
    gates = read_order().gates
    before = 1.0 / (1.0 + np.exp(gates["bm25"].bias - gates["dense"].bias))
    few, many = (dense_share(fits, np.arange(80) < count) for count in (3, 80))
    assert before < few < before + 0.08 < many


def test_no_query_is_measured_by_an_order_that_its_own_judgments_made() -> None:
    subset = np.arange(20) != 7
    one, other = (fits_over(candidates(20, answers=answers)) for answers in ({}, {3: 9}))
    before, after = (fits.unseen_values(subset, strength=20.0) for fits in (one, other))
    assert before[7] == after[7] == 0.0
    # The answer of query 3 moved: the order by which query 3 itself is measured stays the same.
    [held_out] = [held for _, held in one._folds if held[3]]
    others = subset & ~held_out
    assert one.fit(others, strength=20.0).fingerprint == other.fit(others, strength=20.0).fingerprint
    assert one.fit(subset, strength=20.0).fingerprint != other.fit(subset, strength=20.0).fingerprint


def test_a_fit_begins_with_the_plain_weight_of_a_reranker_that_the_packaged_order_does_not_know() -> None:
    found = candidates(30, depth=ENTRIES)
    for weight in (0.2, 0.9):
        plain = Weighing({"bm25": 0.5, "dense": 0.5}, weight, read_order())
        own = replace(plain, learned=prior_of("own", weight), knows_reranker=True)
        scores = [each.final_scores(found.entries, found.pair_scores) for each in (plain, own)]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
    assert prior_of("nightrank-minilm", 0.3).fingerprint == read_order().fingerprint


def test_a_good_reranker_comes_to_count_for_more_and_the_model_knows_it() -> None:
    fits = fits_over(candidates(60, depth=ENTRIES), weight=0.1)
    fitted = fits.fit(np.ones(60, dtype=np.bool_), strength=20.0)
    assert fitted.model.reranker == "own"
    assert fitted.model.gates[RERANKER].bias > prior_of("own", 0.1).gates[RERANKER].bias + 0.5
    assert fitted.queries == 60


def test_fits_are_the_same_every_time_and_other_numbers_have_another_file() -> None:
    everything = np.ones(20, dtype=np.bool_)
    first, second = (fits_over(candidates(20)).fit(everything, strength=20.0) for _ in range(2))
    assert first == second
    assert first.file_name == second.file_name == f"order-{first.fingerprint[:12]}.json"
    assert fits_over(candidates(20)).fit(everything, strength=100.0).file_name != first.file_name


@pytest.mark.parametrize("asked", [2, 3])
def test_hardly_any_query_is_enough_to_fit(asked: int) -> None:
    fits = fits_over(candidates(asked))
    assert fits.unseen_values(np.ones(asked, dtype=np.bool_), strength=100.0).shape == (asked,)
