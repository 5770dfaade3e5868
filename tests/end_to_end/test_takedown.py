"""A document that was taken down is in no answer from that moment on, whatever becomes of nights and releases."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.night.summary import Refused
from nightrank.flows.operate.search import search_live
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.release import manifest as manifests
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.release.rollback import roll_back
from nightrank.storage.retracted.listed import LIST, read_retracted
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.follow import FollowingCache
from nightrank.storage.workspace.base import ANSWERS
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.takedown.retract import publish_without_retracted
from tests.support.collection import Collection, small_collection
from tests.support.night_process import STEPS_OF_A_TAKEDOWN
from tests.support.takedown import NOW, answered, answers, copy_of, night, taken_down, wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace
    from tests.conftest import Models
    from tests.support.nights import Nights

HONEY = "how do bees make honey"


@pytest.fixture(scope="module")
def made(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    collection = small_collection(
        tmp_path_factory.mktemp("takedown") / "made", embedder=models.embedder, reranker=models.reranker
    )
    night(collection)
    return collection


@pytest.fixture
def published(made: Collection, tmp_path: Path) -> Collection:
    """The collection with a release that has every document among its answers."""
    return copy_of(made, tmp_path / "project")


def place_of(collection: Collection) -> Workspace:
    return FolderWorkspace(collection.workspace)


def first_of(collection: Collection) -> str:
    return answers(collection)[HONEY][0]


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_between_any_two_steps_it_is_as_it_was_or_down_and_run_again_it_finishes(
    when: str, made: Collection, nights: Nights, tmp_path: Path
) -> None:
    before, place = answers(made), place_of(made)
    gone = before[HONEY][0]
    after = wanted(place, place.require_current(), [gone])
    for step in STEPS_OF_A_TAKEDOWN:
        project = copy_of(made, tmp_path / step)
        assert nights.run(project, take_down=gone, **{f"kill_{when}": step})[0] == -signal.SIGKILL, step
        assert answers(project) in (before, after), step
        assert nights.run(project, take_down=gone)[0] == 0, step
        assert answers(project) == after, step
        assert not [path for path in project.workspace.rglob(".*") if path.suffix == ".tmp"], step


def test_answers_fill_up_from_the_candidates_behind(published: Collection) -> None:
    place = place_of(published)
    live, before = place.require_current(), answers(published)
    gone = [before[HONEY][0], before["black tea"][3]]
    done = taken_down(published, *gone)
    assert (done.changed.held, done.changed.listed, done.failed) == (frozenset(gone), frozenset(), ())
    after = answers(published)
    assert after == wanted(place, live, gone)
    assert {len(ranking) for ranking in after.values()} == {10}
    assert done.changed.replaced == sum(before[query] != after[query] for query in before) > 0
    assert place.require_current() == live
    assert read_manifest(place, live).files  # the release is as it was
    with SearchCache.open(published.workspace) as cache:
        found = cache.get(HONEY)
    assert found is not None
    assert [result.rank for result in found.results] == list(range(1, 11))


def test_open_readers_keep_what_they_opened_and_those_that_follow_see_it_with_the_next_look(
    published: Collection,
) -> None:
    gone = first_of(published)
    with (
        FollowingCache.open(published.workspace, look_every_seconds=3600) as following,
        SearchCache.open(published.workspace) as opened,
    ):
        taken_down(published, gone)
        assert answered(opened, published)[HONEY][0] == gone
        assert following.look()
        assert gone not in answered(following, published)[HONEY]
        assert not following.look()
        taken_down(published, gone, undo=True)
        assert following.look()
        assert answered(following, published)[HONEY][0] == gone


def test_live_search_finds_it_no_more(published: Collection) -> None:
    gone = first_of(published)
    configuration = load_settings(published.settings_file)
    taken_down(published, gone)
    assert [result.document_id for result in search_live(configuration, HONEY).results] == answers(published)[HONEY]
    assert gone not in {result.document_id for result in search_live(configuration, "a query of nobody").results}


def test_brought_back_it_is_where_it_was(published: Collection) -> None:
    before, gone = answers(published), first_of(published)
    taken_down(published, gone, "volcano")
    assert taken_down(published, gone, undo=True).changed.held == {gone}
    assert read_retracted(place_of(published)).documents.keys() == {"volcano"}
    assert answers(published) == wanted(place_of(published), place_of(published).require_current(), ["volcano"])
    taken_down(published, "volcano", undo=True)
    assert answers(published) == before
    assert not list((published.workspace / ANSWERS).glob("*"))
    with pytest.raises(InputError, match="'volcano' among them"):
        taken_down(published, "volcano", undo=True)


@pytest.mark.long
def test_what_is_in_no_release_is_kept_out_of_the_next_one(published: Collection) -> None:
    done = taken_down(published, "news")
    assert (done.changed.held, done.changed.replaced) == (frozenset(), 0)
    published.documents.append({"_id": "news", "title": HONEY, "text": f"{HONEY}, {HONEY}."})
    night(published)
    assert "news" not in answers(published)[HONEY]
    assert taken_down(published, "news", undo=True).changed.held == frozenset()
    night(published)
    assert "news" in answers(published)[HONEY]


@pytest.mark.long
def test_the_next_nights_treat_it_as_removed_while_the_source_has_it(published: Collection, tmp_path: Path) -> None:
    gone = first_of(published)
    taken_down(published, gone)
    place = place_of(published)
    counts = read_manifest(place, night(published)).counts
    assert (counts.documents_retracted, counts.documents_removed, counts.documents_bad) == (1, 1, 0)
    assert read_retracted(place).releases[place.require_current()].file is None
    never = Collection(tmp_path / "never", published.settings, [*published.documents], published.log, published.qrels)
    never.remove(gone)
    night(never)
    assert answers(published) == answers(never)
    assert (
        read_manifest(place, place.require_current()).inputs
        == read_manifest(place_of(never), place_of(never).require_current()).inputs
    )


@pytest.mark.long
def test_a_gate_that_refuses_the_night_leaves_the_live_release_without_it(published: Collection) -> None:
    gone = first_of(published)
    taken_down(published, gone)
    place, live = place_of(published), place_of(published).require_current()
    published.settings["gates"]["min_overlap"] = 0.99
    for document in published.documents:
        document["text"] = f"{document['title']} {document['_id']}"
    with pytest.raises(Refused):
        night(published)
    assert place.require_current() == live
    assert answers(published) == wanted(place, live, [gone])


@pytest.mark.long
def test_no_gate_refuses_a_night_for_what_was_taken_down(made: Collection, tmp_path: Path) -> None:
    strict = copy_of(made, tmp_path / "strict")
    strict.settings["gates"] = {"max_text_lost": 0.001, "margin": 0.001}
    taken_down(strict, first_of(strict), "garden", "volcano")  # the garden is a third of all text
    night(strict)
    night(strict)


@pytest.mark.long
def test_a_rollback_brings_nothing_back(published: Collection) -> None:
    place, first = place_of(published), place_of(published).require_current()
    published.documents[5]["text"] = "Other words."
    night(published)
    gone = first_of(published)
    taken_down(published, gone)
    roll_back(place, None, now=NOW, publish=publish_without_retracted)
    assert place.require_current() == first
    assert answers(published) == wanted(place, first, [gone])


@pytest.mark.long
def test_a_night_that_was_under_way_publishes_without_it(
    published: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, before = first_of(published), place_of(published).require_current()
    commit: Callable[..., Path] = manifests.commit_release

    def meanwhile(*args: object, **kwargs: object) -> Path:
        taken_down(published, gone)  # the night holds the workspace, and has read everything long ago
        return commit(*args, **kwargs)

    monkeypatch.setattr("nightrank.tasks.stages.publish.commit_release", meanwhile)
    published.documents[5]["text"] = "Other words."
    live = night(published)
    assert live != before
    assert gone in ReleaseFiles(place_of(published).release(live)).documents.read().column("document_id").to_pylist()
    assert answers(published) == wanted(place_of(published), live, [gone])


def test_a_release_that_the_list_does_not_speak_of_shows_less_and_never_more(published: Collection) -> None:
    gone = first_of(published)
    taken_down(published, gone)
    path = published.workspace / LIST
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "releases": {}}))
    shorter = answers(published)
    assert gone not in shorter[HONEY]
    assert len(shorter[HONEY]) == 9
    taken_down(published)  # without an id, what readers get is put in order
    assert answers(published) == wanted(place_of(published), place_of(published).require_current(), [gone])


def test_a_list_that_cannot_be_read_shows_nothing(published: Collection) -> None:
    taken_down(published, "bees")
    (published.workspace / LIST).write_text("{")
    with pytest.raises(MachineError, match="not a list of documents that were taken down"):
        SearchCache.open(published.workspace)
