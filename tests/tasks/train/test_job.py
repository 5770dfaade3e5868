"""A stage that is done is not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from nightrank.flows.settings_file import load_settings
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.train.job import TrainingJob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.collection import Collection


class Done(BaseModel):
    """What a stage did."""

    count: int


@pytest.fixture
def job(collection: Collection, tmp_path: Path) -> TrainingJob:
    settings = load_settings(collection.settings_file).settings
    plan = plan_embedder(settings.embedder, settings.execution, base=collection.folder)
    workspace = FolderWorkspace(collection.workspace)
    return TrainingJob(settings, collection.folder, workspace, "embedder", tmp_path, plan)


def test_a_stage_that_is_done_is_read_from_its_record(job: TrainingJob) -> None:
    def never() -> Done:
        raise AssertionError("it was done")

    assert job.once("mined", Done, lambda: Done(count=3)) == Done(count=3)
    assert job.once("mined", Done, never) == Done(count=3)
    assert job.once("other", Done, lambda: Done(count=4)) == Done(count=4)


def test_a_stage_that_failed_is_done_again(job: TrainingJob) -> None:
    def fail() -> Done:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        job.once("mined", Done, fail)
    assert job.once("mined", Done, lambda: Done(count=3)) == Done(count=3)
