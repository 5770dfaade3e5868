"""A workspace in an object store on the level of storage: writers that meet, what is brought, what is removed."""

from __future__ import annotations

import json
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.bucket.lease import record_of
from nightrank.storage.errors import InputError, MachineError, WorkspaceBusy
from nightrank.storage.keys import digest
from nightrank.storage.lance import prune as chunk_upkeep
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.release.manifest import list_releases, read_manifest
from nightrank.storage.release.prune import prune
from nightrank.storage.release.rollback import roll_back
from nightrank.storage.workspace import bucket_writer
from nightrank.storage.workspace.base import Workspace
from nightrank.storage.workspace.models import Promotion, bring_model, commit_model, demote, promote, promotions
from nightrank.storage.workspace.open import ORIGIN_FILE, open_workspace, workspace_at
from tests.support.object_store import in_bucket
from tests.support.stored_nights import NOW, add_night, chunk_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.object_store import Bucket


@pytest.fixture
def one(bucket: Bucket, tmp_path: Path) -> Workspace:
    """The workspace as one machine sees it."""
    return bucket.machine(tmp_path / "one")


@pytest.fixture
def two(bucket: Bucket, tmp_path: Path) -> Workspace:
    """The workspace as another machine sees it."""
    return bucket.machine(tmp_path / "two")


def night(workspace: Workspace, release_id: str, texts: Sequence[str], queries: Sequence[str] = ("a",)) -> None:
    with workspace.writing(now=NOW):
        add_night(workspace, release_id, texts=texts, queries=queries)


def let_the_lease_run_out(bucket: Bucket) -> None:
    found = bucket.remote().read("lock.json")
    assert found is not None
    bucket.remote().write("lock.json", json.dumps({**record_of(found[0]), "expires": 0.0}).encode())


def texts_of(workspace: Workspace, release_id: str) -> set[str]:
    table = ChunkTable.of_release(workspace.lance, name="chunks_e1", release_id=release_id)
    return {text for batch in table.stream(["text"]) for text in batch.column("text").to_pylist()}


def test_a_second_writer_is_told_who_the_first_one_is(one: Workspace, two: Workspace) -> None:
    with (
        one.writing(now=NOW),
        pytest.raises(WorkspaceBusy, match=r"holds the workspace s3://.*2026-01-02"),
        two.writing(now=NOW),
    ):
        pytest.fail("two writers")

    with two.writing(now=NOW):
        pass


def test_of_many_machines_that_begin_at_once_exactly_one_is_the_writer(bucket: Bucket, tmp_path: Path) -> None:
    stack = ExitStack()

    def begin(number: int) -> bool:
        try:
            stack.enter_context(bucket.machine(tmp_path / f"{number}").writing(now=NOW))
        except WorkspaceBusy:
            return False
        return True

    with stack, ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(begin, range(6))) == 1


def test_a_writer_that_lost_its_lease_can_neither_seal_nor_add_rows_nor_publish(
    bucket: Bucket, one: Workspace, two: Workspace
) -> None:
    night(one, "n1", ["a1"])
    with one.writing(now=NOW):
        table = ChunkTable.create(one.lance, embedder="e1", dimensions=128)
        lease = in_bucket(one)._require_writer().lease
        lease._ended.set()  # as if the process stood still
        lease._thread.join()
        lease._expires = 0.0
        let_the_lease_run_out(bucket)
        night(two, "n2", ["a1", "a2"])

        with pytest.raises(MachineError, match="lost it"):
            table.tag("n9")
        with pytest.raises(MachineError, match="lost it"):
            one.adopt("n9", one.staging("n9"))
        with pytest.raises(MachineError, match="lost it"):
            one.publish("n1", now=NOW)

    assert two.current_release_id() == "n2"
    assert [manifest.release_id for manifest in list_releases(two)] == ["n1", "n2"]


