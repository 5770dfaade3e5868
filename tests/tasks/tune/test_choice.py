from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.tune.choice import choose, folds_of, splits


@given(st.lists(st.sampled_from("abcdefghij"), min_size=3), st.integers(2, 3), st.integers(0, 99))
def test_folds_tear_no_unit_apart_and_are_about_equal(units: list[str], folds: int, seed: int) -> None:
    folds = min(folds, len(set(units)))
    fold_of = folds_of(units, folds=folds, generator=np.random.default_rng(seed))

    by_unit = {unit: set(fold_of[[other == unit for other in units]].tolist()) for unit in units}
    assert all(len(seen) == 1 for seen in by_unit.values())
    sizes = np.bincount([next(iter(seen)) for seen in by_unit.values()], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_each_entry_is_held_out_once_and_never_chooses_for_itself() -> None:
    held = np.zeros(7, dtype=int)
    for choosing, held_out in splits(folds_of(list("abcdefg"), folds=3, generator=np.random.default_rng(1))):
        assert not (choosing & held_out).any()
        assert (choosing | held_out).all()
        held += held_out
    assert held.tolist() == [1] * 7


def test_the_same_seed_gives_the_same_folds_and_another_gives_others() -> None:
    units = [str(number) for number in range(50)]
    drawn = [folds_of(units, folds=5, generator=np.random.default_rng(seed)).tolist() for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        ([0.2, 0.2, 0.2], 1),  # mean 0.2, no spread
        ([0.3, 0.0, 0.0], 0),  # mean 0.1, standard error 0.1: not more than that
        ([0.3, 0.0, 0.05], 1),  # mean 0.117, standard error 0.0928
        ([0.0, 0.0, 0.0], 0),
        ([-0.1, -0.1, -0.1], 0),
    ],
)
def test_the_present_one_stays_unless_it_is_beaten_by_more_than_a_standard_error(
    gains: list[float], chosen: int
) -> None:
    present = np.array([0.4, 0.5, 0.6])
    assert choose(np.vstack([present, present + gains]), present=0) == chosen


def test_of_equally_good_variants_the_first_is_chosen() -> None:
    values = np.array([[0.0, 0.0, 0.0], [0.9, 0.8, 0.7], [0.7, 0.8, 0.9]])
    assert choose(values, present=0) == 1


def test_one_query_changes_nothing_and_none_neither() -> None:
    assert choose(np.array([[0.0], [1.0]]), present=0) == 0
    assert choose(np.zeros((2, 0)), present=1) == 1


def test_what_noise_chooses_is_worth_nothing_on_what_did_not_choose() -> None:
    generator = np.random.default_rng(5)
    seen, held = [], []
    for _ in range(40):
        values = generator.random((100, 60))  # a hundred variants, none better than another
        units = [str(number) for number in range(60)]
        for choosing, held_out in splits(folds_of(units, folds=5, generator=generator)):
            row = choose(values[:, choosing], present=0)
            seen.append(values[row][choosing].mean())
            held.append(values[row][held_out].mean())
    assert np.mean(seen) > 0.55  # what it looks like
    assert np.mean(held) < 0.505  # what it is, or a little less: what chose it is missing from what is held out
