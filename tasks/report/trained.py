"""Models of a release that were trained in its workspace: what they learnt from, what that was worth."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import pyarrow as pa

from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.workspace.models import ModelKind
from nightrank.tasks.models.card import LOSSES_FILE, read_training_card

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.models.card import TrainingCard


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A trained model as its folder tells of it.

    Attributes:
        name: Of its folder.
        losses: Schema LOSSES; None where they cannot be read.
    """

    name: str
    card: TrainingCard
    losses: pa.Table | None


def trained_models(settings: Mapping[str, JsonValue], models: Path) -> list[TrainedModel]:
    """The models that settings name by a path into a workspace's models, and that are still there.

    Args:
        settings: Of a release, as its manifest has them.
        models: The folder of trained models.
    """
    found = []
    for kind in get_args(ModelKind):
        section = settings.get(kind)
        named = section.get("model") if isinstance(section, dict) else None
        parent, _, name = str(named or "").rstrip("/").rpartition("/")
        if not name or name.startswith(".") or parent.rpartition("/")[2] != models.name:
            continue
        with suppress(InputError):
            found.append(TrainedModel(name, read_training_card(models / name), _losses(models / name)))
    return found


def _losses(folder: Path) -> pa.Table | None:
    try:
        return read_table(folder / LOSSES_FILE)
    except (OSError, pa.ArrowInvalid):
        return None
