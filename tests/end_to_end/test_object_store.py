"""A workspace in an object store: nights, another machine, kills between any two writes."""

from __future__ import annotations

import copy
import shutil
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from benchmarks.inputs.tiny_models import tiny_embedder
from benchmarks.parts.compare_releases import rankings_of
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.operate.doctor import examine
from nightrank.flows.operate.releases import listed_releases
from nightrank.flows.operate.report import find_report
from nightrank.flows.operate.retract import take_down
from nightrank.flows.operate.search import search_live
from nightrank.flows.settings_file import load_settings
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.release.manifest import current_manifest, list_releases
from nightrank.storage.release.rollback import roll_back
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.follow import FollowingCache
from nightrank.storage.serving.open import open_results
from nightrank.storage.workspace.base import STAGING_PREFIX, Workspace
from nightrank.storage.workspace.models import Promotion, commit_model, promote
from nightrank.storage.workspace.open import open_workspace
from tests.support.collection import Collection, small_collection
from tests.support.nights import edit, night_process
from tests.support.object_store import copy_of, in_bucket, new_bucket
from tests.support.published import assert_same_rankings
from tests.support.stored_nights import NOW
from tests.support.takedown import wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.serving.reader import ResultsReader
    from tests.conftest import Command, Models
    from tests.support.nights import Nights
    from tests.support.object_store import Bucket


@pytest.fixture(scope="module")
def nights(store: str) -> Iterator[Nights]:
    """Nights that may be killed, in a process that knows the store."""
    with night_process() as process:
        yield process


def in_store(collection: Collection, bucket: Bucket, cache: Path) -> Collection:
    """Let a collection's workspace be in an object store, as a machine with this cache sees it."""
    collection.settings[""] = {**collection.settings.get("", {}), "workspace": bucket.url}
    collection.settings["storage"] = bucket.settings(cache)
    collection.write()
    return collection


def workspace_of(collection: Collection) -> Workspace:
    return load_settings(collection.settings_file).workspace


def twin_of(collection: Collection, folder: Path) -> Collection:
    """The same input with a workspace of its own, in a folder."""
    kept = {name: section for name, section in collection.settings.items() if name not in {"", "storage"}}
    twin = Collection(folder, kept, collection.documents, collection.log, collection.qrels)
    twin.write()
    return twin


@pytest.fixture(scope="module")
def two_nights(store: str, models: Models, tmp_path_factory: pytest.TempPathFactory) -> tuple[Collection, Bucket]:
    """A collection after two nights in a bucket, of which tests get copies."""
    folder = tmp_path_factory.mktemp("two-nights")
    bucket = new_bucket(store)
    collection = small_collection(folder / "project", embedder=models.embedder, reranker=models.reranker)
    collection.settings["evaluation"] = {"timed_queries": 1}
    in_store(collection, bucket, folder / "cache")
    refresh_plainly(collection.settings_file)
    edit(collection, 0)
    refresh_plainly(collection.settings_file)
    return collection, bucket


@pytest.fixture
def elsewhere(two_nights: tuple[Collection, Bucket], tmp_path: Path) -> Collection:
    """The same collection on another machine, with an empty cache and a bucket of its own."""
    first, bucket = two_nights
    shutil.copytree(first.folder, tmp_path / "project")
    there = copy.deepcopy(first)
    there.folder = tmp_path / "project"
    return in_store(there, copy_of(bucket), tmp_path / "cache")


@pytest.mark.long
def test_nights_in_a_store_give_what_a_night_from_nothing_in_a_folder_gives(
    two_nights: tuple[Collection, Bucket], tmp_path: Path
) -> None:
    collection, _ = two_nights
    twin = twin_of(collection, tmp_path / "twin")

    refresh_plainly(twin.settings_file)

    assert_same_rankings(rankings_of(workspace_of(collection)), rankings_of(workspace_of(twin)))
    ours, theirs = current_manifest(workspace_of(collection)), current_manifest(workspace_of(twin))
    assert ours is not None
    assert theirs is not None
    assert ours.inputs == theirs.inputs
    assert 0 < ours.counts.pairs_scored < ours.counts.pairs
    assert 0 < ours.counts.chunks_embedded < ours.counts.texts


@pytest.mark.long
def test_another_machine_finds_nothing_to_do_and_goes_on_where_the_first_one_ended(
    elsewhere: Collection, tmp_path: Path
) -> None:
    nothing = refresh_plainly(elsewhere.settings_file)
    assert not nothing.changed

    edit(elsewhere, 1)
    summary = refresh_plainly(elsewhere.settings_file)

    assert summary.published
    assert summary.counts.chunks_embedded < summary.counts.texts
    assert summary.counts.pairs_scored < summary.counts.pairs
    assert summary.counts.queries_embedded == 0
    twin = twin_of(elsewhere, tmp_path / "twin")
    refresh_plainly(twin.settings_file)
    assert_same_rankings(rankings_of(workspace_of(elsewhere)), rankings_of(workspace_of(twin)))


