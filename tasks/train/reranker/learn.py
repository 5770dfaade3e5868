"""Training a reranker: what it is asked to match, how fast it learns, and a loop that can be interrupted.

The target of a query's passages mixes its answer with a teacher's scores of the same passages: the first stage's, so
that it does not unlearn what that gets right, also on collections that are nothing like the training data; or another
reranker's, which then is its teacher. Dropout is off, word and position embeddings stay as they are, and the weights
that come out are a running average.

One loop serves the packaged reranker and those that users train, and a run that is stopped goes on with exactly the
passages that it would have seen.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from nightrank.storage.files.atomic import replacing
from nightrank.tasks.models.curve import LOSSES
from nightrank.tasks.models.packed.probes import prompt_of
from nightrank.tasks.rerank.packaged import network_of
from nightrank.tasks.train.reranker.losses import listwise_loss, pointwise_loss, residual_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sentence_transformers import CrossEncoder
    from torch import Tensor

    from nightrank.tasks.train.reranker.forward import PairForward
    from nightrank.tasks.train.reranker.groups import Group, GroupSampler

FROZEN = ("word_embeddings", "position_embeddings", "tok_embeddings")
CHECKPOINT = "checkpoint.pt"


class LearningSettings(BaseModel):
    """How a reranker learns.

    Attributes:
        loss: ``listwise``: cross-entropy over a query's passages; ``bce``: each passage for itself, yes or no.
        steps: Updates in all.
        decay_steps: Of these, the last ones, in which the learning rate falls to 0 in a straight line.
        warm_up_steps: The first ones, in which it rises.
        learning_rate: Of AdamW between the two.
        weight_decay: Of AdamW.
        squares_decay: Of AdamW's running mean of squared gradients (beta 2); lower follows a long run's changes sooner.
        gradient_norm: Larger gradients are scaled down to it.
        label_share: Of the target, that the answer gets, where its source says nothing else; the teacher score gets the
            rest.
        teacher_sharpness: What teacher scores are multiplied with before they are made shares.
        residual_share: Of the loss, that of the answer's place once scores are added to the teacher's; the rest is that
            of the scores alone. With it a reranker learns what the first stage lacks.
        average_decay: Of the running average of the weights.
        validate_every: Updates between two looks at held-out queries; 0 for none.
        patience: Looks in a row without a gain after which training ends; the best average is taken.
        seed: Of the classifier's first weights, where the model has none.
        checkpoint_seconds: Between two checkpoints; each look leaves one as well.
        threads: CPU threads; None: torch's own choice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    loss: Literal["listwise", "bce"] = "listwise"
    steps: int = Field(default=400, ge=2)
    decay_steps: int = Field(default=300, ge=1)
    warm_up_steps: int = Field(default=40, ge=1)
    learning_rate: float = Field(default=6e-5, gt=0.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    squares_decay: float = Field(default=0.999, ge=0.0, lt=1.0)
    gradient_norm: float = Field(default=1.0, gt=0.0)
    label_share: float = Field(default=0.65, ge=0.0, le=1.0)
    teacher_sharpness: float = Field(default=1.5, gt=0.0)
    residual_share: float = Field(default=0.0, ge=0.0, le=1.0)
    average_decay: float = Field(default=0.99, ge=0.0, lt=1.0)
    validate_every: int = Field(default=0, ge=0)
    patience: int = Field(default=3, ge=1)
    seed: int = 20261122
    checkpoint_seconds: float = Field(default=300.0, gt=0.0)
    threads: int | None = Field(default=None, ge=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training run is: ``loss`` and ``first_share`` (groups with the answer on top) are of the last step."""

    step: int
    pairs: int
    tokens: int
    seconds: float
    loss: float
    first_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What a training made.

    Attributes:
        parameters: By name, float32, frozen ones included: the averaged ones of the best look, or of the last step.
        losses: Schema LOSSES, a row a step.
        steps: That were done.
        best_step: After which ``parameters`` were taken.
        pairs: That were read.
        tokens: Likewise, padding not counted.
        seconds: Those of stopped runs included.
    """

    parameters: dict[str, Tensor]
    losses: pa.Table
    steps: int
    best_step: int
    pairs: int
    tokens: int
    seconds: float


def rate_factor(step: int, settings: LearningSettings) -> float:
    """The learning rate of a step, from 0, as a share of the highest.

    >>> settings = LearningSettings(steps=10, decay_steps=4, warm_up_steps=2)
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
    encoder: CrossEncoder,
    sampler: GroupSampler,
    settings: LearningSettings,
    *,
    folder: Path,
    report: Callable[[Progress], None],
    validate: Callable[[], float] | None = None,
) -> Learnt:
    """Train a reranker, going on from the checkpoint in ``folder`` if there is one.

    Args:
        encoder: What is trained, where it is to run, giving raw logits, and what it is told with each pair; its
            weights change.
        sampler: Draws the groups; a checkpoint sets how far it is.
        settings: How to learn; the same as the checkpoint's, though more steps may be asked for than were.
        folder: Where checkpoints are kept; it exists.
        report: Called after each step.
        validate: What ``encoder`` is worth on held-out queries as it stands, higher is better; called with the averaged
            weights in place.

    Returns:
        What came out.
    """
    import torch

    from nightrank.tasks.train.reranker.forward import PairForward

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    network = network_of(encoder)
    network.train(mode=False)  # no dropout, whatever the model's configuration says
    forward = PairForward(network, encoder.tokenizer, prompt=prompt_of(encoder))
    state = _State.fresh(network, settings)
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        state.load(checkpoint)
        sampler.used = state.used
    started = saved = time.monotonic()
    earlier = state.seconds
    while state.step < settings.steps and state.looks_without_gain < settings.patience:
        rate = settings.learning_rate * rate_factor(state.step, settings)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        groups = sampler.draw(state.step)
        loss, logits, read = _loss(forward, groups, settings)
        state.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(state.parameters, settings.gradient_norm)
        state.optimiser.step()
        state.step, state.pairs, state.tokens = state.step + 1, state.pairs + logits.numel(), state.tokens + read
        decay = min(settings.average_decay, (1 + state.step) / (10 + state.step))
        with torch.no_grad():
            torch._foreach_lerp_(state.average, state.parameters, 1 - decay)
        held_out = None
        if validate is not None and settings.validate_every and state.step % settings.validate_every == 0:
            with state.averaged():
                held_out = validate()
            state.look(held_out)
        state.history.append((state.step, loss.item(), rate, held_out))
        now = time.monotonic()
        state.seconds = earlier + now - started
        first_share = (logits.argmax(dim=1) == 0).float().mean().item()
        report(Progress(state.step, state.pairs, state.tokens, state.seconds, loss.item(), first_share))
        is_over = state.step == settings.steps or state.looks_without_gain == settings.patience
        if now - saved > settings.checkpoint_seconds or held_out is not None or is_over:
            state.used = sampler.used
            state.save(checkpoint)
            saved = now
    return state.outcome()


def _loss(forward: PairForward, groups: Sequence[Group], settings: LearningSettings) -> tuple[Tensor, Tensor, int]:
    """The loss of some groups, their logits, float32 (n_groups, group_size), and the tokens that were read."""
    import torch

    queries = [group.query for group in groups for _ in group.texts]
    texts = [text for group in groups for text in group.texts]
    max_lengths = [group.max_length for group in groups for _ in group.texts]
    flat, read = forward(queries, texts, max_lengths=max_lengths)
    logits = flat.view(len(groups), -1)
    shares = [settings.label_share if group.label_share is None else group.label_share for group in groups]
    teacher = torch.tensor([group.teacher_scores for group in groups], dtype=torch.float32, device=logits.device)
    loss_of = listwise_loss if settings.loss == "listwise" else pointwise_loss
    loss = loss_of(
        logits,
        teacher,
        label_shares=torch.tensor(shares, dtype=torch.float32, device=logits.device),
        sharpness=settings.teacher_sharpness,
    )
    if settings.residual_share:
        residual = residual_loss(logits, teacher, sharpness=settings.teacher_sharpness)
        loss = torch.lerp(loss, residual, settings.residual_share)
    return loss, logits, read


class _State:
    """Everything of a training that a checkpoint holds."""

    def __init__(self, network: Any, optimiser: Any, names: list[str], parameters: list[Tensor]) -> None:  # noqa: ANN401 - untyped
        self.network, self.optimiser, self.names, self.parameters = network, optimiser, names, parameters
        self.average = [parameter.detach().clone() for parameter in parameters]
        self.best: list[Tensor] | None = None
        self.best_value, self.best_step, self.looks_without_gain = float("-inf"), 0, 0
        self.step = self.pairs = self.tokens = 0
        self.seconds = 0.0
        self.used: dict[str, int] = {}
        self.history: list[tuple[int, float, float, float | None]] = []

    @classmethod
    def fresh(cls, network: Any, settings: LearningSettings) -> _State:  # noqa: ANN401 - untyped
        import torch

        for name, parameter in network.named_parameters():
            parameter.requires_grad_(not any(part in name for part in FROZEN))
        learnt = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        parameters: list[Tensor] = list(learnt.values())
        optimiser = torch.optim.AdamW(
            parameters,
            lr=settings.learning_rate,
            betas=(0.9, settings.squares_decay),
            weight_decay=settings.weight_decay,
            fused=True,
        )
        return cls(network, optimiser, list(learnt), parameters)

    def look(self, value: float) -> None:
        """Keep the averaged weights if they are the best yet."""
        if value > self.best_value:
            self.best = [tensor.clone() for tensor in self.average]
            self.best_value, self.best_step, self.looks_without_gain = value, self.step, 0
        else:
            self.looks_without_gain += 1

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights in the network's place."""
        import torch

        current = [parameter.detach().clone() for parameter in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
            try:
                yield
            finally:
                torch._foreach_copy_(self.parameters, current)

    _PLAIN = ("step", "pairs", "tokens", "seconds", "used", "history", "best_value", "best_step", "looks_without_gain")

    def save(self, path: Path) -> None:
        """Write the checkpoint in place of an older one, at once."""
        import torch

        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        state |= {"average": self.average, "best": self.best}
        state |= {name: getattr(self, name) for name in self._PLAIN}
        with replacing(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        import torch

        state = torch.load(path, map_location=self.network.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.best = state["average"], state["best"]
        for name in self._PLAIN:
            setattr(self, name, state[name])

    def outcome(self) -> Learnt:
        """What came out."""
        whole = {name: value.detach().clone().float().cpu() for name, value in self.network.state_dict().items()}
        taken = self.average if self.best is None else self.best
        whole |= {name: tensor.float().cpu() for name, tensor in zip(self.names, taken, strict=True)}
        rows = [dict(zip(LOSSES.names, row, strict=True)) for row in self.history]
        best_step = self.step if self.best is None else self.best_step
        losses = pa.Table.from_pylist(rows, schema=LOSSES)
        return Learnt(whole, losses, self.step, best_step, self.pairs, self.tokens, self.seconds)
