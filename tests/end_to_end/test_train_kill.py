"""A training that is killed goes on from its checkpoint, and comes to the model that it would have come to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightrank.tasks.train.embedder.learn import newest_checkpoint
from nightrank.tasks.train.embedder.trainer import Advance
from tests.support.training_collection import training_collection

if TYPE_CHECKING:
    from transformers import TrainerState

    from tests.conftest import Command, Models
    from tests.support.collection import Collection

HOW = ("--steps", "96", "--batch", "16", "--learning-rate", "0.01", "--held-out", "0.3", "--json")
SECONDS = 240


def killed_behind_a_checkpoint(collection: Collection, api: str) -> int:
    """Start a training in a process of its own, kill it when it has kept a checkpoint; the checkpoint's step."""
    command = [
        sys.executable,
        "-m",
        "nightrank.flows.cli.app",
        "train",
        "embedder",
        "-c",
        str(collection.settings_file),
        *HOW,
    ]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "PREFECT_API_URL": api}, stdout=subprocess.DEVNULL)
    checkpoints = collection.workspace / "models"
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        kept = [newest_checkpoint(path) for path in checkpoints.glob(".training-*/checkpoints")]
        if any(kept):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    assert process.wait() == -signal.SIGKILL
    [newest] = [newest_checkpoint(path) for path in checkpoints.glob(".training-*/checkpoints")]
    assert newest is not None
    return int(newest.rpartition("-")[2])


@pytest.mark.long
def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_figure(
    prefect_api: str, nightrank: Command, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = training_collection(tmp_path / "project", embedder=models.embedder)
    assert nightrank("refresh", "-c", collection.settings_file, "--json").code == 0
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(collection.folder, undisturbed)

    step = killed_behind_a_checkpoint(collection, prefect_api)

    models_folder = collection.workspace / "models"
    assert not list(models_folder.glob("embedder-*"))  # half of a model is never seen
    assert 0 < step < 96
    begun: list[int] = []

    def note(_self: Advance, _args: object, state: TrainerState, _control: object, **_more: object) -> None:
        begun.append(state.global_step)

    monkeypatch.setattr(Advance, "on_train_begin", note)
    went_on = nightrank("train", "embedder", "-c", collection.settings_file, *HOW).json["card"]
    whole = nightrank("train", "embedder", "-c", undisturbed / "nightrank.toml", *HOW).json["card"]
    assert begun == [step, 0]
    assert went_on["training"]["steps"] == whole["training"]["steps"] == 96
    for ours, theirs in zip(went_on["figures"], whole["figures"], strict=True):
        assert ours["after"] == pytest.approx(theirs["after"], abs=0.01), ours["measure"]
    assert went_on["figures"][0]["after"] > went_on["figures"][0]["before"] + 0.05