@pytest.mark.long
def test_another_machine_reads_reports_examines_and_rolls_back(elsewhere: Collection) -> None:
    workspace = workspace_of(elsewhere)
    first, second = list_releases(workspace)
    with SearchCache.of(workspace) as cache:
        found = cache.get("black tea")
    assert found is not None
    assert found.release_id == second.release_id
    here = workspace.releases / second.release_id
    assert sorted(path.name for path in here.iterdir()) == ["manifest.json", "results.sqlite"]

    release_id, report = find_report(workspace, release_id=None)
    assert release_id == second.release_id
    assert report.read_text(encoding="utf-8").startswith("<!")
    listed = listed_releases(workspace, current=second.release_id)
    assert [(each.release_id, each.current, each.damage) for each in listed] == [
        (first.release_id, False, ""),
        (second.release_id, True, ""),
    ]
    assert all(each.size_bytes > 1000 for each in listed)
    live = search_live(load_settings(elsewhere.settings_file), "black tea")
    assert [result.document_id for result in live.results] == [result.document_id for result in found.results]
    diagnosis = examine(workspace, release_id=None)
    assert diagnosis.healthy, diagnosis
    assert dict(next(c for c in diagnosis.checks if c.name == "candidates").findings.compared)["pair scores"] > 0

    done = roll_back(workspace, None, now=NOW, publish=Workspace.publish)
    assert (done.current, done.before) == (first.release_id, second.release_id)
    with SearchCache.of(workspace_of(elsewhere)) as cache:
        assert cache.release_id == first.release_id
    assert [key for key in in_bucket(workspace).remote.sizes() if key.startswith("readers/")] == []


@pytest.mark.slow
def test_a_promoted_model_is_one_for_all_machines(elsewhere: Collection, tmp_path: Path) -> None:
    workspace = workspace_of(elsewhere)
    workspace.models.mkdir()
    weights = tiny_embedder(tmp_path / "better", seed=8)
    made = commit_model(workspace, weights, kind="embedder", fingerprint="better", report_files=["config.json"])
    named = str(elsewhere.settings["embedder"]["model"])
    sha256 = sha256_of_file(made / "model.safetensors")
    promote(
        workspace,
        "embedder",
        Promotion(model=made.name, instead_of=named, sha256=sha256, promoted_at=NOW.isoformat()),
    )
    assert refresh_plainly(elsewhere.settings_file).published
    elsewhere.settings["storage"]["cache"] = str(tmp_path / "third")
    elsewhere.write()

    with SearchCache.of(workspace_of(elsewhere)) as cache:
        assert cache.get("black tea") is not None
    assert not (workspace_of(elsewhere).models / made.name).exists()  # a look-up needs no model
    assert not refresh_plainly(elsewhere.settings_file).changed

    assert (workspace_of(elsewhere).models / made.name).is_dir()
    manifest = current_manifest(workspace_of(elsewhere))
    assert manifest is not None
    section = manifest.settings["embedder"]
    assert isinstance(section, dict)
    assert section["model"] == f"{elsewhere.settings['']['workspace']}/models/{made.name}"


@pytest.mark.slow
def test_every_command_works_on_an_address(elsewhere: Collection, nightrank: Command) -> None:
    config = ("-c", elsewhere.settings_file)
    refreshed = nightrank("refresh", *config, "--json").json
    assert not refreshed["changed"]
    searched = nightrank("search", *config, "black tea", "--json").json
    assert searched["release_id"] == refreshed["release_id"]
    assert len(nightrank("releases", *config, "--json").json["releases"]) == 2
    assert nightrank("evaluate", *config, "--grid", "retrieval.fusion=rrf,minmax", "--json").code == 0
    assert nightrank("report", *config, "--json").json["release_id"] == refreshed["release_id"]
    assert nightrank("export", *config, "--to", elsewhere.folder / "served.sqlite", "--json").code == 0
    served = open_results(elsewhere.folder / "served.sqlite")
    assert served.release_id == refreshed["release_id"]
    served.close()
    rolled = nightrank("rollback", *config, "--json").json
    assert rolled["before"] == refreshed["release_id"]
    assert nightrank("rollback", *config, refreshed["release_id"], "--json").code == 0
    assert nightrank("prune", *config, "--keep", "1", "--json").json["releases_removed"] == [rolled["current"]]
    assert nightrank("doctor", *config, "--json").json["healthy"]


@pytest.mark.long
def test_a_store_that_is_not_there_is_told_with_a_remedy(elsewhere: Collection, nightrank: Command) -> None:
    reached = dict(elsewhere.settings["storage"])
    elsewhere.settings["storage"] |= {"endpoint": "http://127.0.0.1:9", "retry_seconds": 1.0}
    elsewhere.write()
    for command in (["search", "black tea"], ["releases"], ["refresh"]):
        ended = nightrank(*command, "-c", elsewhere.settings_file)
        assert ended.code == 1
        assert "cannot be reached" in ended.err
        assert "[storage]" in ended.err
    elsewhere.settings["storage"] = reached
    elsewhere.settings[""]["workspace"] = "s3://nobody-made-this/prefix"
    elsewhere.write()
    ended = nightrank("search", "black tea", "-c", elsewhere.settings_file)
    assert (ended.code, "no bucket" in ended.err) == (2, True)


