"""What a reranker is asked to match: answers, mixed with an opinion of the same passages.

The opinion is the first stage's, or a teacher's. Over a query's passages together, or over each for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def listwise_loss(logits: Tensor, opinions: Tensor, *, label_share: float, sharpness: float) -> Tensor:
    """Cross-entropy of groups against a target that mixes the answer with an opinion.

    Args:
        logits: float32 (n_groups, group_size); the first column is the answer's.
        opinions: float32 (n_groups, group_size), standardised scores of the first stage or a teacher.
        label_share: Of the target that is put on the answer; the rest is spread by the opinions' softmax.
        sharpness: What opinions are multiplied with first.

    Returns:
        float32 (), the mean over the groups.

    >>> import torch
    >>> logits, opinions = torch.tensor([[0.0, 0.0]]), torch.tensor([[-1.0, 1.0]])
    >>> round(listwise_loss(logits, opinions, label_share=0.7, sharpness=1.0).item(), 4)  # ln 2, whatever the target
    0.6931
    """
    import torch

    target = (1 - label_share) * torch.softmax(sharpness * opinions, dim=1)
    target[:, 0] += label_share
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()


def pointwise_loss(logits: Tensor, opinions: Tensor, *, label_share: float, sharpness: float) -> Tensor:
    """Binary cross-entropy of each passage against a target that mixes "is it the answer" with an opinion.

    Args:
        logits: float32 (n_groups, group_size); the first column is the answer's.
        opinions: float32 (n_groups, group_size), standardised scores of the first stage or a teacher.
        label_share: Of the target that the answer decides; the rest is the opinions' logistic function.
        sharpness: What opinions are multiplied with first.

    Returns:
        float32 (), the mean over all passages.

    >>> import torch
    >>> logits, opinions = torch.tensor([[0.0, 0.0]]), torch.tensor([[-1.0, 1.0]])
    >>> round(pointwise_loss(logits, opinions, label_share=0.7, sharpness=1.0).item(), 4)  # ln 2, whatever the target
    0.6931
    """
    import torch

    target = (1 - label_share) * torch.sigmoid(sharpness * opinions)
    target[:, 0] += label_share
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
