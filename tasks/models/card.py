"""The card of a trained model: what it is, what it learnt from, what that was worth. It lies in the model's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.places import read_bytes
from nightrank.storage.workspace.models import ModelKind

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

MEASURES = ("nDCG@10", "RR@10", "R@100")


Origin: TypeAlias = Literal["pairs", "judgments", "clicks", "documents"]


CARD = "training.json"
LOSSES_FILE = "losses.parquet"  # beside the card
SIGNIFICANT = 0.05


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


class RegressionCheck(BaseModel):
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
        key: The key of what decided the training; empty where an older version made it.
        base: The model that it started from, as it was named.
        base_fingerprint: Of that model's files.
        compared_with: The model that was present and is compared with, as manifests have it.
        release_id: The release that was mined.
        created_at: ISO 8601.
        nightrank: The version that trained it.
        settings: What the training was asked for.
        gathered: Where its pairs come from.
        mined: What it learnt from, and what it was measured on.
        training: What the training did.
        figures: Held-out queries, before and after; the first one decides about a promotion.
        regression_set: A general collection's word.
        remarks: What a user should know.
        max_length: Tokens of a reranker's pair; longer passages are truncated.
        weight: Of a reranker against the first stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ModelKind
    fingerprint: str = Field(min_length=1)
    weights_sha256: str
    key: str = ""
    base: str
    base_fingerprint: str
    compared_with: str
    release_id: str
    created_at: str
    nightrank: str
    settings: dict[str, JsonValue]
    gathered: PairsGathered
    mined: PairsMined
    training: dict[str, int | float | str | bool | None]
    figures: list[Figure] = Field(min_length=1)
    regression_set: RegressionCheck | None
    remarks: list[str]
    max_length: int | None = None
    weight: float | None = Field(default=None, ge=0.0, le=1.0)

    @property
    def refusals(self) -> list[str]:
        """Why the model may not be promoted; nothing where it may.

        It may where it beats the present one on the held-out queries beyond chance, and does not
        lose on the regression set. Beyond chance is when the whole interval of the difference is above 0 and its
        p-value is below 0.05: of few queries the interval alone says too much.
        """
        figure = self.figures[0]
        measure = figure.measure
        reasons = []
        if figure.low <= 0.0 or figure.p_value >= SIGNIFICANT:
            reasons.append(
                f"{measure} on {figure.queries} held-out queries is {figure.after:.4f} against {figure.before:.4f} "
                f"now, no gain beyond chance: {figure.difference:+.4f}, from {figure.low:+.4f} to {figure.high:+.4f}, "
                f"p {figure.p_value:.3f}"
            )
        if self.regression_set is not None and self.regression_set.refuses:
            name, found = self.regression_set.name, self.regression_set.figure
            reasons.append(
                f"{measure} on {name} falls from {found.before:.4f} to {found.after:.4f}, by more "
                f"than {self.regression_set.allowed_loss:g}"
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
        return TrainingCard.model_validate_json(read_bytes(path))
    except OSError as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        raise InputError(f"{folder} has no {CARD}.", remedy="Name the folder of a trained model.") from error
    except ValidationError as error:
        message = f"{path} is not the card of a trained model: {error.errors()[0]['msg']}."
        raise InputError(message, remedy="Train the model again.") from error


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
        queries_straddling: Some of whose documents are held out, and some are not.
        held_out_queries: To measure on.
        held_out_documents: Of these queries.
        pairs: Of a query and a passage, to learn from.
        negatives: Mined ones of all queries.
        false_negatives: Candidates that were no negatives, by reason.
        passages: Distinct ones of the training.
        evaluated_passages: Those that held-out queries are measured over.
        whole_collection: Whether these are all there are.
    """

    model_config = ConfigDict(frozen=True)

    queries: int
    queries_without_passage: int
    queries_straddling: int
    held_out_queries: int
    held_out_documents: int
    pairs: int
    negatives: int
    false_negatives: dict[str, int]
    passages: int
    evaluated_passages: int
    whole_collection: bool