def test_of_two_publishers_that_both_believe_they_may_exactly_one_wins(
    bucket: Bucket, one: Workspace, two: Workspace
) -> None:
    """By its clock the first one still holds the lease, which the second one has taken over by another clock."""
    night(one, "n1", ["a1"])
    with one.writing(now=NOW):
        let_the_lease_run_out(bucket)
        with two.writing(now=NOW):
            add_night(two, "n2", texts=["a1", "a2"])
            with pytest.raises(MachineError, match="lost it"):
                add_night(one, "n3", texts=["a1", "a3"])

    assert one.current_release_id() == two.current_release_id() == "n2"
    assert [manifest.release_id for manifest in list_releases(two)] == ["n1", "n2"]


def test_a_pointer_that_changed_since_the_writer_began_is_not_replaced(bucket: Bucket, one: Workspace) -> None:
    night(one, "n1", ["a1"])
    with one.writing(now=NOW):
        bucket.remote().write("current.json", b'{"release_id": "n1", "published_at": "by somebody without a lease"}')
        with pytest.raises(MachineError, match=r"has published to s3://.* meanwhile") as caught:
            add_night(one, "n2", texts=["a1", "a3"])

    assert "builds upon" in caught.value.remedy
    assert one.current_release_id() == "n1"


def test_a_process_that_was_killed_here_holds_up_nobody_here(bucket: Bucket, one: Workspace, tmp_path: Path) -> None:
    with one.writing(now=NOW):
        held = bucket.remote().read("lock.json")
    assert held is not None
    bucket.remote().write("lock.json", held[0])  # as a killed process leaves it

    with pytest.raises(WorkspaceBusy), bucket.machine(tmp_path / "other").writing(now=NOW):
        pytest.fail("two writers")
    with bucket.machine(tmp_path / "one").writing(now=NOW):
        pass


def test_files_are_brought_once_and_only_those_that_are_asked_for(
    bucket: Bucket, one: Workspace, two: Workspace, tmp_path: Path
) -> None:
    night(one, "n1", ["a1", "a2"])

    folder = two.release("n1", only=["queries.parquet"])
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "queries.parquet"]
    two.release("n1")
    for path in one.release("n1").iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()

    before = (folder / "bm25.duckdb").stat().st_mtime_ns
    bucket.machine(tmp_path / "two").release("n1")
    assert (folder / "bm25.duckdb").stat().st_mtime_ns == before
    assert not two.release("n9").exists()


def test_an_object_that_is_not_what_the_manifest_says_is_not_brought(
    bucket: Bucket, one: Workspace, two: Workspace
) -> None:
    night(one, "n1", ["a1"])
    night(one, "n2", ["a1"])
    bucket.remote().write("releases/n1/queries.parquet", b"damaged")

    folder = two.release("n1")

    assert sorted(path.name for path in folder.iterdir()) == ["bm25.duckdb", "candidates.parquet", "manifest.json"]
    with pytest.raises(MachineError, match=r"files that are missing \(1\): queries.parquet"):
        roll_back(two, "n1", now=NOW, publish=Workspace.publish)


@pytest.mark.long
@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", ".."])
def test_a_manifest_cannot_name_a_place_outside_its_release(
    bucket: Bucket, one: Workspace, two: Workspace, name: str
) -> None:
    night(one, "n1", ["a1"])
    manifest = json.loads(one.manifest_of("n1") or b"")
    manifest["files"] = {name: "0" * 64}
    bucket.remote().write("releases/n1/manifest.json", json.dumps(manifest).encode())

    with pytest.raises(MachineError, match="does not say which files"):
        two.release("n1")


def test_what_a_killed_writer_left_is_no_release_and_the_next_writer_removes_it(
    bucket: Bucket, one: Workspace, two: Workspace
) -> None:
    night(one, "n1", ["a1"])
    bucket.remote().write("releases/n0/queries.parquet", b"of a release that never got its manifest")
    assert [manifest.release_id for manifest in list_releases(two)] == ["n1"]

    with two.writing(now=NOW):
        pass

    assert not [key for key in bucket.listed() if key.startswith("releases/n0/")]


