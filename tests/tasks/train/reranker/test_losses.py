"""Both losses by hand."""

from __future__ import annotations

import math

import pytest
import torch

from nightrank.tasks.train.reranker.losses import listwise_loss, pointwise_loss


def test_the_loss_mixes_the_answer_with_the_teacher() -> None:
    # Softmax of the logits (3/4, 1/4), of the teacher scores (1/4, 3/4); target 0.6 on the answer and 0.4 of the
    # teacher: (0.7, 0.3), so 0.7 ln(4/3) + 0.3 ln 4.
    logits, teacher_scores = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, math.log(3)]])
    loss = listwise_loss(logits, teacher_scores, label_shares=torch.tensor([0.6]), sharpness=1.0)
    assert loss.item() == pytest.approx(0.617266, abs=1e-6)


def test_opinions_are_sharpened_before_their_softmax() -> None:
    # Teacher scores (0, ln 3) twice as sharp are (1/10, 9/10); they are the whole target.
    logits, teacher_scores = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, math.log(3)]])
    loss = listwise_loss(logits, teacher_scores, label_shares=torch.tensor([0.0]), sharpness=2.0)
    assert loss.item() == pytest.approx(0.1 * math.log(4 / 3) + 0.9 * math.log(4), abs=1e-6)


def test_the_loss_is_the_mean_over_the_groups() -> None:
    logits, teacher_scores = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]]), torch.zeros(2, 2)
    loss = listwise_loss(logits, teacher_scores, label_shares=torch.tensor([1.0]), sharpness=1.0)
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2, abs=1e-6)


def test_the_pointwise_loss_judges_each_passage_for_itself() -> None:
    # Logistic of the logits 3/4 and 1/2, of twice the teacher scores 1/2 and 3/4. Targets: 0.6 + 0.4 / 2 and 0.4 * 3/4,
    # so the mean of -(0.8 ln(3/4) + 0.2 ln(1/4)) and ln 2, whatever its target.
    logits, teacher_scores = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, math.log(3) / 2]])
    loss = pointwise_loss(logits, teacher_scores, label_shares=torch.tensor([0.6]), sharpness=2.0)
    expected = (0.8 * math.log(4 / 3) + 0.2 * math.log(4) + math.log(2)) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-6)
