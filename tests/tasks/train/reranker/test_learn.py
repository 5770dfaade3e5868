"""The schedule, and that a run learns, stops early and survives being interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from nightrank.tasks.rerank.packaged import base_parameters, network_of
from nightrank.tasks.train.reranker.base import load_base
from nightrank.tasks.train.reranker.groups import GroupSampler, GroupSettings, MinedSource
from nightrank.tasks.train.reranker.learn import (
    LearningSettings,
    Progress,
    rate_factor,
    train,
)
from nightrank.tasks.train.sources import MinedQuery, Passage

if TYPE_CHECKING:
    from pathlib import Path

    from sentence_transformers import CrossEncoder

    from tests.conftest import Models

GROUPS = GroupSettings(
    groups=2, near=1, far=0, anywhere=1, keyword_share=0.0, max_lengths=(16,), length_shares=(1.0,), seed=3
)
WORDS = ("red", "blue", "green", "white", "black", "brown")


def sampler(*, before: str = "") -> GroupSampler:
    passages = [Passage(word, "", f"a {word} thing") for word in WORDS]
    queries = [
        MinedQuery(f"{before}what is {word}", ((place, 1.0),), (((place + 1) % 6, 0.5),), -1.0)
        for place, word in enumerate(WORDS)
    ]
    return GroupSampler({"colours": MinedSource(passages, queries, 1.0)}, GROUPS)


def settings(steps: int, **changes: float | str) -> LearningSettings:
    whole = {"decay_steps": 1, "warm_up_steps": 1, "threads": 1, **changes}
    return LearningSettings.model_validate({"steps": steps, **whole})


def encoder(models: Models) -> CrossEncoder:
    return load_base(models.embedder, max_length=16, device="cpu", seed=1)


def nothing(_progress: Progress) -> None:
    """A report that nobody reads."""


class Interrupted(Exception):
    """What stands for the machine going down."""


def test_the_rate_ends_one_step_above_zero() -> None:
    whole = settings(8, decay_steps=4, warm_up_steps=4)
    assert [rate_factor(step, whole) for step in range(8)] == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("loss", ["listwise", "bce"])
def test_training_lowers_the_loss_and_leaves_the_embeddings_alone(tmp_path: Path, models: Models, loss: str) -> None:
    learning = settings(40, learning_rate=3e-3, average_decay=0.0, loss=loss)
    learnt = train(encoder(models), sampler(), learning, folder=tmp_path, report=nothing)
    losses = learnt.losses.column("loss").to_pylist()
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    base = base_parameters(models.embedder)
    same = {name for name, value in base.items() if torch.equal(value, learnt.parameters[name])}
    assert same == {"bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight"}


def test_a_residual_share_teaches_what_the_teacher_gets_wrong(tmp_path: Path, models: Models) -> None:
    def first_loss(residual_share: float, floor: float) -> float:
        """The loss of one step, the teacher holding negatives as high as the answer, or far below."""
        passages = [Passage(word, "", f"a {word} thing") for word in WORDS]
        queries = [
            MinedQuery(f"what is {word}", ((place, 1.0),), (((place + 1) % 6, floor),), floor)
            for place, word in enumerate(WORDS)
        ]
        drawn = GroupSampler({"colours": MinedSource(passages, queries, 1.0)}, GROUPS)
        learning = settings(2, learning_rate=1e-3, residual_share=residual_share, label_share=1.0, teacher_sharpness=9)
        losses = train(encoder(models), drawn, learning, folder=tmp_path, report=nothing).losses
        (tmp_path / "checkpoint.pt").unlink()
        return float(losses.column("loss")[0].as_py())

    plain = first_loss(0.0, 1.0)
    assert first_loss(0.0, -1.0) == pytest.approx(plain)  # the labels alone decide
    assert first_loss(1.0, 1.0) == pytest.approx(plain, abs=1e-5)  # the teacher tells nothing
    assert first_loss(1.0, -1.0) < 1e-3  # it has said all
    assert first_loss(0.5, -1.0) == pytest.approx(plain / 2, abs=1e-3)


def test_a_model_learns_with_what_it_is_told_with_each_pair(tmp_path: Path, models: Models) -> None:
    losses = []
    for prompt, before in (("name a colour ", ""), (None, "name a colour "), (None, "")):
        folder = tmp_path / f"{prompt}{before}"
        folder.mkdir()
        model = load_base(models.embedder, max_length=16, device="cpu", seed=1, prompt=prompt)
        learnt = train(model, sampler(before=before), settings(4), folder=folder, report=nothing)
        losses.append(learnt.losses.column("loss").to_pylist())
    assert losses[0] == losses[1] != losses[2]


def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path, models: Models) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = settings(6, checkpoint_seconds=1e-9, validate_every=2, patience=9)
    looks = iter([1.0, 3.0, 2.0])

    def stop_at_five(progress: Progress) -> None:
        if progress.step == 5:
            raise Interrupted

    expected = train(
        encoder(models), sampler(), whole, folder=tmp_path / "whole", report=nothing, validate=lambda: next(looks)
    )
    looks = iter([1.0, 3.0, 2.0])
    broken = tmp_path / "broken"
    with pytest.raises(Interrupted):
        train(encoder(models), sampler(), whole, folder=broken, report=stop_at_five, validate=lambda: next(looks))
    steps: list[Progress] = []
    found = train(encoder(models), sampler(), whole, folder=broken, report=steps.append, validate=lambda: next(looks))
    assert [progress.step for progress in steps] == [5, 6]
    assert steps[-1].pairs == 6 * 2 * 3
    assert (found.best_step, expected.best_step) == (4, 4)
    assert found.losses.column("held_out").to_pylist() == [None, 1.0, None, 3.0, None, 2.0]
    for name, value in expected.parameters.items():
        torch.testing.assert_close(found.parameters[name], value, rtol=1e-5, atol=1e-7)


def test_training_ends_when_looks_bring_no_gain_and_the_best_weights_come_out(tmp_path: Path, models: Models) -> None:
    values = iter([0.2, 0.5, 0.4, 0.5])
    model = encoder(models)
    seen: list[torch.Tensor] = []

    def validate() -> float:
        seen.append(network_of(model).get_parameter("classifier.weight").detach().clone())
        return next(values)

    learning = settings(50, validate_every=3, patience=2, learning_rate=1e-2)
    learnt = train(model, sampler(), learning, folder=tmp_path, report=nothing, validate=validate)
    assert (learnt.steps, learnt.best_step) == (12, 6)
    torch.testing.assert_close(learnt.parameters["classifier.weight"], seen[1])
    assert not torch.equal(seen[1], seen[3])
