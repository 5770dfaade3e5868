"""A run that is killed costs at most the batch it was at: readers see a whole release, and the next run completes."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.files.database import connect, only_row
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.manifest import list_releases, read_manifest
from nightrank.storage.release.prune import prune
from nightrank.storage.workspace.base import STAGING_PREFIX, Workspace
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.collection import Collection
from tests.support.night_process import STEPS, STEPS_OF_COLLECTING
from tests.support.nights import edit
from tests.support.published import assert_same_rankings, check_readable, rankings

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.release.manifest import Manifest
    from tests.support.nights import Nights


def assert_as_undisturbed(collection: Collection, nights: Nights, folder: Path) -> None:
    """A refresh now completes, and gives what a refresh of the same input in a new workspace gives."""
    assert nights.run(collection)[0] == 0
    check_readable(collection.workspace)
    assert not list(FolderWorkspace(collection.workspace).releases.glob(f"{STAGING_PREFIX}*"))
    undisturbed = Collection(folder, collection.settings, collection.documents, collection.log, collection.qrels)
    undisturbed.write()
    assert nights.run(undisturbed)[0] == 0
    assert_same_rankings(rankings(collection.workspace), rankings(undisturbed.workspace))
    ours, theirs = check_readable(collection.workspace), check_readable(undisturbed.workspace)
    assert ours.inputs == theirs.inputs
    assert (ours.counts.documents, ours.counts.chunks) == (theirs.counts.documents, theirs.counts.chunks)


@pytest.mark.long
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


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_collects_a_night_is_published_and_every_release_is_whole(
    when: str, nights: Nights, collection: Collection, tmp_path: Path
) -> None:
    collection.settings["retention"] = {"keep": 2}
    collection.write()
    assert nights.run(collection)[0] == 0
    for number, step in enumerate(STEPS_OF_COLLECTING):
        before = check_readable(collection.workspace).release_id
        edit(collection, number)
        assert nights.run(collection, **{f"kill_{when}": step})[0] == -signal.SIGKILL, step
        assert check_readable(collection.workspace).previous == before, step
        for manifest in list_releases(FolderWorkspace(collection.workspace)):
            check_readable(collection.workspace, manifest.release_id)
    edit(collection, len(STEPS_OF_COLLECTING))
    assert_as_undisturbed(collection, nights, tmp_path / "undisturbed")
    assert_nothing_left_over(FolderWorkspace(collection.workspace))


def test_what_a_killed_run_had_committed_is_not_computed_again(nights: Nights, collection: Collection) -> None:
    assert nights.run(collection, kill_before="tag")[0] == -signal.SIGKILL
    assert not (collection.workspace / "current.json").exists()

    assert nights.run(collection)[0] == 0

    counts = check_readable(collection.workspace).counts
    assert (counts.chunks_embedded, counts.pairs_scored) == (0, 0)
    assert counts.pairs > 0


COMMIT_ROWS = 2
COMMIT_PAIRS = 8
KILLS_A_ROUND = 5  # the last ones hit the runs that are to complete
EDITED_A_ROUND = 6  # so that a round has several batches of each model


class Journal:
    """What a night process noted of the runs that it was told to note."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _lines(self) -> list[tuple[str, str | int]]:
        if not self.path.is_file():
            return []
        return [tuple(json.loads(line)) for line in self.path.read_text().splitlines()]

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    def given_to_models(self, kind: str) -> int:
        return sum(int(what) for noted, what in self._lines() if noted == kind)

    def last_stage(self) -> str:
        return next((str(what) for noted, what in reversed(self._lines()) if noted == "stage"), "before the stages")


@dataclass(slots=True)
class Tally:
    """Moments at which a run was killed, by the stage it was in, and what that cost."""

    moments: Counter[str] = field(default_factory=Counter)
    recovered: int = 0
    chunks: int = 0
    chunks_twice: int = 0
    pairs: int = 0
    pairs_twice: int = 0

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {count}" for stage, count in self.moments.items())
        return (
            f"{self.moments.total()} kills ({stages}), {self.recovered} recovered, "
            f"{self.moments.total() - self.recovered} lost; computed twice: "
            f"{self.chunks_twice} of {self.chunks} chunks, {self.pairs_twice} of {self.pairs} pairs"
        )


