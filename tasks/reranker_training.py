"""Training a reranker: what it is asked to match, how fast it learns, and a loop that can be interrupted.

The loss is listwise. Its target mixes the answer with the first stage's opinion of the same passages: the
answers teach what the first stage gets wrong, the opinions keep the reranker from unlearning what it gets
right, also on collections that are nothing like the training data. Word and position embeddings stay as they
are, dropout is off, and the weights that come out are a running average.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.pretrained_reranker import network_of, new_cross_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from tasks.training_groups import GroupSampler

FROZEN = ("word_embeddings", "position_embeddings")
CHECKPOINT = "checkpoint.pt"


class TrainingSettings(BaseModel):
    """How a reranker learns.

    Attributes:
        steps: Updates in all.
        decay_steps: Of these, the last ones, in which the learning rate falls to 0 in a straight line.
        warm_up_steps: The first ones, in which it rises.
        learning_rate: Of AdamW between the two.
        weight_decay: Of AdamW.
        gradient_norm: Larger gradients are scaled down to it.
        label_share: Of the target, that the answer gets; the first stage's opinion gets the rest.
        opinion_sharpness: What opinions are multiplied with before their softmax.
        average_decay: Of the running average of the weights.
        micro_batch: Pairs of a forward pass, alike in length.
        seed: Of the classifier's first weights.
        checkpoint_seconds: Between two checkpoints.
        threads: CPU threads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    steps: int = Field(default=1379, ge=2)
    decay_steps: int = Field(default=395, ge=1)
    warm_up_steps: int = Field(default=80, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    gradient_norm: float = Field(default=1.0, gt=0.0)
    label_share: float = Field(default=0.7, ge=0.0, le=1.0)
    opinion_sharpness: float = Field(default=1.5, gt=0.0)
    average_decay: float = Field(default=0.997, ge=0.0, lt=1.0)
    micro_batch: int = Field(default=10, ge=1)
    seed: int = 20261122
    checkpoint_seconds: float = Field(default=600.0, gt=0.0)
    threads: int = Field(default=2, ge=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training run is: ``loss`` and ``first_share`` (groups with the answer on top) are of the last step."""

    step: int
    pairs: int
    tokens: int
    seconds: float
    loss: float
    first_share: float


def listwise_loss(logits: Tensor, opinions: Tensor, *, label_share: float, sharpness: float) -> Tensor:
    """Cross-entropy of groups against a target that mixes the answer with the first stage's opinion.

    Args:
        logits: float32 (n_groups, group_size); the first column is the answer's.
        opinions: float32 (n_groups, group_size), standardised scores of the first stage.
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


def rate_factor(step: int, settings: TrainingSettings) -> float:
    """The learning rate of a step, from 0, as a share of the highest.

    >>> settings = TrainingSettings(steps=10, decay_steps=4, warm_up_steps=2)
    >>> [rate_factor(step, settings) for step in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    rise = min(1.0, (step + 1) / settings.warm_up_steps)
    fall = min(1.0, (settings.steps - step) / settings.decay_steps)
    return rise * fall


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Numbers too small to matter are 0 meanwhile: they would slow a CPU down. The processor's state is set back."""
    import torch

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@_denormals_flushed()
def train(
    sampler: GroupSampler,
    settings: TrainingSettings,
    *,
    base: Path,
    folder: Path,
    report: Callable[[Progress], None],
) -> dict[str, Tensor]:
    """Train a reranker, going on from the checkpoint in ``folder`` if there is one.

    Args:
        sampler: Draws the groups; a checkpoint sets how far it is.
        settings: How to learn; the same as the checkpoint's.
        base: The folder of the base model.
        folder: Where checkpoints are kept; it exists.
        report: Called after each step.

    Returns:
        The averaged parameters by name, float32, frozen ones included.
    """
    import torch

    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    encoder = new_cross_encoder(base, max_length=max(sampler.settings.max_lengths))
    network, tokenizer = network_of(encoder), encoder.tokenizer
    network.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not any(part in name for part in FROZEN))
    learnt = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    parameters: list[Tensor] = list(learnt.values())
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    average = [parameter.detach().clone() for parameter in parameters]
    step = pairs = tokens = 0
    earlier = 0.0
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        average, sampler.used = state["average"], state["used"]
        step, pairs, tokens, earlier = state["step"], state["pairs"], state["tokens"], state["seconds"]
    started = saved = time.monotonic()
    while step < settings.steps:
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate_factor(step, settings)
        max_length, groups = sampler.draw(step)
        queries = [group.query for group in groups for _ in group.texts]
        texts = [text for group in groups for text in group.texts]
        logits, read = score_pairs(
            network, tokenizer, queries, texts, max_length=max_length, micro_batch=settings.micro_batch
        )
        logits = logits.view(len(groups), -1)
        loss = listwise_loss(
            logits,
            torch.tensor([group.opinions for group in groups], dtype=torch.float32),
            label_share=settings.label_share,
            sharpness=settings.opinion_sharpness,
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_norm)
        optimiser.step()
        step, pairs, tokens = step + 1, pairs + len(texts), tokens + read
        decay = min(settings.average_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - decay)
        now = time.monotonic()
        first_share = (logits.argmax(dim=1) == 0).float().mean().item()
        report(Progress(step, pairs, tokens, earlier + now - started, loss.item(), first_share))
        if now - saved > settings.checkpoint_seconds or step == settings.steps:
            temporary = checkpoint.with_suffix(".writing")
            progress = {"step": step, "pairs": pairs, "tokens": tokens, "seconds": earlier + now - started}
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
            torch.save(state | progress | {"used": sampler.used}, temporary)
            temporary.replace(checkpoint)
            saved = now
    tuned = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return tuned | dict(zip(learnt, average, strict=True))


def score_pairs(
    network: Any,  # noqa: ANN401 - transformers ships no types
    tokenizer: Any,  # noqa: ANN401
    queries: Sequence[str],
    texts: Sequence[str],
    *,
    max_length: int,
    micro_batch: int,
) -> tuple[Tensor, int]:
    """Logits of pairs, computed in batches of similar length.

    Returns:
        float32 (n_pairs,) in the order given, and the tokens that were read, padding not counted.
    """
    import torch

    encoded = tokenizer(list(queries), list(texts), truncation="only_second", max_length=max_length)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    logits: list[Tensor] = []
    for start in range(0, len(order), micro_batch):
        rows = order[start : start + micro_batch]
        batch = tokenizer.pad(
            {name: [values[row] for row in rows] for name, values in encoded.items()}, return_tensors="pt"
        )
        logits.append(network(**batch).logits[:, 0])
    places = torch.tensor(order).argsort()
    return torch.cat(logits)[places], sum(lengths)
