"""What both trainings read comes back as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.train.sets import Candidate, HeldOutQuery, TrainingSet, read_training_set, write_training_set
from nightrank.tasks.train.sources import MinedQuery, Passage

if TYPE_CHECKING:
    from pathlib import Path


def test_a_training_set_comes_back_from_its_files(tmp_path: Path) -> None:
    written = TrainingSet(
        passages=[Passage("a", "A", "x"), Passage("b", "", "y"), Passage("c", "C", "")],
        mined=[
            MinedQuery("q", ((0, 1.5),), ((2, -0.5), (1, 0.25)), -0.5, "removed_text", (1, 2)),
            MinedQuery("r", ((0, 1.0),), (), 0.0),
        ],
        held_out=[
            HeldOutQuery(
                "s", {"b": 2}, (Candidate(1, 0.5, {"bm25": 3.0}), Candidate(0, 0.25, {"dense": -0.5, "sparse": 2.0}))
            )
        ],
        held=frozenset({1}),
        evaluated=(1, 2),
    )

    write_training_set(tmp_path, written)

    assert read_training_set(tmp_path) == written


def test_a_passage_that_is_a_title_alone_reads_as_the_title() -> None:
    assert Passage("c", "C", "").model_text() == "C"
    assert Passage("c", "C", "x").model_text(with_title=False) == "x"
