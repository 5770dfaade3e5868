"""What a release keeps of its evaluation: the schemas of its files, one row a fact, so that any tool can read them."""

from __future__ import annotations

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from nightrank.storage.legs import LEGS

# evaluation.parquet: what each stage is worth on each judged query.
# previous.parquet: what it was worth in the release that was live, measured again by the same judgments.
EVALUATION = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("measure", pa.string(), nullable=False),  # as ir_measures writes it
        pa.field("value", pa.float64(), nullable=False),
    ]
)

# known_items.parquet: the masked copies of what titles, headings and sentences ask for; known_evaluation.parquet, of
# schema EVALUATION, has their items as query ids.
KNOWN_ITEMS = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # title, heading or sentence
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # the query
        pa.field("document_id", pa.string(), nullable=False),  # that it asks for
        pa.field("chunk_hash", pa.string(), nullable=False),  # of the copy
        pa.field("dense_score", pa.float32()),  # of the copy for the query; null where the leg is off
        pa.field("sparse_score", pa.float32()),
    ]
)

# depths.parquet: what the weighted ranking is worth where only the first `depth` candidates are reranked.
DEPTHS = pa.schema(
    [
        pa.field("depth", pa.int32(), nullable=False),
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("measure", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)

# diagnosis.parquet: where each relevant document went. Ranks count documents, from 1; null where it was not found.
DIAGNOSIS = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("grade", pa.int32(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # one of nightrank.tasks.evaluate.diagnosis.OUTCOMES
        *(pa.field(f"{leg}_rank", pa.int32()) for leg in LEGS),
        pa.field("fused_rank", pa.int32()),
        pa.field("reranked_rank", pa.int32()),
        pa.field("result_rank", pa.int32()),
    ]
)

# comparison.parquet: this release against the one that was live, stage by stage, on the same judgments.
# diversity.parquet: diverse results (after) against those that the final order gives (before), where there are such.
# single_stages.parquet: each single stage (after) against the final order (before), by the measure of the gates.
COMPARISON = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("measure", pa.string(), nullable=False),
        pa.field("queries", pa.int32(), nullable=False),
        pa.field("before", pa.float64(), nullable=False),  # mean
        pa.field("after", pa.float64(), nullable=False),  # mean
        pa.field("difference", pa.float64(), nullable=False),  # after - before
        pa.field("low", pa.float64(), nullable=False),  # of the bootstrap interval of the difference
        pa.field("high", pa.float64(), nullable=False),
        pa.field("p_value", pa.float64(), nullable=False),  # paired randomisation test, two-sided
        pa.field("p_holm", pa.float64(), nullable=False),  # with Holm's correction over the table
        pa.field("wins", pa.int32(), nullable=False),
        pa.field("ties", pa.int32(), nullable=False),
        pa.field("losses", pa.int32(), nullable=False),
    ]
)

# coverage.parquet: how much of a later day's traffic a budget answers, for how much work.
COVERAGE = pa.schema(
    [
        pa.field("strategy", pa.string(), nullable=False),  # "chosen" or "frequency"
        pa.field("queries", pa.int64(), nullable=False),  # the budget
        pa.field("pairs", pa.int64(), nullable=False),  # new ones to score, at most
        pa.field("share", pa.float64(), nullable=False),  # of the held-out traffic
    ]
)

# gaps.parquet: queries that nothing answered well, those most in demand first.
GAPS = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),  # normalised
        pa.field("filter", pa.string()),  # its filter's canonical text; null without one
        pa.field("count", pa.int64(), nullable=False),  # searches
        pa.field("reasons", pa.list_(pa.string()), nullable=False),  # of nightrank.tasks.evaluate.gaps.REASONS
        pa.field("results", pa.int32(), nullable=False),
        pa.field("signal", pa.string()),  # what the score is: pair_score or dense_score; null without results
        pa.field("score", pa.float32()),  # of the best result
        pa.field("searches", pa.int64()),  # that would have shown clicks; null where none would
        pa.field("clicks", pa.int64()),  # after them
    ]
)

# later_day.parquet: the day that coverage is measured on, query by query.
LATER_DAY = pa.schema(
    [
        pa.field("text", pa.string()),  # normalised; null for all searches whose text may not be kept
        pa.field("filter", pa.string()),  # its canonical text
        pa.field("count", pa.int64(), nullable=False),  # searches before the day
        pa.field("searches", pa.int64(), nullable=False),  # on the day
        pa.field("is_chosen", pa.bool_(), nullable=False),  # within the budget, on the evening before
    ]
)

# dropped.parquet: what of the log was not kept, and why.
DROPPED = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("traffic", pa.int64(), nullable=False),  # the sum of their counts
    ]
)


class Timings(BaseModel):
    """timings.json: what a query costs online, stage by stage, measured one query at a time.

    Attributes:
        milliseconds: Median of a query, by stage: each leg, ``fused``, ``reranked``.
        queries: How many were timed.
        measured_in: The release in which it was measured; a later one with the same models takes it over.
        machine: On what, in words.
        conditions: The key of what the figures depend on but for the size of the collection.
        texts: Distinct ones in the collection then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    milliseconds: dict[str, float]
    queries: int
    measured_in: str
    machine: str
    conditions: str = ""
    texts: int = 0
