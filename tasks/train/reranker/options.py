"""What a user asks of a reranker's training, and what follows from it for the draw of groups and the learning."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import LearningSettings

WARM_UP_SHARE, DECAY_SHARE = 0.1, 0.75


class RerankerTraining(BaseModel):
    """How a reranker learns from a collection's own pairs.

    Attributes:
        base: The model to start from: a folder, a hub id, a packaged name, ``embedder`` for the embedder's weights with
            a fresh head; None: the present reranker, the packaged one where there is none.
        epochs: Passes over the queries, at most.
        steps: Updates, at most.
        queries: Queries an update.
        negatives: Passages a query that do not answer it.
        loss: ``listwise`` or ``bce``.
        teacher: A reranker whose scores are learnt beside the answers, in place of the first stage's.
        label_share: Of what is learnt, that the answers decide.
        learning_rate: The highest, after a rise over the first tenth of the updates; it falls to 0 over the last three
            quarters.
        max_tokens: Of a pair, in training and in use; what is longer is cut.
        evaluations: How often held-out queries are looked at.
        patience: Looks in a row without a gain after which training ends; the best is taken.
        validation_queries: Held-out queries of these looks at most.
        validation_depth: Candidates of each that are scored.
        test_queries: Held-out queries of the figures before and after at most.
        test_depth: Candidates of each that are scored; no more than a release reranks.
        weight: Of the reranker against the first stage; None: that of the settings, else the best one for the held-out
            queries.
        seed: Decides what is drawn, and a fresh head.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    base: str | None = None
    epochs: float = Field(default=3.0, gt=0.0, le=1000.0)
    steps: int = Field(default=400, ge=2)
    queries: int = Field(default=4, ge=1, le=4096)
    negatives: int = Field(default=7, ge=1, le=64)
    loss: Literal["listwise", "bce"] = "listwise"
    teacher: str | None = None
    label_share: float = Field(default=0.8, ge=0.0, le=1.0)
    learning_rate: float = Field(default=6e-5, gt=0.0, le=1.0)
    max_tokens: int = Field(default=192, ge=16, le=8192)
    evaluations: int = Field(default=5, ge=1, le=1000)
    patience: int = Field(default=3, ge=1)
    validation_queries: int = Field(default=80, ge=1)
    validation_depth: int = Field(default=15, ge=2)
    test_queries: int = Field(default=150, ge=2)
    test_depth: int = Field(default=40, ge=2)
    weight: float | None = Field(default=None, ge=0.0, le=1.0)
    seed: int = Field(default=0, ge=0)

    def planned(self, queries: int) -> int:
        """Updates over so many queries; the held-out ones are looked at after the last one, and evenly before.

        >>> RerankerTraining(steps=400, queries=4, epochs=3.0, evaluations=5).planned(200)
        150
        """
        steps = max(2, min(self.steps, int(self.epochs * queries / self.queries)))
        return max(2, steps - steps % self.every(steps))

    def every(self, steps: int) -> int:
        """After how many updates the held-out queries are looked at."""
        return max(1, steps // self.evaluations)

    def learning(self, queries: int, *, threads: int | None) -> LearningSettings:
        """How the loop learns from so many queries."""
        steps = self.planned(queries)
        return LearningSettings(
            loss=self.loss,
            steps=steps,
            decay_steps=max(1, round(DECAY_SHARE * steps)),
            warm_up_steps=max(1, round(WARM_UP_SHARE * steps)),
            learning_rate=self.learning_rate,
            label_share=self.label_share,
            validate_every=self.every(steps),
            patience=self.patience,
            seed=self.seed,
            threads=threads,
        )

    @property
    def groups(self) -> GroupSettings:
        """How the groups of an update are drawn: most negatives from the best candidates, some from further down."""
        far = self.negatives // 4
        near = self.negatives - far
        return GroupSettings(
            groups=self.queries,
            near=near,
            far=far,
            anywhere=0,
            near_depth=2 * near,
            untitled_share=0.0,
            keyword_share=0.0,
            max_lengths=(self.max_tokens,),
            length_shares=(1.0,),
            seed=self.seed,
        )

    @property
    def negatives_needed(self) -> int:
        """Negatives of a query, best first, that draws come from."""
        return self.groups.near_depth + 4 * self.groups.far
