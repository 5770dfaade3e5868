"""A teacher's scores take the place of teacher scores, and no pair is scored twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from nightrank.tasks.train.reranker import teacher as reranker_teacher
from nightrank.tasks.train.reranker.teacher import ask_teacher, teacher_settings
from nightrank.tasks.train.sources import MinedQuery, Passage

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.rerank.plan import RerankerPlan
    from tests.conftest import Models

EXECUTION = ExecutionSettings(device="cpu", threads=1)
PASSAGES = [Passage(f"d{i}", "", f"text of {i} things") for i in range(6)]
QUERIES = [
    MinedQuery("first", ((0, 0.0),), ((1, 0.0), (2, 0.0), (5, 0.0)), 0.0, "removed_text"),
    MinedQuery("second", ((3, 0.0), (4, 0.0)), ((0, 0.0),), 0.0),
]


@pytest.fixture
def plan(models: Models, tmp_path: Path) -> RerankerPlan:
    return plan_local(RerankerSettings(model=str(models.reranker)), EXECUTION, base=tmp_path)


def test_opinions_become_the_teachers_scores_standardised_over_each_query(plan: RerankerPlan, tmp_path: Path) -> None:
    taught, known = ask_teacher(QUERIES, PASSAGES, negatives=2, plan=plan, execution=EXECUTION, folder=tmp_path)
    assert known == 0
    teacher = Reranker(plan, batch_tokens=4096, threads=1)
    for query, places in zip(taught, ([0, 1, 2], [3, 4, 0]), strict=True):
        texts = [PASSAGES[place].model_text() for place in places]
        scores = teacher.score([query.query] * 3, texts, np.full(3, 5)).astype(np.float64)
        teacher_scores = [teacher_score for _, teacher_score in (*query.answers, *query.negatives)]
        assert [place for place, _ in (*query.answers, *query.negatives)] == places
        assert teacher_scores == pytest.approx(((scores - scores.mean()) / scores.std()).tolist(), abs=1e-3)
        assert query.floor == min(teacher_scores)
    assert taught[0].removed_text == "removed_text"


def test_no_pair_is_scored_twice(plan: RerankerPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = ask_teacher(QUERIES, PASSAGES, negatives=2, plan=plan, execution=EXECUTION, folder=tmp_path)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the teacher was loaded")

    monkeypatch.setattr(reranker_teacher, "Reranker", refuse)
    again, known = ask_teacher(QUERIES, PASSAGES, negatives=2, plan=plan, execution=EXECUTION, folder=tmp_path)
    assert (again, known) == (first, 6)


def test_what_the_reranker_is_told_is_not_told_to_its_teacher() -> None:
    own = {"revision": "a" * 40, "sha256": "b" * 64, "max_tokens": 64, "prompt": "Find tables"}
    asked = teacher_settings(RerankerSettings.model_validate({"model": "ours/large", **own}), "theirs/small")
    assert asked == RerankerSettings(model="theirs/small")
