"""Settings of near answers: whether queries that were not answered in advance get the answer of one that was."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nightrank.tasks.settings.section import Section


class NearSettings(Section):
    """``[near]``: answers to queries that were not answered in advance, from those that were."""

    tiers: Annotated[tuple[Literal["same_answer", "same_pool"], ...], Field(strict=False)] = Field(
        default=(),
        description="`same_answer`: a query gets the answer of a known one with the same terms, or with one edit in "
        "one long word that neither log nor collection knows. `same_pool`: what was found for the nearest known "
        "queries, and by BM25, is rescored for the query; it takes the embedder, so `nightrank serve` and `nightrank "
        "search --near` have it alone. Without any tier nothing is near.",
    )
    max_error: float = Field(
        default=0.02,
        gt=0.0,
        lt=1.0,
        description="What near answers may lose in the mean of `[gates].measure` against the queries' own, where "
        "enough of the queries that are held out are judged (about 300).",
    )
    max_lost_overlap: float = Field(
        default=0.4,
        gt=0.0,
        lt=1.0,
        description="Where fewer are judged: what near answers may lack, in the mean, of the rank-biased overlap with "
        "the queries' own; and how different the answers of known queries with the same terms may be for one to stand "
        "for all. 0.4 is what the gate `overlap` lets a night change.",
    )
    confidence: float = Field(
        default=0.95, ge=0.5, le=0.999, description="With which these bounds hold, all of them together."
    )
    held_out: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Known queries, at most, that are answered as if they were not known, of each kind of difference.",
    )
    held_out_pools: int = Field(
        default=300, ge=1, le=100_000, description="The same for `same_pool`, where each costs some milliseconds."
    )
    seed: int = Field(default=0, ge=0, description="Decides which queries these are.")
    required: bool = Field(
        default=False,
        description="Whether a release is refused (gate `near_error`) where no kind of near answer is within its "
        "bound. Else it is published without those that are not, and says so.",
    )

    @property
    def is_on(self) -> bool:
        """Whether anything is near."""
        return bool(self.tiers)
