"""The fit: its gradient is the loss's own, it begins at the prior, and it goes where relevant candidates are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import nightrank.tasks.rank.fit
from nightrank.storage.legs import LEGS
from nightrank.tasks.rank.examples import CANDIDATES, Examples, examples_of
from nightrank.tasks.rank.fit import NAMES, Fitting, fit_order
from nightrank.tasks.rank.learned import FEATURES, LearnedOrder, log_means
from nightrank.tasks.rank.lists import RERANKER, Lists
from nightrank.tasks.rank.order_file import read_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName

    Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

ASKED, ENTRIES = 12, 8
LOOSE = Fitting(penalty=0.1, of_reranker=1.0, of_rank_shares=1.0)


def queries(*, helps: str, legs: tuple[LegName, ...] = ("bm25", "dense"), reranker: bool = False) -> Examples:
    """Queries whose only relevant candidate is named first by one list, and at random by the others."""
    generator = np.random.default_rng(7)
    numbers = np.repeat(np.arange(ASKED), ENTRIES)
    gains = np.tile(np.arange(ENTRIES) == 0, ASKED).astype(np.float64)
    names = (*legs, RERANKER) if reranker else legs
    scores = {name: generator.normal(size=numbers.size) + 2.0 * gains * (name == helps) for name in names}
    grams = np.clip(generator.random(numbers.size) + 0.5 * gains * (helps == "grams"), 0.0, 1.0)
    lists = Lists.of(numbers, scores, grams=grams)
    everything = np.ones(numbers.size, dtype=np.bool_)
    log = log_means(lists, legs)
    return examples_of(lists, gains, scores.get(RERANKER), legs=legs, kept=everything, log=log)


def share_of(name: str, order: LearnedOrder, examples: Examples) -> float:
    """How much a leg, or the shares of grams, count in the mean."""
    logits = [order.gates[leg](examples.features[:, row]) for row, leg in enumerate(examples.legs)]
    table = np.stack([*logits, np.full(ASKED, order.grams)], axis=1)
    parts = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
    return float(parts[:, (*examples.legs, "grams").index(name)].mean())


@pytest.mark.parametrize("legs", [("bm25", "dense"), LEGS])
def test_the_gradient_is_the_losss_own(legs: tuple[LegName, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[Loss, NDArray[np.float64]]] = []

    class Looked(Exception):
        pass

    def look(loss: Loss, begin: NDArray[np.float64], **_: object) -> None:
        taken.append((loss, begin))
        raise Looked

    monkeypatch.setattr(nightrank.tasks.rank.fit, "minimize", look)
    parts = [queries(helps="bm25", legs=legs), queries(helps="dense", legs=legs, reranker=True)]
    with pytest.raises(Looked):
        fit_order(parts, read_order(), LOOSE)
    loss, begin = taken[0]
    x = begin + np.random.default_rng(0).normal(scale=0.1, size=begin.size)
    _, gradient = loss(x)
    steps = np.eye(x.size) * 1e-6
    numeric = np.array([(loss(x + step)[0] - loss(x - step)[0]) / 2e-6 for step in steps])
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)


@pytest.mark.parametrize("name", ["bm25", "dense", "grams"])
def test_what_finds_what_is_relevant_comes_to_count_for_more(name: str) -> None:
    prior, one = read_order(), queries(helps=name)
    fitted = fit_order([one], prior, Fitting(penalty=1.0))
    assert share_of(name, fitted, one) > share_of(name, prior, one) + 0.1


def test_a_reranker_that_finds_what_is_relevant_comes_to_count_for_more() -> None:
    prior, one = read_order(), queries(helps=RERANKER, reranker=True)
    fitted = fit_order([one], prior, LOOSE)
    before, after = (order.gates[RERANKER](one.features[:, 2]).mean() for order in (prior, fitted))
    assert after > before + 1.0


def test_a_heavy_penalty_leaves_the_prior_and_so_does_no_query() -> None:
    prior, one = read_order(), queries(helps="dense", reranker=True)
    nothing = one.weighted(np.zeros(ASKED))
    heavy = Fitting(penalty=1e9, of_reranker=1.0, of_rank_shares=1.0)
    for parts, fitting in (([one], heavy), ([nothing], LOOSE), ([], LOOSE)):
        fitted = fit_order(parts, prior, fitting)
        for name in NAMES:
            np.testing.assert_allclose(fitted.gates[name].coefficients, prior.gates[name].coefficients, atol=1e-5)
            assert fitted.gates[name].rank_share == pytest.approx(prior.gates[name].rank_share, abs=1e-5)
        biases = [fitted.gates[leg].bias - prior.gates[leg].bias for leg in LEGS] + [fitted.grams - prior.grams]
        assert max(biases) - min(biases) < 1e-4
        assert fitted.gates[RERANKER].bias == pytest.approx(prior.gates[RERANKER].bias, abs=1e-5)
        assert fitted.reranker == prior.reranker


def test_more_of_the_same_queries_move_it_farther_from_the_prior() -> None:
    prior, one = read_order(), queries(helps="dense")
    shares = [share_of("dense", fit_order([one] * times, prior, Fitting(penalty=20.0)), one) for times in (1, 5, 25)]
    assert share_of("dense", prior, one) < shares[0] < shares[1] < shares[2]


def test_a_leg_that_is_off_keeps_the_priors_numbers() -> None:
    prior = read_order().gates
    fitted = fit_order([queries(helps="dense")], read_order(), LOOSE).gates
    np.testing.assert_array_equal(fitted["sparse"].coefficients, prior["sparse"].coefficients)
    np.testing.assert_array_equal(fitted[RERANKER].coefficients, prior[RERANKER].coefficients)
    assert fitted[RERANKER].bias == prior[RERANKER].bias


def test_the_same_queries_give_the_same_numbers() -> None:
    one = queries(helps="dense", reranker=True)
    first, second = (fit_order([one], read_order(), LOOSE) for _ in range(2))
    assert first.stored() == second.stored()


def test_rank_shares_stay_between_0_and_1() -> None:
    fitted = fit_order([queries(helps="bm25")], read_order(), Fitting(penalty=1e-6))
    assert all(0.0 <= fitted.gates[leg].rank_share <= 1.0 for leg in LEGS)


def test_examples_are_the_best_candidates_and_targets_are_shares_of_grades() -> None:
    entries = CANDIDATES + 5
    numbers = np.repeat([0, 1], entries)
    scores = np.tile(-np.arange(entries, dtype=float), 2)
    gains = np.zeros(2 * entries)
    gains[[0, 3]] = [1.0, 3.0]
    gains[entries + CANDIDATES] = 1.0  # of a query whose relevant candidate is not among the best
    lists = Lists.of(numbers, {"bm25": scores}, grams=np.arange(numbers.size) / numbers.size)
    everything = np.ones(numbers.size, dtype=np.bool_)
    found = examples_of(lists, gains, None, legs=("bm25",), kept=everything, log=log_means(lists, ("bm25",)))
    assert found.scores.shape == (2, CANDIDATES, 1)
    np.testing.assert_array_equal(found.grams, lists.grams.reshape(2, entries)[:, :CANDIDATES])
    assert found.features.shape == (2, 1, len(FEATURES))
    assert found.target[0, [0, 3]].tolist() == [0.25, 0.75]
    assert found.weights.tolist() == [1.0, 0.0]
    assert len(found.weighted(found.weights).target) == 1
    assert found.there.all()
