"""The card of a trained model: what it is, what it learnt from, what that was worth. It lies in the model's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from storage.errors import InputError
from storage.models import Kind

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

CARD = "training.json"


class Figure(BaseModel):
    """A measure of a stage before and after, over the same queries.

    Attributes:
        low: Lower end of the 95% interval of the difference.
        high: Its upper end.
        p_value: Of the paired randomisation test.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    measure: str
    queries: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p_value: float


class Guarded(BaseModel):
    """What a general collection says of a trained model.

    Attributes:
        name: As the user called it.
        passages: Over so many passages.
        allowed_loss: By so much the measure may fall.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passages: int
    allowed_loss: float
    figure: Figure

    @property
    def refuses(self) -> bool:
        """Whether the model loses too much there."""
        return self.figure.difference < -self.allowed_loss


class TrainingCard(BaseModel):
    """What a trained model's folder says about itself.

    Attributes:
        kind: Of the model.
        fingerprint: Of its files.
        weights_sha256: Of its weights.
        base: The model that it started from, as it was named.
        base_fingerprint: Of that model's files.
        compared_with: The fingerprint of the model that was present, which it is compared with.
        release_id: The release that was mined.
        created_at: ISO 8601.
        nightrank: The version that trained it.
        settings: What the training was asked for.
        data: What it learnt from.
        training: What it did.
        figures: Held-out queries, before and after.
        guard: A general collection's word.
        remarks: What a user should know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    fingerprint: str = Field(min_length=1)
    weights_sha256: str
    base: str
    base_fingerprint: str
    compared_with: str
    release_id: str
    created_at: str
    nightrank: str
    settings: dict[str, JsonValue]
    data: dict[str, JsonValue]
    training: dict[str, JsonValue]
    figures: list[Figure]
    guard: Guarded | None
    remarks: list[str]

    def refusals(self, *, stage: str, measure: str = "nDCG@10") -> list[str]:
        """Why the model may not be promoted; nothing where it may.

        It may where it beats the present one on the held-out queries beyond chance, that is where the lower end of the
        interval of the difference is above 0, and no guard refuses.

        Args:
            stage: Whose figures decide.
            measure: Which of them.
        """
        figure = next(figure for figure in self.figures if (figure.stage, figure.measure) == (stage, measure))
        reasons = []
        if figure.low <= 0.0:
            reasons.append(
                f"{measure} on {figure.queries} held-out queries is {figure.after:.4f} against {figure.before:.4f} "
                f"now, no gain beyond chance: {figure.difference:+.4f}, from {figure.low:+.4f} to {figure.high:+.4f}"
            )
        if self.guard is not None and self.guard.refuses:
            guard = self.guard
            reasons.append(
                f"{measure} on {guard.name} falls from {guard.figure.before:.4f} to {guard.figure.after:.4f}, by more "
                f"than {guard.allowed_loss:g}"
            )
        return reasons


def figures_of(comparison: pa.Table) -> list[Figure]:
    """The rows of a comparison, schema COMPARISON, as a card keeps them."""
    return [Figure.model_validate(row) for row in comparison.to_pylist()]


def read_training_card(folder: Path) -> TrainingCard:
    """The card of a trained model.

    Raises:
        InputError: There is none, or it is no such card.
    """
    path = folder / CARD
    try:
        return TrainingCard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{folder} has no {CARD}.", remedy="Name the folder of a trained model.") from error
    except ValidationError as error:
        message = f"{path} is no card of a trained model: {error.errors()[0]['msg']}."
        raise InputError(message, remedy="Train the model again.") from error
