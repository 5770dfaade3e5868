"""What becomes of a trained model: it is promoted, where it is better than the present one, or kept beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import GateRefused, InputError
from nightrank.storage.release.manifest import settings_as_json
from nightrank.storage.workspace.models import Promotion, deciding, promote
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.models.card import TrainingCard, read_training_card
from nightrank.tasks.models.files import find_model
from nightrank.tasks.rerank.find import plan_reranker

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue
    from nightrank.storage.workspace.models import ModelKind


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model.

    Attributes:
        folder: Its folder.
        card: What it says of itself.
        promoted: Whether it stands in for the present model from the next run on.
        seconds: The time of the run that made it.
    """

    folder: Path
    card: TrainingCard
    promoted: bool
    seconds: float = 0.0

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``train --json``."""
        refusals: list[JsonValue] = list(self.card.refusals)
        return {
            "model": str(self.folder),
            "promoted": self.promoted,
            "refusals": refusals,
            "seconds": round(self.seconds, 3),
            "card": settings_as_json(self.card),
        }


class NotPromoted(GateRefused):
    """A model was trained and kept, and does not stand in for the present one; it carries what was trained."""

    def __init__(self, trained: Trained) -> None:
        super().__init__(
            f"The model {trained.folder.name} is not promoted: {'; '.join(trained.card.refusals)}.",
            remedy=f'The present model stays. To use it nevertheless, set model = "{trained.folder}".',
        )
        self.trained = trained


def find_trained(configuration: Configuration, name: str) -> Trained:
    """A trained model of a workspace.

    Args:
        configuration: The settings.
        name: Of its folder in the workspace, or a path that ends so.

    Raises:
        InputError: There is none of that name.
    """
    folder = configuration.workspace.model(name.rstrip("/").rpartition("/")[2])
    return Trained(folder, read_training_card(folder), promoted=False)


def present_model(configuration: Configuration, kind: ModelKind) -> str:
    """What the settings, and promotions, name now, as manifests have it: of a reranker the weight as well."""
    settings, base = configuration.settings, configuration.base
    if kind == "embedder":
        return plan_embedder(settings.embedder, settings.execution, base=base).fingerprint
    plan = plan_reranker(settings.reranker, settings.execution, base=base)
    return "none" if plan is None else plan.key


def promote_model(settings_file: Path, trained: Trained, *, now: datetime) -> Trained:
    """Let a trained model stand in for the one that the settings name, from the next run on.

    It counts what the settings and the promotions say at this moment, however long the training took.

    Args:
        settings_file: Path of the settings.
        trained: The model.
        now: When.

    Raises:
        InputError: It was compared with another model than the present one, or its folder is not as it was.
        NotPromoted: It is no better than the present one, or a regression set refuses.
    """
    card = trained.card
    with deciding(load_settings(settings_file).workspace):
        configuration = load_settings(
            settings_file, anew=True
        )  # what another one promoted before this one's turn is in it
        if card.compared_with != present_model(configuration, card.kind):
            message = f"The model {trained.folder.name} was compared with another {card.kind} than the present one."
            raise InputError(message, remedy="Train again, from what is present now.")
        if card.refusals:
            raise NotPromoted(trained)
        find_model(str(trained.folder), base=configuration.base, revision=None, sha256=card.weights_sha256)
        named = configuration.named.embedder if card.kind == "embedder" else configuration.named.reranker
        promotion = Promotion(
            model=trained.folder.name,
            instead_of=named.model,
            instead_of_revision=named.revision,
            instead_of_sha256=named.sha256,
            sha256=card.weights_sha256,
            promoted_at=now.isoformat(timespec="seconds"),
        )
        promote(configuration.workspace, card.kind, promotion)
    return replace(trained, promoted=True)
