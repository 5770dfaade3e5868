"""A reranker's training that is killed goes on from its checkpoint, and comes to the figure that it would have."""

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

from nightrank.tasks.train.reranker.learn import CHECKPOINT
from tests.support.training_collection import training_collection

if TYPE_CHECKING:
    from tests.conftest import Command, Models
    from tests.support.collection import Collection

HOW = (
    *("--base", "embedder", "--steps", "90", "--epochs", "50", "--negatives", "3", "--learning-rate", "0.003"),
    *("--max-tokens", "40", "--held-out", "0.3", "--from", "judgments", "--json"),
)
SECONDS = 240


def killed_behind_a_checkpoint(collection: Collection, api: str) -> None:
    """Start a training in a process of its own, and kill it when it has kept a checkpoint."""
    command = [
        sys.executable,
        "-m",
        "nightrank.flows.cli.app",
        "train",
        "reranker",
        "-c",
        str(collection.settings_file),
        *HOW,
    ]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "PREFECT_API_URL": api}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if list((collection.workspace / "models").glob(f".training-*/checkpoints/{CHECKPOINT}")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.long
def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_figure(
    prefect_api: str, nightrank: Command, models: Models, tmp_path: Path
) -> None:
    collection = training_collection(tmp_path / "project", embedder=models.embedder)
    assert nightrank("refresh", "-c", collection.settings_file, "--json").code == 0
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(collection.folder, undisturbed)

    killed_behind_a_checkpoint(collection, prefect_api)

    assert not list((collection.workspace / "models").glob("reranker-*"))  # half of a model is never seen
    went_on = nightrank("train", "reranker", "-c", collection.settings_file, *HOW).json["card"]
    whole = nightrank("train", "reranker", "-c", undisturbed / "nightrank.toml", *HOW).json["card"]
    assert went_on["training"]["steps"] == whole["training"]["steps"]
    assert went_on["training"]["best_step"] == whole["training"]["best_step"]
    for ours, theirs in zip(went_on["figures"], whole["figures"], strict=True):
        assert ours["after"] == pytest.approx(theirs["after"], abs=0.01), ours["measure"]


def test_options_out_of_bounds_are_told_before_anything_starts(nightrank: Command, published: Collection) -> None:
    for option, value in (("--negatives", "0"), ("--weight", "1.5"), ("--steps", "1"), ("--loss", "hinge")):
        ended = nightrank("train", "reranker", "-c", published.settings_file, option, value)
        assert (ended.code, option in ended.err) == (2, True), ended.err
