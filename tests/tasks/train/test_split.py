"""The split of training pairs: whole documents are held out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.train.sets import HeldOutQuery
from nightrank.tasks.train.split import hold_out_documents, split_queries, validation_and_test

DOCUMENTS = st.sampled_from([f"d{number}" for number in range(12)])
PAIRS = st.dictionaries(
    st.sampled_from([f"q{number}" for number in range(20)]), st.sets(DOCUMENTS, min_size=1, max_size=3), min_size=1
)


@given(PAIRS, st.floats(0.05, 0.5), st.integers(1, 20), st.integers(0, 1000))
def test_no_document_is_on_both_sides(documents_of: dict[str, set[str]], share: float, most: int, seed: int) -> None:
    held = hold_out_documents(documents_of, share=share, most=most, generator=np.random.default_rng(seed))
    learnt, measured = split_queries(documents_of, held)

    on_one_side = {document for query in learnt for document in documents_of[query]}
    on_the_other = {document for query in measured for document in documents_of[query]}
    assert not on_one_side & on_the_other
    assert on_the_other <= held
    assert not on_one_side & held
    assert not set(learnt) & set(measured)


@given(PAIRS, st.integers(0, 1000))
def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_pairs(
    documents_of: dict[str, set[str]], seed: int
) -> None:
    backwards = dict(reversed(documents_of.items()))

    first, second = (
        hold_out_documents(pairs, share=0.3, most=20, generator=np.random.default_rng(seed))
        for pairs in (documents_of, backwards)
    )

    assert first == second


def test_as_many_queries_are_measured_on_as_asked_for() -> None:
    documents_of = {f"q{number}": [f"d{number}"] for number in range(50)}

    held = hold_out_documents(documents_of, share=0.2, most=500, generator=np.random.default_rng(1))
    fewer = hold_out_documents(documents_of, share=0.2, most=4, generator=np.random.default_rng(1))

    assert [len(side) for side in split_queries(documents_of, held)] == [40, 10]
    assert [len(side) for side in split_queries(documents_of, fewer)] == [46, 4]


def test_a_document_that_answers_most_queries_is_never_held_out() -> None:
    documents_of = {f"q{number}": ["hub", f"d{number}"] for number in range(10)} | {"alone": ["d-alone"]}

    held = hold_out_documents(documents_of, share=0.3, most=10, generator=np.random.default_rng(1))

    assert held == {"d-alone"}


@given(PAIRS, st.integers(1, 30))
def test_what_is_looked_at_in_training_shares_no_document_with_what_is_measured_on(
    documents_of: dict[str, set[str]], max_validation: int
) -> None:
    alone = {f"alone {number}": {f"alone {number}"} for number in range(20)}
    held_out = [HeldOutQuery(name, dict.fromkeys(of, 1), ()) for name, of in (documents_of | alone).items()]

    validation, measured = validation_and_test(held_out, max_validation=max_validation)

    assert len(validation) + len(measured) == len(held_out)
    assert 1 <= len(validation) <= min(max_validation, len(held_out) // 3)
    assert not {name for query in validation for name in query.relevant} & {
        name for query in measured for name in query.relevant
    }
    assert validation_and_test(held_out[::-1], max_validation=max_validation) == (validation[::-1], measured[::-1])


def test_too_few_held_out_queries_or_such_as_hang_together_are_looked_at_and_measured_on() -> None:
    few = [HeldOutQuery(f"q{number}", {f"d{number}": 1}, ()) for number in range(19)]
    chain = [HeldOutQuery(f"q{number}", {f"d{number}": 1, f"d{number + 1}": 1}, ()) for number in range(40)]

    assert validation_and_test(few, max_validation=5) == (few[:5], few)
    assert validation_and_test(chain, max_validation=50) == (chain, chain)
