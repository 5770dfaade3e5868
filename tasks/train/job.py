"""A training as its stages see it: where it reads, where it works, and what is done already.

Each stage writes its files, then a small record of what it did, as ``<stage>.json``. A training that was stopped and
is asked for again finds the records and goes on behind them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nightrank.storage.files.atomic import write_text
from nightrank.storage.places import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import BaseModel

    from nightrank.storage.workspace.base import Workspace
    from nightrank.storage.workspace.models import ModelKind
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.settings.whole import Settings

    R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A small record that every stage of a training takes: stages hand on files, never tables.

    Attributes:
        settings: What the release is made with, and where work runs.
        base: The folder that paths in the settings are relative to.
        workspace: Where the release is.
        kind: Of the model.
        folder: Where the training works.
        embedder: The present one, which the release was made with.
        key: The key of everything that decides the training.
    """

    settings: Settings
    base: Path
    workspace: Workspace
    kind: ModelKind
    folder: Path
    embedder: EmbedderPlan
    key: str = ""

    def once(self, stage: str, record: type[R], work: Callable[[], R]) -> R:
        """What a stage did: from its record where it is done already, else from doing it now.

        Args:
            stage: Its name.
            record: What it gives.
            work: Does it.
        """
        path = self._record(stage)
        if self.has_done(stage):
            return record.model_validate_json(read_bytes(path))
        done = work()
        write_text(path, json.dumps(done.model_dump(mode="json"), indent=2) + "\n")
        return done

    def has_done(self, stage: str) -> bool:
        """Whether a stage has left its record."""
        return self._record(stage).is_file()

    def forget(self, stage: str) -> None:
        """Have a stage done again, whether it was done or not."""
        self._record(stage).unlink(missing_ok=True)

    def _record(self, stage: str) -> Path:
        return self.folder / f"{stage}.json"

    @property
    def pairs(self) -> Path:
        """Queries and what answers them, schema PAIRS."""
        return self.folder / "pairs.parquet"

    @property
    def checkpoints(self) -> Path:
        """The folder of the trainer's checkpoints."""
        return self.folder / "checkpoints"

    @property
    def taught(self) -> Path:
        """The folder of the training set with a teacher's teacher scores."""
        return self.folder / "taught"

    @property
    def trained(self) -> Path:
        """The folder of the trained model."""
        return self.folder / "trained"

    @property
    def staging(self) -> Path:
        """The folder of the trained model with its card, before it has its name."""
        return self.folder / "staging"

    @property
    def losses(self) -> Path:
        """The loss curve, schema LOSSES."""
        return self.folder / "losses.parquet"

    @property
    def comparison(self) -> Path:
        """The trained model against the present one, schema COMPARISON."""
        return self.folder / "comparison.parquet"