# A night uploads parts of memos, then the files of the release; its conditional writes are the lease, two that must be
# refused, the manifest and the pointer, the lease before each of them, and the lease at the end.
MOMENTS = [
    ("before", "upload", 1),
    ("before", "upload", 4),
    ("after", "upload", 12),
    ("before", "conditional write", 5),
    ("after", "conditional write", 5),
    ("after", "conditional write", 7),
]
PUBLISHED = ("after", "conditional write", 7)


@pytest.mark.slow
def test_killed_between_two_writes_readers_keep_the_release_and_the_next_run_completes(
    nights: Nights, elsewhere: Collection, tmp_path: Path
) -> None:
    before, live = rankings_of(workspace_of(elsewhere)), workspace_of(elsewhere).require_current()
    for number, (when, step, call) in enumerate(MOMENTS, start=1):
        edit(elsewhere, number)
        assert killed(nights, elsewhere, when, step, call), (when, step, call)
        is_published = (when, step, call) == PUBLISHED
        assert (workspace_of(elsewhere).require_current() != live) == is_published, (when, step, call)
        if not is_published:
            assert_same_rankings(before, rankings_of(workspace_of(elsewhere)))
    assert_the_next_run_completes(elsewhere, nights, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["upload", "conditional write", "delete"])
def test_killed_before_any_of_its_writes_a_night_is_whole_or_was_not(
    step: str, nights: Nights, elsewhere: Collection, tmp_path: Path
) -> None:
    elsewhere.settings["retention"] = {"keep": 1}
    call, live = 1, rankings_of(workspace_of(elsewhere))
    while True:
        edit(elsewhere, call)
        before = workspace_of(elsewhere).require_current()
        if not killed(nights, elsewhere, "before", step, call):
            break
        if workspace_of(elsewhere).require_current() == before:
            assert_same_rankings(live, rankings_of(workspace_of(elsewhere)))
        live = rankings_of(workspace_of(elsewhere))
        call += 1
    assert call > 2
    assert_the_next_run_completes(elsewhere, nights, tmp_path)


def killed(nights: Nights, collection: Collection, when: str, step: str, call: int) -> bool:
    """Whether a night came to be killed at that moment; else it ended by itself."""
    kill: dict[str, str | float] = {f"kill_{when}": step, "kill_at_call": call}
    ended, _ = nights.run(collection, **kill)
    assert ended in {0, -signal.SIGKILL}
    return ended != 0


def assert_the_next_run_completes(collection: Collection, nights: Nights, folder: Path) -> None:
    edit(collection, 99)
    assert nights.run(collection)[0] == 0
    workspace = workspace_of(collection)
    twin = twin_of(collection, folder / "twin")
    assert nights.run(twin)[0] == 0
    assert_same_rankings(rankings_of(workspace), rankings_of(workspace_of(twin)))
    assert examine(workspace, release_id=None).healthy
    keys = in_bucket(workspace).remote.sizes("releases")
    ids = {key.split("/")[1] for key in keys}
    assert ids == {manifest.release_id for manifest in list_releases(workspace)}
    assert not list(workspace.releases.glob(f"{STAGING_PREFIX}*"))


@pytest.mark.long
def test_what_one_machine_takes_down_is_gone_from_all_others_and_can_be_erased(
    elsewhere: Collection, tmp_path: Path
) -> None:
    place = in_bucket(workspace_of(elsewhere))
    front = open_workspace(place.remote.url, cache=tmp_path / "front", options=place.remote.options)
    live, query = place.require_current(), elsewhere.log[0][1]
    with SearchCache.of(front) as cache, FollowingCache(front, look_every_seconds=3600) as following:
        gone = shown(cache, query)[0]
        configuration = load_settings(elsewhere.settings_file)
        with place.writing(now=NOW):  # a night is at work
            assert take_down(configuration, [gone], now=NOW).failed == ()
        assert following.look()
        assert shown(following, query) == wanted(place, live, [gone])[query]
    with SearchCache.of(front) as cache:
        assert shown(cache, query) == wanted(place, live, [gone])[query]
    done = take_down(configuration, [gone], erasing=True, now=datetime.now(UTC))
    assert done.failed == ()
    assert done.erased is not None
    assert done.erased.found_before.keys() >= {"id", "key", "text"}
    assert place.release_ids() == [place.require_current()] != [live]
    text = str(elsewhere.document(gone)["text"])[:40].encode()
    assert not [key for key in place.remote.sizes() if text in (place.remote.read(key) or (b"",))[0]]
    with SearchCache.of(front) as cache:
        assert gone not in shown(cache, query)
    assert examine(place, release_id=None).healthy


def shown(cache: ResultsReader, query: str) -> list[str]:
    found = cache.get(query)
    assert found is not None
    return [result.document_id for result in found.results]
