"""Settings of what guards quality: measures, gates, the check of stored values."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightrank.tasks.settings.section import Section, Switchable


class EvaluationSettings(Section):
    """``[evaluation]``: how a release is measured on judged queries."""

    measures: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = Field(
        default=("nDCG@10", "RR@10", "R@100", "Judged@10"), description="As ir_measures writes them."
    )
    depths: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(strict=False)] = Field(
        default=(10, 20, 50, 100), description="Reranking depths of the curve of accuracy against depth."
    )
    timed_queries: Switchable[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default=5,
        description="Judged queries that are timed one by one, for the milliseconds a query of each stage, whenever a "
        "model has changed; `none`: nothing is timed.",
    )


class GatesSettings(Section):
    """``[gates]``: what a release must be like to be published; never part of a fingerprint."""

    measure: str = Field(
        default="nDCG@10",
        min_length=1,
        description="Of the results on judged queries, for the gates `non_inferiority` and `best_stage`, as "
        "ir_measures writes it.",
    )
    margin: Switchable[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(
        default=0.02,
        description="What the mean of `measure` may lose against the current release: the gate `non_inferiority` "
        "fails where that mean fell and the lower end of the bootstrap interval of the difference is not above minus "
        "this. Few judged queries, or many changes, make the interval wide; where the mean did not fall the gate "
        "passes and says so. `none`: off.",
    )
    confidence: float = Field(
        default=0.95, ge=0.5, le=0.999, description="Of that interval, which is open on the side of gains."
    )
    min_overlap: Switchable[Annotated[float, Field(gt=0.0, le=1.0)]] = Field(
        default=0.6,
        description="Mean rank-biased overlap with the current release's results that the gate `overlap` asks for. "
        "Where documents come or go at random it is about the share that both releases have: 0.6 stops a release that "
        "loses half of the collection, and one that doubles it. `none`: off.",
    )
    rbo_p: float = Field(
        default=0.9,
        gt=0.0,
        lt=1.0,
        description="p of the rank-biased overlap: how likely a reader goes on to the next rank. At 0.9 the first ten "
        "ranks have 86 % of the weight.",
    )
    max_top1_changed: Switchable[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        default=0.5,
        description="Share of queries whose first document may be another one than in the current release (gate "
        "`top1`). `none`: off.",
    )
    min_kept: Switchable[Annotated[float, Field(gt=0.0, le=1.0)]] = Field(
        default=0.5,
        description="Share of the current release's queries that must still be answered, each counted once, by "
        "themselves or as a form of another (gate `kept`): it stops a log that was cut off. Ask for less where each "
        "night's log is of one day alone. `none`: off.",
    )
    max_empty: Switchable[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        default=0.05,
        description="Share of queries that may have no result (gate `empty`). The dense leg finds something for nearly "
        "any query, so that many without a result mean a fault. `none`: off.",
    )
    min_judged: Switchable[Annotated[float, Field(gt=0.0, le=1.0)]] = Field(
        default=None,
        description="Mean Judged@10 of the results that the gate `judged` asks for: the lower, the less measures say, "
        "since what nobody judged counts as irrelevant. What can be asked for depends on how the judgments were "
        "made. `none`: off.",
    )
    best_stage: Switchable[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        default=None,
        description="By how much a single stage (a leg, or the fused order) may be better than the published order in "
        "the mean of `measure`, where that is more than chance (gate `best_stage`). At 0 no such stage is let "
        "through. `none`: off; a refresh says it all the same.",
    )
    min_coverage: Switchable[Annotated[float, Field(gt=0.0, le=1.0)]] = Field(
        default=None,
        description="Share of the log's traffic that the chosen queries must answer (gate `coverage`); what a budget "
        "reaches depends on the log. `none`: off.",
    )
    max_text_lost: Switchable[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        default=0.3,
        description="Share of the live release's documents with a text, or of the characters of its texts, that may "
        "be gone (gate `account`): it stops a column of texts that has got another name, and a source that is half "
        "there, though titles keep the results alike. `none`: off.",
    )
    max_judgments_lost: Switchable[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        default=0.2,
        description="Share of the live release's judgments that may be gone: of judged queries, of all pairs, or of "
        "those that call a document relevant (gate `judgments`); the most of the last `drift_days` days counts, too. "
        "It stops a file of judgments that was cut off. Allow more where judgments are drawn anew each night. `none`: "
        "off.",
    )
    drift_days: Switchable[Annotated[int, Field(ge=1, le=366)]] = Field(
        default=30,
        description="Days whose releases a night is held against beside the live one (gates `quality_drift`, "
        "`overlap_drift`, `top1_drift`, `judgments`, `account`): it stops many small losses, each of which a night may "
        "have. A change that was accepted is where that record begins anew. `none`: off.",
    )
    max_drift: Switchable[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(
        default=0.03,
        description="What the mean of `measure` may lose against the best release of the last `drift_days` days, "
        "where that is more than chance (gate `quality_drift`). Rankings are held to `min_overlap` and "
        "`max_top1_changed`, on documents that have not changed since. `none`: off.",
    )
    known_items: Switchable[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(
        default=None,
        description="What the mean of `measure` over known items may lose against the live release, on those that both "
        "have (gate `known_items`), as `margin` has it. They order settings much as people do, and not well enough for "
        "a gate to rest on them unasked. `none`: off.",
    )
    max_unrelated: Switchable[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(
        default=0.1,
        description="By how much the share of first results may grow that share no word with their query and are no "
        "more similar to it than chunks at random (gate `unrelated`), over all queries, judged or not. `none`: off.",
    )
    max_shift: Switchable[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(
        default=0.3,
        description="How far the distributions of scores, of lengths and of words that results share with their "
        "queries may move from the live release's, from 0 to 1 by Kolmogorov and Smirnov, and what share tokens and "
        "terms may lose or gain in a text of the same length (gate `profile`). What another model or chunk size "
        "changes by itself is not compared. `none`: off.",
    )
    max_source_age_days: Switchable[Annotated[float, Field(gt=0.0, le=36_500.0)]] = Field(
        default=None,
        description="Days since the newest file of the source was written, by its time of modification (gate "
        "`source_age`; a refresh that finds nothing to do warns). For sources that are delivered anew every so often. "
        "`none`: off.",
    )


class DriftCheckSettings(Section):
    """``[drift_check]``: stored values compared with fresh ones when a model is loaded; never part of a fingerprint."""

    sample: Switchable[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default=32,
        description="Stored embeddings, and stored pair scores, that are computed again when a model is loaded; "
        "`none`: nothing is checked.",
    )
    tolerance: float | None = Field(
        default=None,
        gt=0.0,
        le=10.0,
        description="By how much a stored and a fresh value may differ before the refresh fails. Default: by "
        "precision, 0.0001 for float32, 0.02 for float16, 0.1 for bfloat16 and int8.",
    )
