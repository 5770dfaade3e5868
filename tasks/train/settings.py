"""What a training is asked for: which pairs, how they are split and mined, how a model learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Origin: TypeAlias = Literal["pairs", "judgments", "clicks", "documents"]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PairSettings(_Asked):
    """Which pairs of a query and a passage are learnt from.

    Attributes:
        pairs: JSONL of ``query``, ``title``, ``text``, ``document_id``.
        qrels: Judgments to learn from, BEIR TSV or TREC.
        queries: The texts of judged queries; None: the query log.
        origin: Where pairs come from; ``auto`` takes the file of pairs or the judgments that are given here, else the
            log's clicks, else the judgments of the settings, else the titles of the documents.
        max_pairs: Queries beyond so many are left out, drawn at random.
        held_out_share: Of the queries, that are kept to measure on, with all their documents. A third of these is
            looked at in training, to take the best model; the others are measured on once.
        held_out_queries: At most so many of them.
        negatives_kept: Passages a query that are near its answers and none of them, at most.
        evaluated_passages: The held-out queries are measured over so many passages of the collection at most.
        seed: Decides what is drawn and held out.
    """

    pairs: Path | None = None
    qrels: Path | None = None
    queries: Path | None = None
    origin: Literal["auto", "clicks", "judgments", "documents"] = "auto"
    max_pairs: int = Field(default=50_000, ge=1)
    held_out_share: float = Field(default=0.1, gt=0.0, le=0.5)
    held_out_queries: int = Field(default=500, ge=1)
    negatives_kept: int = Field(default=30, ge=0)
    evaluated_passages: int = Field(default=10_000, ge=10)
    seed: int = Field(default=0, ge=0)


class EmbedderTraining(_Asked):
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
        watched_queries: Held-out queries of these evaluations at most.
        watched_passages: Passages of these evaluations at most.
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
    watched_queries: int = Field(default=200, ge=1)
    watched_passages: int = Field(default=1000, ge=10)
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
