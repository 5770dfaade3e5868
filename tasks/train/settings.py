"""What a training is asked for: which pairs, how they are split and mined, how a model learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingOptions(BaseModel):
    """What the options of both trainings have in common: they are frozen, and an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PairSettings(TrainingOptions):
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
