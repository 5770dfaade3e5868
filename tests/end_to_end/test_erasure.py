"""What is erased is in no byte of the workspace, and what is left is a whole release."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.operate.doctor import examine
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.release.results.near import near_facts
from nightrank.storage.retracted.listed import LIST
from nightrank.storage.workspace.base import ANSWERS
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.collection import Collection, small_collection
from tests.support.night_process import STEPS_OF_AN_ERASURE
from tests.support.published import check_readable
from tests.support.takedown import NOW, answers, copy_of, night, taken_down

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace
    from tests.conftest import Models
    from tests.support.nights import Nights

SAID_BY_TWO = "A text that two documents say is kept once, by what it says."


@pytest.fixture(scope="module")
def made(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Two releases, both with everything."""
    collection = small_collection(
        tmp_path_factory.mktemp("erasure") / "made", embedder=models.embedder, reranker=models.reranker
    )
    collection.settings["near"] = {"tiers": ["same_answer"]}
    collection.documents.append({"_id": "asked", "title": "", "text": "what does the moon do to the sea"})
    collection.documents += [{"_id": one, "title": "Twins", "text": SAID_BY_TWO} for one in ("twin-a", "twin-b")]
    night(collection)
    collection.documents[5]["text"] = "Other words."
    night(collection)
    return collection


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_it_has_lost_nothing_and_run_again_it_finishes(
    when: str, made: Collection, nights: Nights, tmp_path: Path
) -> None:
    for step in STEPS_OF_AN_ERASURE:
        project = copy_of(made, tmp_path / step)
        killed = nights.run(project, take_down="bees", erasing=1, **{f"kill_{when}": step})[0]
        assert killed == -signal.SIGKILL, step
        check_readable(project.workspace)
        assert not any("bees" in ranking for ranking in answers(project).values()), step
        assert nights.run(project, take_down="bees", erasing=1)[0] == 0, step
        assert files_with(project, "Bees carry nectar home.", "bees#0") <= {LIST}, step
        check_readable(project.workspace)


@pytest.fixture
def published(made: Collection, tmp_path: Path) -> Collection:
    return copy_of(made, tmp_path / "project")


def place_of(collection: Collection) -> Workspace:
    return FolderWorkspace(collection.workspace)


def files_with(collection: Collection, *said: str) -> set[str]:
    """The files of a workspace that hold one of some texts, byte for byte."""
    root = collection.workspace
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and any(text.encode() in path.read_bytes() for text in said)
    }


def test_nothing_is_left_and_the_live_release_is_whole(published: Collection) -> None:
    place = place_of(published)
    before = place.require_current()
    said = ("Bees carry nectar home.", "into dark crumbly soil")
    assert files_with(published, *said)
    done = taken_down(published, "bees", "garden", erasing=True)
    erased = done.erased
    assert erased is not None
    assert done.failed == ()
    assert erased.found_before.keys() == {"id", "key", "text", "vector"}
    assert erased.found_after == {}
    assert erased.rewritten == before
    assert set(erased.releases_removed) >= {before}
    assert place.release_ids() == [place.require_current()]
    assert not list((published.workspace / ANSWERS).glob("*"))
    assert files_with(published, *said, '"bees"', "bees#0", "garden#1") == {LIST}
    diagnosis = examine(place, release_id=None)
    assert diagnosis.healthy, diagnosis.as_json()
    manifest = read_manifest(place, place.require_current())
    assert (manifest.counts.documents, manifest.erased) == (len(published.documents) - 2, 2)
    assert {len(ranking) for ranking in answers(published).values()} == {10}
    path = ReleaseFiles(place.release(place.require_current())).results.path
    with ResultsFile(path) as results, results.reading() as connection:
        assert near_facts(connection) is not None
    assert not {"bees", "garden"} & {one for ranking in answers(published).values() for one in ranking}


@pytest.mark.long
def test_the_night_after_is_a_rebuild(published: Collection, tmp_path: Path) -> None:
    taken_down(published, "bees", "garden", erasing=True)
    erased = place_of(published).require_current()
    live = night(published)
    assert live != erased
    assert read_manifest(place_of(published), live).erased == 0
    never = Collection(tmp_path / "never", published.settings, [*published.documents], published.log, published.qrels)
    never.remove("bees")
    never.remove("garden")
    night(never)
    assert answers(published) == answers(never)
    assert night(published) == live
    assert "Bees carry nectar home." not in (place_of(published).release(live) / "report.html").read_text()


def test_a_text_that_another_document_says_stays_and_is_told(published: Collection) -> None:
    done = taken_down(published, "twin-a", erasing=True)
    assert done.erased is not None
    assert (done.erased.shared_texts, done.erased.found_after) == (1, {})
    documents = ReleaseFiles(place_of(published).release(place_of(published).require_current())).documents.read()
    assert "twin-b" in documents.column("document_id").to_pylist()
    assert examine(place_of(published), release_id=None).healthy


def test_what_visitors_ask_in_its_very_words_is_theirs_and_stays(published: Collection) -> None:
    done = taken_down(published, "asked", erasing=True)
    assert done.erased is not None
    assert (done.erased.shared_parts, done.erased.found_after, done.failed) == (1, {}, ())


def test_while_somebody_holds_the_workspace_it_is_down_and_not_erased(published: Collection) -> None:
    with place_of(published).writing(now=NOW):
        done = taken_down(published, "bees", erasing=True)
    assert done.erased is None
    assert "Nothing proves that it is erased" in done.failed[0]
    assert "bees" not in {one for ranking in answers(published).values() for one in ranking}
    assert taken_down(published, erasing=True).failed == ()
