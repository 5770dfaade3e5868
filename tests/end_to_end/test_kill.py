"""A run that is killed costs at most the batch it was at: readers see a whole release, and the next run completes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from storage.releases import list_releases
from storage.workspace import STAGING_PREFIX, Workspace
from tests.collection import Collection, small_collection
from tests.end_to_end.night_process import STEPS
from tests.published import assert_same_rankings, check_readable, rankings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Models


class Nights:
    """Runs nights in children of another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders: IO[str] = process.stdin
        self._answers: IO[str] = process.stdout
        assert self._answers.readline() == "ready\n"

    def run(self, collection: Collection, **kill: str | float) -> tuple[int, float]:
        """How a night ended (an exit code, or minus the signal that killed it), and its seconds."""
        self._orders.write(json.dumps({"settings_file": str(collection.settings_file), **kill}) + "\n")
        self._orders.flush()
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer["ended"], answer["seconds"]


@pytest.fixture(scope="module")
def nights() -> Iterator[Nights]:
    command = [sys.executable, str(Path(__file__).with_name("night_process.py"))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:  # closes its input on the way out, which ends it
        yield Nights(process)


def edit(collection: Collection, number: int) -> None:
    """Give the next night something of everything to do."""
    document = collection.documents[number % 20]
    document["text"] = f"{document['text']} Edition {number}."
    collection.documents[(number + 7) % 20]["shelf"] = number
    collection.documents.append(
        {"_id": f"news-{number}", "title": f"News {number}", "text": f"Bees and tea, {number}."}
    )
    if number % 3 == 2:
        collection.remove(f"news-{number - 1}")
    collection.write()


def assert_as_undisturbed(collection: Collection, nights: Nights, folder: Path) -> None:
    """A refresh now completes, and gives what a refresh of the same input in a new workspace gives."""
    assert nights.run(collection)[0] == 0
    check_readable(collection.workspace)
    assert not list(Workspace(collection.workspace).releases.glob(f"{STAGING_PREFIX}*"))
    undisturbed = Collection(folder, collection.settings, collection.documents, collection.log, collection.qrels)
    undisturbed.write()
    assert nights.run(undisturbed)[0] == 0
    assert_same_rankings(rankings(collection.workspace), rankings(undisturbed.workspace))
    ours, theirs = check_readable(collection.workspace), check_readable(undisturbed.workspace)
    assert ours.inputs_key() == theirs.inputs_key()
    assert (ours.counts.documents, ours.counts.chunks) == (theirs.counts.documents, theirs.counts.chunks)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_place_where_state_changes(
    when: str, nights: Nights, collection: Collection, tmp_path: Path
) -> None:
    assert nights.run(collection)[0] == 0
    live = check_readable(collection.workspace).release_id
    before = rankings(collection.workspace)
    for number, step in enumerate(STEPS):
        edit(collection, number)
        assert nights.run(collection, **{f"kill_{when}": step})[0] == -signal.SIGKILL, step
        if (step, when) == ("pointer", "after"):
            break  # published and killed at once: nothing is left to lose
        assert check_readable(collection.workspace).release_id == live, step
        assert_same_rankings(before, rankings(collection.workspace))
    assert_as_undisturbed(collection, nights, tmp_path / "undisturbed")


def test_what_a_killed_run_had_committed_is_not_computed_again(nights: Nights, collection: Collection) -> None:
    assert nights.run(collection, kill_before="pin")[0] == -signal.SIGKILL
    assert not (collection.workspace / "current.json").exists()

    assert nights.run(collection)[0] == 0

    counts = check_readable(collection.workspace).counts
    assert (counts.chunks_embedded, counts.pairs_scored) == (0, 0)
    assert counts.pairs > 0


def kill_at_random_moments(nights: Nights, collection: Collection, *, kills: int, seed: int, folder: Path) -> None:
    generator = random.Random(seed)
    assert nights.run(collection)[0] == 0
    edit(collection, 0)
    ended, seconds = nights.run(collection)
    assert ended == 0
    killed = 0
    for number in range(1, kills + 1):
        live = check_readable(collection.workspace).release_id
        edit(collection, number)
        ended, _ = nights.run(collection, kill_after_seconds=generator.uniform(0.1, 1.0) * seconds)
        killed += ended == -signal.SIGKILL
        now = check_readable(collection.workspace)
        assert now.release_id == live or now.previous == live
        for manifest in list_releases(Workspace(collection.workspace)):
            check_readable(collection.workspace, manifest.release_id)
    assert killed >= kills // 2  # or this has tested little
    assert_as_undisturbed(collection, nights, folder)


def test_killed_at_random_moments(nights: Nights, collection: Collection, tmp_path: Path) -> None:
    kill_at_random_moments(nights, collection, kills=8, seed=20261122, folder=tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_many_random_moments(seed: int, nights: Nights, models: Models, tmp_path: Path) -> None:
    collection = small_collection(tmp_path / "project", embedder=models.embedder, reranker=models.reranker)
    kill_at_random_moments(nights, collection, kills=20, seed=seed, folder=tmp_path / "undisturbed")
