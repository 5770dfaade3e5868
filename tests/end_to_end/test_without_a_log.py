"""A collection of which nobody knows what people ask: the documents ask, until people do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.parts.compare_releases import compare_releases
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.evaluate.known_items import measured_by_known_items
from nightrank.flows.operate.doctor import examine
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import current_manifest
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.collection import Collection, small_collection
from tests.support.takedown import taken_down

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.release.manifest import Manifest
    from tests.conftest import Models


def live(collection: Collection) -> Manifest:
    manifest = current_manifest(FolderWorkspace(collection.workspace))
    assert manifest is not None
    return manifest


def origins(collection: Collection) -> dict[str, tuple[str, int]]:
    """Who asked each query of the live release, and how often."""
    files = ReleaseFiles(collection.workspace / "releases" / live(collection).release_id)
    return {row["text"]: (row["origin"], row["count"]) for row in files.queries.read().to_pylist()}


def known_rows(collection: Collection) -> list[dict[str, Any]]:
    """The masked copies of the live release's known items."""
    files = ReleaseFiles(collection.workspace / "releases" / live(collection).release_id)
    rows: list[dict[str, Any]] = files.known_items.read().to_pylist()
    assert files.known_candidates.is_there()
    return rows


@pytest.fixture
def unasked(collection: Collection) -> Collection:
    """Without a log, and without judgments."""
    del collection.settings["queries"], collection.settings["judgments"]
    collection.settings["gates"] |= {"min_kept": 0.5}
    collection.write()
    return collection


def test_nights_without_a_log_end_where_a_rebuild_ends_and_ask_little_anew(unasked: Collection, tmp_path: Path) -> None:
    first = refresh_plainly(unasked.settings_file)
    assert first.published
    assert first.coverage is None
    assert first.counts.queries == first.counts.queries_from_documents == len(unasked.documents)  # each has a title
    before = origins(unasked)
    assert set(before.values()) == {("title", 0)}
    unasked.remove("tides")
    unasked.document("tea")["title"] = "All about tea"
    unasked.write()
    second = refresh_plainly(unasked.settings_file)

    assert second.counts.queries_embedded == 1
    assert before.keys() - origins(unasked).keys() == {"tides", "tea"}
    rebuild = Collection(tmp_path / "rebuild", unasked.settings, unasked.documents)
    rebuild.write()
    refresh_plainly(rebuild.settings_file)
    comparison = compare_releases(FolderWorkspace(unasked.workspace), FolderWorkspace(rebuild.workspace))
    assert comparison.is_exact, comparison.first

    known, made_anew = second.manifest.known_items, live(rebuild).known_items
    assert known is not None
    assert made_anew is not None
    assert known.measures == made_anew.measures
    assert known_rows(unasked) == known_rows(rebuild)
    assert {row["kind"] for row in known_rows(unasked)} == {"title"}
    assert not any(row["text"] == "all about tea" and row["document_id"] != "tea" for row in known_rows(unasked))
    assert 0 < known.embedded < made_anew.embedded == len(known_rows(unasked))
    assert second.manifest.judged_by is None
    assert second.manifest.measures == {}
    [gate] = [gate for gate in second.manifest.gates if gate.name == "known_items"]
    assert "known items (titles and headings" in gate.reason
    with SearchCache.open(unasked.workspace) as cache:
        found = cache.get("All about tea")
    assert found is not None
    assert found.results

    configuration = load_settings(unasked.settings_file)
    told = measured_by_known_items(configuration, None, measures=None, per_query=False)
    assert told is not None
    assert (told.judged_by, told.queries) == ("known items", known.items)
    assert told.means == known.measures
    with pytest.raises(InputError, match="and not by P@3"):
        measured_by_known_items(configuration, None, measures=["P@3"], per_query=False)

    [item] = {row["item"] for row in known_rows(unasked) if row["document_id"] == "tea"}
    [key] = {row["query_key"] for row in known_rows(unasked) if row["document_id"] == "tea"}
    assert taken_down(unasked, "tea", erasing=True).failed == ()
    files = ReleaseFiles(unasked.workspace / "releases" / live(unasked).release_id)
    assert "all about tea" not in origins(unasked)
    assert live(unasked).counts.queries == files.queries.row_count() > 0
    assert examine(FolderWorkspace(unasked.workspace), release_id=None).healthy
    with SearchCache.open(unasked.workspace) as cache:
        assert cache.get("All about tea") is None
    assert "tea" not in {row["document_id"] for row in known_rows(unasked)}
    assert key not in files.known_candidates.read().column("query_key").to_pylist()
    assert item not in files.known_evaluation.read().column("query_id").to_pylist()


@pytest.mark.long
def test_the_night_after_an_erasure_ends_where_a_rebuild_ends(unasked: Collection, tmp_path: Path) -> None:
    refresh_plainly(unasked.settings_file)
    taken_down(unasked, "tea", erasing=True)
    assert refresh_plainly(unasked.settings_file).published
    rebuild = Collection(tmp_path / "rebuild", unasked.settings, [*unasked.documents])
    rebuild.remove("tea")
    rebuild.write()
    refresh_plainly(rebuild.settings_file)
    comparison = compare_releases(FolderWorkspace(unasked.workspace), FolderWorkspace(rebuild.workspace))
    assert comparison.is_exact, comparison.first
    assert known_rows(unasked) == known_rows(rebuild)
    known, made_anew = live(unasked).known_items, live(rebuild).known_items
    assert known is not None
    assert made_anew is not None
    assert known.measures == made_anew.measures


@pytest.mark.long
def test_as_people_ask_the_documents_fall_silent_and_change_nothing_for_them(
    unasked: Collection, models: Models, tmp_path: Path
) -> None:
    refresh_plainly(unasked.settings_file)
    unasked.settings["queries"] = {"log": "queries.jsonl", "from_documents": 10}
    unasked.write()
    mixed = refresh_plainly(unasked.settings_file)

    people = len(unasked.log)
    assert mixed.published  # most of what was answered is gone, as it was meant to go
    assert (mixed.counts.queries, mixed.counts.queries_from_documents, mixed.coverage) == (10, 10 - people, 1.0)
    assert [origin for origin, _ in origins(unasked).values()].count("log") == people
    assert sum(count for _, count in origins(unasked).values()) == sum(count for _, _, count in unasked.log)
    assert examine(FolderWorkspace(unasked.workspace), release_id=None).healthy

    alone = small_collection(tmp_path / "alone", embedder=models.embedder, reranker=models.reranker)
    refresh_plainly(alone.settings_file)
    assert live(alone).log_means == live(unasked).log_means
    with SearchCache.open(alone.workspace) as theirs, SearchCache.open(unasked.workspace) as both:
        for _, text, _ in unasked.log:
            expected, found = theirs.get(text), both.get(text)
            assert expected is not None
            assert found is not None
            assert expected.results == found.results