@pytest.mark.long
def test_a_release_that_was_removed_elsewhere_is_none_here_whatever_the_copy_says(
    one: Workspace, two: Workspace
) -> None:
    night(one, "n1", ["a1"])
    night(one, "n2", ["a1", "a2"])
    two.release("n1")
    with one.writing(now=NOW):
        prune(one, keep=1, now=NOW)

    with pytest.raises(InputError, match="no release 'n1' in s3://"):
        roll_back(two, "n1", now=NOW, publish=Workspace.publish)

    assert not (two.releases / "n1").exists()
    assert [manifest.release_id for manifest in list_releases(two)] == ["n2"]


@pytest.mark.long
@pytest.mark.parametrize("pruner", ["one", "two"])
def test_collecting_removes_what_nothing_reaches_from_the_store(
    pruner: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_upkeep, "DEAD_BYTES", 0)
    first, place = bucket.machine(tmp_path / "one"), bucket.machine(tmp_path / pruner)
    night(first, "n1", ["a1", "a2", "a3", "b1"], ["a"])
    with first.writing(now=NOW):
        add_night(first, "n2", texts=["a3", "b1", "b2"], queries=["b"])
        add_night(first, "n3", texts=["z1"], embedder="e0", reranker="r0", publish=False, status="rejected")
        add_night(first, "n4", texts=["a3", "b1", "b2"], queries=["b"])

    with place.writing(now=NOW, tidy=False):
        planned = prune(place, keep=1, now=NOW, thorough=True, dry_run=True)
        done = prune(place, keep=1, now=NOW, thorough=True)

    assert done.releases_removed == planned.releases_removed == ("n1", "n2", "n3")
    assert done.tables_removed == planned.tables_removed == ("chunks_e0",)
    assert (done.rows_removed, done.waiting_for_readers) == (2, False)
    assert done.bytes_after < done.bytes_before == planned.bytes_before
    assert done.pair_scores_removed == 3 - 1  # the last candidate was not asked for
    assert {key.split("/")[1] for key in bucket.listed() if key.startswith("releases/")} == {"n4"}
    assert {key.split("/")[1] for key in bucket.listed() if key.startswith("memo/")} == {"pairs-r1", "queries-e1"}
    assert not [key for key in bucket.listed() if key.startswith("lance/chunks_e0")]
    third = bucket.machine(tmp_path / "three")
    assert texts_of(third, "n4") == {"a3", "b1", "b2"}
    with third.writing(now=NOW, tidy=False):
        again = prune(third, keep=1, now=NOW, thorough=True)
    assert (again.rows_removed, again.pair_scores_removed, again.releases_removed) == (0, 0, ())


@pytest.mark.long
def test_old_versions_wait_for_readers_on_other_machines(bucket: Bucket, one: Workspace, two: Workspace) -> None:
    night(one, "n1", ["a1", "a2"])
    night(one, "n2", ["a2"])
    with two.reading():
        table = ChunkTable.of_release(two.lance, name="chunks_e1", release_id="n1")
        with one.writing(now=NOW):
            assert prune(one, keep=1, now=NOW, thorough=True).waiting_for_readers
        found = table.rows(pa.array([chunk_hash("a1")]), ["text"])
        assert found.column("text").to_pylist() == ["a1"]
    with one.writing(now=NOW):
        assert not prune(one, keep=1, now=NOW, thorough=True).waiting_for_readers
    assert not [key for key in bucket.listed() if key.startswith("readers/")]


def test_a_reader_that_died_is_waited_for_no_longer_than_its_lease(bucket: Bucket, one: Workspace) -> None:
    night(one, "n1", ["a1"])
    bucket.remote().write("readers/gone.json", b'{"expires": 0.0}')

    with one.without_readers() as alone:
        assert alone

    assert "readers/gone.json" not in bucket.listed()


def promotion(name: str) -> Promotion:
    return Promotion(model=name, instead_of="a", sha256="0" * 64, promoted_at="2026-01-02T03:04:05+00:00")


