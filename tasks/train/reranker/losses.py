"""What a reranker is asked to match: answers, mixed with a teacher score of the same passages.

The teacher score is the first stage's, or a teacher's. Over a query's passages together, or over each for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def listwise_loss(logits: Tensor, teacher_scores: Tensor, *, label_shares: Tensor, sharpness: float) -> Tensor:
    """Cross-entropy of groups against a target that mixes the answer with a teacher score.

    Args:
        logits: float32 (n_groups, group_size); the first column is the answer's.
        teacher_scores: float32 (n_groups, group_size), standardised scores of the first stage or a teacher.
        label_shares: float32 (n_groups,), of each target that is put on the answer; the rest is spread by the teacher
            scores' softmax.
        sharpness: What teacher scores are multiplied with first.

    Returns:
        float32 (), the mean over the groups.

    >>> import torch
    >>> logits, teacher_scores = torch.tensor([[0.0, 0.0]]), torch.tensor([[-1.0, 1.0]])
    >>> loss = listwise_loss(logits, teacher_scores, label_shares=torch.tensor([0.7]), sharpness=1.0)
    >>> round(loss.item(), 4)  # ln 2, whatever the target
    0.6931
    """
    import torch

    target = (1 - label_shares[:, None]) * torch.softmax(sharpness * teacher_scores, dim=1)
    target[:, 0] += label_shares
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()


def residual_loss(logits: Tensor, teacher_scores: Tensor, *, sharpness: float) -> Tensor:
    """Cross-entropy of groups against the answer, where logits are added to the teacher's: what these leave to learn.

    A final order adds the reranker's scores to the first stage's. Where the teacher alone puts the answer on top there
    is little to gain; what it gets wrong decides (a product of experts, Hinton 2002, of which one stays as it is).

    Args:
        logits: float32 (n_groups, group_size); the first column is the answer's.
        teacher_scores: float32 (n_groups, group_size).
        sharpness: What teacher scores are multiplied with first.

    Returns:
        float32 (), the mean over the groups.

    >>> import torch
    >>> teacher_scores = torch.tensor([[0.0, 1.0]])
    >>> round(residual_loss(torch.tensor([[0.0, 0.0]]), teacher_scores, sharpness=2.0).item(), 4)
    2.1269
    >>> round(residual_loss(torch.tensor([[2.0, 0.0]]), teacher_scores, sharpness=2.0).item(), 4)  # made up for: ln 2
    0.6931
    """
    import torch

    return -torch.log_softmax(logits + sharpness * teacher_scores, dim=1)[:, 0].mean()


def pointwise_loss(logits: Tensor, teacher_scores: Tensor, *, label_shares: Tensor, sharpness: float) -> Tensor:
    """Binary cross-entropy of each passage against a target that mixes "is it the answer" with a teacher score.

    Args:
        logits: float32 (n_groups, group_size); the first column is the answer's.
        teacher_scores: float32 (n_groups, group_size), standardised scores of the first stage or a teacher.
        label_shares: float32 (n_groups,), of each target that the answer decides; the rest is the teacher scores'
            logistic function.
        sharpness: What teacher scores are multiplied with first.

    Returns:
        float32 (), the mean over all passages.

    >>> import torch
    >>> logits, teacher_scores = torch.tensor([[0.0, 0.0]]), torch.tensor([[-1.0, 1.0]])
    >>> loss = pointwise_loss(logits, teacher_scores, label_shares=torch.tensor([0.7]), sharpness=1.0)
    >>> round(loss.item(), 4)  # ln 2, whatever the target
    0.6931
    """
    import torch

    target = (1 - label_shares[:, None]) * torch.sigmoid(sharpness * teacher_scores)
    target[:, 0] += label_shares
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
