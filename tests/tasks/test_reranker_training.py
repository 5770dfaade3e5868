"""The loss by hand, the schedule, and that a run learns and survives being interrupted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from tasks.reranker_training import Progress, TrainingSettings, listwise_loss, rate_factor, score_pairs, train
from tasks.training_groups import GroupSampler, GroupSettings, MinedSource
from tasks.training_pairs import MinedQuery, Passage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models

GROUPS = GroupSettings(groups=2, near=1, far=0, anywhere=1, max_lengths=(16,), length_shares=(1.0,), seed=3)
WORDS = ("red", "blue", "green", "white", "black", "brown")


def sampler() -> GroupSampler:
    passages = [Passage(word, "", f"a {word} thing") for word in WORDS]
    queries = [
        MinedQuery(f"what is {word}", ((place, 1.0),), (((place + 1) % 6, 0.5),), -1.0)
        for place, word in enumerate(WORDS)
    ]
    return GroupSampler({"colours": MinedSource(passages, queries, 1.0)}, GROUPS)


def settings(steps: int, **changes: float) -> TrainingSettings:
    whole = {"decay_steps": 1, "warm_up_steps": 1, "threads": 1, **changes}
    return TrainingSettings.model_validate({"steps": steps, **whole})


class Interrupted(Exception):
    """What stands for the machine going down."""


def test_the_loss_mixes_the_answer_with_the_first_stages_opinion() -> None:
    # Softmax of the logits (3/4, 1/4), of the opinions (1/4, 3/4); target 0.6 on the answer and 0.4 of the opinion:
    # (0.7, 0.3), so 0.7 ln(4/3) + 0.3 ln 4.
    logits, opinions = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, math.log(3)]])
    loss = listwise_loss(logits, opinions, label_share=0.6, sharpness=1.0)
    assert loss.item() == pytest.approx(0.617266, abs=1e-6)


def test_opinions_are_sharpened_before_their_softmax() -> None:
    # Opinions (0, ln 3) twice as sharp are (1/10, 9/10); they are the whole target.
    logits, opinions = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, math.log(3)]])
    loss = listwise_loss(logits, opinions, label_share=0.0, sharpness=2.0)
    assert loss.item() == pytest.approx(0.1 * math.log(4 / 3) + 0.9 * math.log(4), abs=1e-6)


def test_the_loss_is_the_mean_over_the_groups() -> None:
    logits, opinions = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]]), torch.zeros(2, 2)
    loss = listwise_loss(logits, opinions, label_share=1.0, sharpness=1.0)
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2, abs=1e-6)


def test_the_rate_ends_one_step_above_zero() -> None:
    whole = settings(8, decay_steps=4, warm_up_steps=4)
    assert [rate_factor(step, whole) for step in range(8)] == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]


def test_training_lowers_the_loss_and_leaves_the_embeddings_alone(tmp_path: Path, models: Models) -> None:
    losses: list[float] = []
    tuned = train(
        sampler(),
        settings(40, learning_rate=3e-3, average_decay=0.0),
        base=models.embedder,
        folder=tmp_path,
        report=lambda progress: losses.append(progress.loss),
    )
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    from tasks.pretrained_reranker import base_parameters

    base = base_parameters(models.embedder)
    same = {name for name, value in base.items() if torch.equal(value, tuned[name])}
    assert same == {"bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight"}


def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path, models: Models) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = settings(6, checkpoint_seconds=1e-9)

    def stop_at_four(progress: Progress) -> None:
        if progress.step == 4:
            raise Interrupted

    expected = train(sampler(), whole, base=models.embedder, folder=tmp_path / "whole", report=lambda _: None)
    with pytest.raises(Interrupted):
        train(sampler(), whole, base=models.embedder, folder=tmp_path / "broken", report=stop_at_four)
    steps: list[Progress] = []
    found = train(sampler(), whole, base=models.embedder, folder=tmp_path / "broken", report=steps.append)
    assert [progress.step for progress in steps] == [4, 5, 6]
    assert steps[-1].pairs == 6 * 2 * 3
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)


def test_scores_come_back_in_the_order_of_the_pairs(models: Models) -> None:
    from tasks.pretrained_reranker import network_of, new_cross_encoder

    torch.manual_seed(5)
    encoder = new_cross_encoder(models.embedder, max_length=32)
    network = network_of(encoder).train(mode=False)
    queries, texts = ["red"] * 3, ["a very long text about a red thing", "blue", "two words"]
    with torch.no_grad():
        scores, tokens = score_pairs(network, encoder.tokenizer, queries, texts, max_length=32, micro_batch=2)
    alone = encoder.predict(list(zip(queries, texts, strict=True)), batch_size=1, convert_to_numpy=True)
    assert scores.tolist() == pytest.approx(alone.tolist(), abs=1e-4)
    assert tokens == (3 + 1 + 8) + (3 + 1 + 1) + (3 + 1 + 2)
