"""Which rows go together in a batch."""

from __future__ import annotations

import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.train.embedder.rows import TrainingRow
from nightrank.tasks.train.embedder.trainer import AnswerAwareBatches


def row(query: str, *shown: str, answering: tuple[str, ...] = ()) -> TrainingRow:
    return TrainingRow(query, shown, frozenset(shown), frozenset({shown[0], *answering}))


def batches(*rows: TrainingRow, size: int, epoch: int = 0) -> list[list[int]]:
    sampler = AnswerAwareBatches(
        Dataset.from_dict({"anchor": [one.query for one in rows]}),
        rows,
        batch_size=size,
        generator=torch.Generator(),
        seed=7,
    )
    sampler.set_epoch(epoch)
    return list(sampler)


def test_another_answer_of_a_query_is_not_in_its_batch() -> None:
    several = row("q1", "a1", "n1", answering=("a2",))

    assert sorted(map(sorted, batches(several, row("q2", "a2", "n2"), row("q3", "a3", "n3"), size=2))) != [[0, 1], [2]]
    assert batches(several, row("q2", "a2", "n2"), size=2) in ([[0], [1]], [[1], [0]])
    assert batches(several, row("q2", "b", "a2"), size=2) in ([[0], [1]], [[1], [0]])
    assert len(batches(several, row("q2", "b", "n2"), size=2)) == 1


def test_the_order_depends_on_the_epoch_and_nothing_else() -> None:
    rows = [row(f"q{i}", f"a{i}") for i in range(30)]

    assert batches(*rows, size=8, epoch=1) == batches(*rows, size=8, epoch=1)
    assert batches(*rows, size=8, epoch=1) != batches(*rows, size=8, epoch=2)


NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(NAMES, NAMES, NAMES, st.sets(NAMES, max_size=3)), max_size=20), st.integers(1, 5))
def test_each_row_is_used_once_and_no_two_of_a_batch_show_one_another_an_answer(
    drawn: list[tuple[str, str, str, set[str]]], size: int
) -> None:
    rows = [row(f"q{query}", answer, other, answering=tuple(more)) for query, answer, other, more in drawn]

    made = batches(*rows, size=size)

    assert sorted(number for batch in made for number in batch) == list(range(len(rows)))
    for batch in made:
        assert len(batch) <= size
        for one in batch:
            for other in set(batch) - {one}:
                assert rows[one].query != rows[other].query
                assert not rows[one].answering & rows[other].shown
                assert not rows[one].shown & rows[other].shown
