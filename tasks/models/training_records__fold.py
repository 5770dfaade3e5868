"""What the first stages of a training did, as small records that later stages and the model's card read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from nightrank.tasks.train.settings import Origin


class PairsGathered(BaseModel):
    """Which pairs there are.

    Attributes:
        origin: Where they come from.
        release_id: The release that is mined.
        queries: Distinct ones.
        queries_left_out: Beyond the most that are wanted.
        pairs: Of a query and a document.
        judged: Whether they come from the judgments that releases are measured on.
        filtered: Pairs that were left out because their queries have a filter.
    """

    model_config = ConfigDict(frozen=True)

    origin: Origin
    release_id: str
    queries: int
    queries_left_out: int
    pairs: int
    judged: bool
    filtered: int = 0


class PairsMined(BaseModel):
    """What is learnt from, and what is measured on.

    Attributes:
        queries: To learn from.
        queries_without_passage: Whose documents the release does not hold.
        queries_between: Some of whose documents are held out, and some are not.
        held_out_queries: To measure on.
        held_out_documents: Of these queries.
        pairs: Of a query and a passage, to learn from.
        negatives: Mined ones of all queries.
        refused: Candidates that were no negatives, by reason.
        passages: Distinct ones of the training.
        evaluated_passages: Those that held-out queries are measured over.
        whole_collection: Whether these are all there are.
    """

    model_config = ConfigDict(frozen=True)

    queries: int
    queries_without_passage: int
    queries_between: int
    held_out_queries: int
    held_out_documents: int
    pairs: int
    negatives: int
    refused: dict[str, int]
    passages: int
    evaluated_passages: int
    whole_collection: bool
