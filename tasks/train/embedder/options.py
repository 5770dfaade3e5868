"""What a training of the embedder can be told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightrank.tasks.train.settings import TrainingOptions


class EmbedderTraining(TrainingOptions):
    """How a dual encoder learns.

    Attributes:
        base: The model to start from, as in ``[embedder].model``; None: the present one.
        epochs: Passes over the pairs, also parts of one.
        steps: Updates; None: as many as the passes take.
        batch: Pairs an update; the passages of the others are each query's negatives.
        mini_batch: Pairs that go through the model at one time; a larger batch is learnt from in parts, at the cost of
            a second pass, with the same outcome.
        negatives: Mined negatives a pair.
        learning_rate: The highest, after a rise over the first tenth of the updates; it then falls to 0.
        weight_decay: Of AdamW.
        scale: What cosines are multiplied with before the softmax.
        max_tokens: Longer queries and passages are cut in training; the model itself keeps its own limit.
        base_share: Of the outcome's weights, that the model it started from keeps: what is learnt of one collection
            costs less elsewhere (Xiao et al. 2023, "LM-Cocktail: Resilient Tuning of Language Models via Model
            Merging"). Evaluations on the way do not see it.
        evaluations: How often the held-out queries are looked at, and a checkpoint is kept.
        patience: Evaluations in a row without a gain after which training ends; the best checkpoint is taken.
        validation_queries: Held-out queries of these evaluations at most.
        validation_passages: Passages of these evaluations at most.
        seed: Decides the order of the pairs, and dropout.
    """

    base: str | None = None
    epochs: float = Field(default=1.0, gt=0.0, le=1000.0)
    steps: int | None = Field(default=None, ge=1)
    batch: int = Field(default=32, ge=2, le=65_536)
    mini_batch: int = Field(default=64, ge=1, le=65_536)
    negatives: int = Field(default=1, ge=0, le=16)
    learning_rate: float = Field(default=5e-5, gt=0.0, le=1.0)
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0)
    scale: float = Field(default=20.0, gt=0.0, le=1000.0)
    max_tokens: Annotated[int, Field(ge=8, le=8192)] | None = 192
    base_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    evaluations: int = Field(default=6, ge=1, le=1000)
    patience: int = Field(default=3, ge=1)
    validation_queries: int = Field(default=200, ge=1)
    validation_passages: int = Field(default=1000, ge=10)
    seed: int = Field(default=0, ge=0)

    def planned(self, rows: int) -> int:
        """Updates over so many pairs; the held-out queries are looked at after the last one, and evenly before.

        >>> EmbedderTraining(batch=32, epochs=1.0, evaluations=8).planned(3300)
        96
        """
        steps = self.steps or max(1, int(self.epochs * rows / min(self.batch, rows)))
        return steps - steps % self.every(steps)

    def every(self, steps: int) -> int:
        """After how many updates the held-out queries are looked at."""
        return max(1, steps // self.evaluations)
