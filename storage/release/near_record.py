"""What a release says of its near answers: how wrong they were where it could be seen, and how much they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from nightrank.storage.release.files import NearFile


POOL = "pool"  # no known query's answer: its candidates, rescored


class NearMove(BaseModel):
    """One way in which a query may differ from the known one whose answer it gets.

    Attributes:
        move: Its name, as ``tasks.near.find.Move`` has it, or ``POOL``.
        measured_by: A measure of judged queries, or ``overlap``: rank-biased overlap with the query's own answer.
        held_out: Known queries that were answered as if they were not known.
        error: Mean loss of theirs; None without any.
        bound: Upper end of its one-sided interval, from 0 to 1.
        limit: What that may be.
        overlap: Mean rank-biased overlap of such answers with the queries' own; None without any.
        is_on: Whether queries are answered so.
        least_similarity: Of ``POOL``, the cosine of the nearest known query's vector that it takes; else None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    move: str
    measured_by: str
    held_out: int
    error: float | None
    bound: float
    limit: float
    overlap: float | None
    is_on: bool
    least_similarity: float | None = None


class NearCoverage(BaseModel):
    """What a later day of the log brought, had the queries been chosen the evening before.

    Attributes:
        exact: Share of its traffic that they answer.
        near: Share that near answers add, by move; of those that are on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    exact: float
    near: dict[str, float]


class NearRecord(BaseModel):
    """near.json.

    Attributes:
        confidence: With which all bounds hold together.
        seed: Of the draw of the queries that were held out.
        moves: What each move may lose.
        coverage: None where the log has no later day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float
    seed: int
    moves: tuple[NearMove, ...]
    coverage: NearCoverage | None


def read_near(file: NearFile) -> NearRecord | None:
    """The record of a release; None where near answers are off, or the file cannot be read."""
    try:
        return NearRecord.model_validate_json(file.path.read_bytes()) if file.is_there() else None
    except (OSError, ValueError):
        return None