def edit_much(collection: Collection, number: int) -> None:
    edit(collection, number)
    for document in collection.documents[number % 3 : 20 : 20 // EDITED_A_ROUND]:
        document["text"] = f"{document['text']} Revision {number}."
    collection.write()


def assert_one_pass(tally: Tally, journal: Journal, undisturbed: Manifest, *, kills: int) -> None:
    """All attempts together gave the models what one run gives them, and a batch more for each kill at most."""
    chunks, pairs = (journal.given_to_models(kind) for kind in ("chunks", "pairs"))
    chunks_twice, pairs_twice = chunks - undisturbed.counts.chunks_embedded, pairs - undisturbed.counts.pairs_scored
    assert chunks_twice >= 0
    assert pairs_twice >= 0
    assert -(-chunks_twice // COMMIT_ROWS) + -(-pairs_twice // COMMIT_PAIRS) <= kills
    tally.chunks += chunks
    tally.pairs += pairs
    tally.chunks_twice += chunks_twice
    tally.pairs_twice += pairs_twice


def assert_nothing_left_over(workspace: Workspace) -> None:
    """No orphan that a collection does not remove, no half-made folder, no pair score or vector that is there twice."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    with workspace.writing(now=now):
        prune(workspace, keep=1, now=now, thorough=True)
        again = prune(workspace, keep=1, now=now, thorough=True)
    assert (again.releases_removed, again.staging_removed, again.tables_removed, again.memos_removed) == ((), 0, (), ())
    assert (again.rows_removed, again.tags_removed) == (0, 0)
    assert (again.pair_scores_removed, again.query_vectors_removed) == (0, 0)
    assert [manifest.release_id for manifest in list_releases(workspace)] == [workspace.require_current()]
    assert not list(workspace.releases.glob(f"{STAGING_PREFIX}*"))
    assert not list(workspace.root.rglob("*.tmp"))
    for memo in workspace.memo.glob("pairs-*.duckdb"):
        with connect(memo) as connection:
            rows, distinct = only_row(
                connection, "SELECT count(*), count(DISTINCT (query_key, chunk_hash)) FROM pair_scores"
            )
        assert rows == distinct == read_manifest(workspace, workspace.require_current()).counts.pairs
    manifest = check_readable(workspace.root)
    table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=manifest.release_id)
    hashes = table.hashes().read_all()
    assert len(hashes) == len(hashes.column(0).unique()) == manifest.counts.texts


@pytest.mark.long
@pytest.mark.parametrize(
    ("step", "chunks_twice", "pairs_twice"), [("commit of vectors", 4, 0), ("commit of pair scores", 0, 32)]
)
def test_a_run_killed_before_a_commit_costs_that_batch_and_no_other(
    step: str, chunks_twice: int, pairs_twice: int, nights: Nights, collection: Collection, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal")
    collection.settings["drift_check"] = {"sample": "none"}  # what it computes again is no part of a pass
    collection.settings["evaluation"] = {"timed_queries": "none"}  # nor is what is timed
    collection.write()
    order: dict[str, str | float] = {"journal": str(journal.path), "commit_rows": 4, "commit_pairs": 32}

    assert nights.run(collection, kill_before=step, kill_at_call=3, **order)[0] == -signal.SIGKILL
    assert nights.run(collection, **order)[0] == 0

    counts = check_readable(collection.workspace).counts
    assert journal.given_to_models("chunks") == counts.chunks + chunks_twice
    assert journal.given_to_models("pairs") == counts.pairs + pairs_twice
    assert_nothing_left_over(FolderWorkspace(collection.workspace))


def kill_at_random_moments(nights: Nights, collection: Collection, *, kills: int, seed: int, folder: Path) -> Tally:
    """Rounds of edits; each round's night, and the night that is to complete it, killed at moments drawn at random."""
    generator = random.Random(seed)
    tally, journal = Tally(), Journal(folder / "journal")
    collection.settings["drift_check"] = {"sample": "none"}  # what it computes again is no part of a pass
    undisturbed = Collection(
        folder / "undisturbed", collection.settings, collection.documents, collection.log, collection.qrels
    )
    batches = {"commit_rows": COMMIT_ROWS, "commit_pairs": COMMIT_PAIRS}
    for each in (collection, undisturbed):
        each.write()
        assert nights.run(each)[0] == 0
    number = 0
    while tally.moments.total() < kills:
        number += 1
        assert number <= kills, "hardly a run was alive when it was to be killed"
        journal.clear()
        before = check_readable(collection.workspace).release_id
        edit_much(collection, number)
        undisturbed.write()
        ended, seconds = nights.run(undisturbed, **batches)
        assert ended == 0
        wanted, pass_made = rankings(undisturbed.workspace), check_readable(undisturbed.workspace)
        killed = 0
        for attempt in range(KILLS_A_ROUND + 1):
            moment = {"kill_after_seconds": generator.uniform(0, 1) * seconds} if attempt < KILLS_A_ROUND else {}
            ended, _ = nights.run(collection, journal=str(journal.path), **batches, **moment)
            now = check_readable(collection.workspace)
            if now.release_id != before:
                assert now.previous == before
                assert_same_rankings(rankings(collection.workspace), wanted)
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
            killed += 1
            tally.moments[journal.last_stage()] += 1
        assert now.release_id != before
        assert now.inputs == pass_made.inputs
        assert (now.counts.documents, now.counts.chunks) == (pass_made.counts.documents, pass_made.counts.chunks)
        assert_one_pass(tally, journal, pass_made, kills=killed)
        assert_nothing_left_over(FolderWorkspace(collection.workspace))
        tally.recovered += killed
    for manifest in list_releases(FolderWorkspace(collection.workspace)):
        check_readable(collection.workspace, manifest.release_id)
    return tally


@pytest.mark.long
@pytest.mark.parametrize(
    ("kills", "seed"),
    [
        (8, 0),
        *(pytest.param(*rounds, marks=pytest.mark.slow) for rounds in ((30, 20261122), (60, 1), (60, 2), (60, 3))),
    ],
)
def test_killed_at_random_moments(
    kills: int, seed: int, nights: Nights, collection: Collection, tmp_path: Path
) -> None:
    print(kill_at_random_moments(nights, collection, kills=kills, seed=seed, folder=tmp_path))  # noqa: T201 (shown by pytest -rP)