def make_model(workspace: Workspace, fingerprint: str) -> Path:
    folder = workspace.models / f".training-{fingerprint}"
    (folder / "deep").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "deep" / "training.json").write_text("{}")
    return commit_model(
        workspace, folder, kind="embedder", fingerprint=fingerprint, report_files=["deep/training.json"]
    )


def test_a_model_that_one_machine_trained_is_there_for_another_when_it_is_needed(
    one: Workspace, two: Workspace
) -> None:
    made = make_model(one, "f1")
    promote(one, "embedder", promotion(made.name))

    assert promotions(two) == promotions(one)
    assert not (two.models / made.name).exists()
    bring_model(two.models / made.name)  # as whoever looks for the files of a model does
    assert (two.models / made.name / "model.safetensors").read_bytes() == b"weights"
    assert (two.models / made.name / "deep" / "training.json").read_text() == "{}"
    assert one.portable(str(made)) == f"{two}/models/{made.name}"
    assert two.here(one.portable(str(made))) == str(two.models / made.name)
    assert demote(two, "embedder") == promotion(made.name)
    assert promotions(one) == {}


def test_a_promotion_over_one_that_was_not_seen_is_refused(one: Workspace, two: Workspace) -> None:
    made = make_model(one, "f1")
    seen = one.change("models/promoted.json")
    promote(two, "embedder", promotion(made.name))
    with pytest.raises(MachineError, match="meanwhile"):
        seen.write("{}")

    assert promotions(one) == {"embedder": promotion(made.name)}


def test_a_workspace_travels_to_another_process_without_what_it_holds(one: Workspace) -> None:
    night(one, "n1", ["a1"])
    with one.writing(now=NOW):
        again = pickle.loads(pickle.dumps(one))

    assert again.root == one.root
    assert again.require_current() == "n1"
    assert str(again) == str(one)
    assert texts_of(again, "n1") == {"a1"}


def test_what_a_failed_night_scored_another_machine_does_not_score_again(one: Workspace, two: Workspace) -> None:
    with suppress(RuntimeError), one.writing(now=NOW):
        add_night(one, "n1", texts=["a1", "a2"], queries=["a"], publish=False)
        raise RuntimeError("the night fails, and its machine is gone")

    with two.writing(now=NOW), PairMemo(two.memo, reranker="r1") as memo:
        assert len(memo) == 1


def test_memos_are_shared_now_and_then_so_that_a_lost_machine_costs_minutes(
    one: Workspace, two: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_writer, "SHARE_SECONDS", 0.05)
    with one.writing(now=NOW), PairMemo(one.memo, reranker="r1") as memo:
        memo.append(
            pa.table({"query_key": [digest("q")], "chunk_hash": [digest("c")]}), np.array([1.0], dtype=np.float32)
        )
        for _ in range(200):
            if in_bucket(two).remote.sizes("memo"):
                break
            time.sleep(0.05)
        assert len(in_bucket(two).remote.sizes("memo")) == 1


def test_a_copy_that_cannot_be_written_is_told(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="local copy of s3://"):
        bucket.machine(tmp_path / "file")


def test_the_pointer_of_an_unpublished_workspace_is_none_and_messages_name_the_address(one: Workspace) -> None:
    assert one.current_release_id() is None
    with pytest.raises(InputError, match=r"The workspace s3://.* has no published release"):
        one.require_current()
    with pytest.raises(InputError, match=r"no release 'n1' in s3://"):
        read_manifest(one, "n1")


def test_a_folder_that_does_not_say_what_it_is_a_copy_of_is_told(tmp_path: Path) -> None:
    (tmp_path / ORIGIN_FILE).write_text('{"url": 7}')

    with pytest.raises(MachineError, match="does not say what this folder is a copy of"):
        workspace_at(tmp_path)


def test_other_options_for_the_same_address_are_taken(bucket: Bucket, tmp_path: Path) -> None:
    place = bucket.machine(tmp_path / "one")
    again = open_workspace(bucket.url, cache=tmp_path / "one", options=replace(bucket.options(), lease_seconds=7.0))

    assert again.root == place.root
    assert in_bucket(workspace_at(place.root)).remote.options.lease_seconds == 7.0
