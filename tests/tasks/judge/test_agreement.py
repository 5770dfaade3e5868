"""Agreement of judges, against scikit-learn's figures and cases that are plain to see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nightrank.storage.records import Judgment
from nightrank.tasks.judge.agreement import agreement, tau_of_systems
from nightrank.tasks.judge.settle import settled
from nightrank.tasks.trec.runs import Entry


def grades(*values: int) -> dict[tuple[str, str], int]:
    return {(f"q{number // 3}", f"d{number}"): value for number, value in enumerate(values)}


def test_kappa_is_what_scikit_learn_says() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(7)
    one = generator.integers(0, 4, 200)
    other = np.where(generator.random(200) < 0.6, one, generator.integers(0, 4, 200))
    found = agreement(grades(*one.tolist()), grades(*other.tolist()))
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(one, other))
    assert found.weighted_kappa == pytest.approx(metrics.cohen_kappa_score(one, other, weights="quadratic"))
    assert found.same == pytest.approx((one == other).mean())


def test_only_what_both_judged_counts() -> None:
    one = grades(0, 1, 2, 3, 3)
    other = {pair: grade for pair, grade in grades(0, 1, 2, 0, 0, 2, 2).items() if pair[1] not in {"d3", "d4"}}
    found = agreement(one, other)
    assert (found.queries, found.pairs, found.kappa, found.weighted_kappa) == (1, 3, 1.0, 1.0)


def test_a_difference_of_two_weighs_more_than_one_of_one() -> None:
    near = agreement(grades(0, 1, 2, 3), grades(1, 1, 2, 3))
    far = agreement(grades(0, 1, 2, 3), grades(3, 1, 2, 3))
    assert near.kappa == pytest.approx(far.kappa, abs=0.1)
    assert near.weighted_kappa > far.weighted_kappa + 0.3


@pytest.mark.parametrize("pair", [((), ()), ((2, 2, 2), (2, 2, 2))])
def test_where_nothing_can_be_said_nothing_is(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """Whoever gives one grade alone agrees by chance as much as by reading."""
    assert math.isnan(agreement(grades(*pair[0]), grades(*pair[1])).weighted_kappa)


def test_a_model_is_held_against_people_at_their_scale() -> None:
    people, model = grades(0, 0, 1, 1), grades(0, 1, 2, 3)
    assert agreement(people, model, most=1).kappa == 1.0
    assert agreement(grades(0, 0, 1, 2), model, most=2).kappa == 1.0
    assert agreement(people, model).kappa < 1.0


def run(*documents: str) -> list[Entry]:
    return [Entry("q", document, -float(rank)) for rank, document in enumerate(documents, 1)]


def judged(**by_document: int) -> list[Judgment]:
    return [Judgment("q", document, grade) for document, grade in by_document.items()]


def test_tau_says_whether_both_put_systems_in_one_order() -> None:
    runs = {"good": run("a", "b", "c"), "fair": run("b", "a", "c"), "poor": run("c", "b", "a")}
    people = judged(a=3, b=1)
    assert tau_of_systems(runs, people, judged(a=2, b=1, c=0), measure="nDCG@10") == (1.0, 3)
    assert tau_of_systems(runs, people, judged(a=0, b=1, c=3), measure="nDCG@10")[0] == pytest.approx(-1.0)
    assert math.isnan(tau_of_systems(runs, people, [Judgment("other", "a", 3)], measure="nDCG@10")[0])
    assert math.isnan(tau_of_systems({"good": run("a")}, people, people, measure="nDCG@10")[0])


def test_where_judges_differ_the_median_counts() -> None:
    by_judge = {"Ann": grades(0, 1, 3, 2), "Ben": grades(0, 2, 0), "Cem": {("q0", "d2"): 3}}
    assert [(one.document_id, one.grade) for one in settled(by_judge)] == [("d0", 0), ("d1", 1), ("d2", 3), ("d3", 2)]
