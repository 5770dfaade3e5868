"""Near answers, through whole nights: measured, stored in the release, found by readers; nothing of them where off."""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank import FollowingCache, SearchCache
from nightrank.flows.operate.search import search_live, search_pool
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import current_manifest
from nightrank.storage.release.near_record import POOL, read_near
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.flows.serve.conftest import served
from tests.support.collection import LOG, TEXTS, Collection, small_collection

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from tests.conftest import Command, Models
    from tests.support.collection import TomlValue

ON: dict[str, TomlValue] = {"tiers": ["same_answer", "same_pool"], "max_lost_overlap": 0.99, "confidence": 0.5}
VARIANTS = [
    ("v1", "black teas", 1),
    ("v2", "tea black", 1),
    ("v3", "sun and salt", 1),
    ("v4", "the bees making honey combs", 3),
    ("v5", "bees makes honey comb", 1),
    ("v6", "bees makes honeey comb", 1),
]
PERSONAL = "honey for jane.doe@example.org"
FILTER: JsonValue = {"letters": {"lt": 7}}


@pytest.fixture(scope="module")
def once(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """A release with near answers; copy it before you change it."""
    folder = tmp_path_factory.mktemp("near") / "project"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    collection.settings["near"] = dict(ON)
    # The models are random: what is lost is much, so it takes some to say that it is less than everything.
    forms = [(f"{query_id}-form", f"the {text}", 1) for query_id, text, _ in LOG]
    titles = [(f"{document_id}-title", title, 1) for document_id, (title, _) in TEXTS.items()]
    collection.log += [*VARIANTS, *forms, *titles, ("f1", "green tea leaf", 2), ("p1", PERSONAL, 1)]
    collection.settings["queries"] = {**collection.settings.get("queries", {}), "personal_data": "keep"}
    collection.filters["f1"] = FILTER
    collection.write()
    refresh_plainly(collection.settings_file)
    return collection


@pytest.fixture
def near_release(once: Collection, tmp_path: Path) -> Collection:
    shutil.copytree(once.folder, tmp_path / "project")
    return replace(
        once,
        folder=tmp_path / "project",
        settings={**once.settings},
        documents=copy.deepcopy(once.documents),
        log=[*once.log],
    )


def files_of(collection: Collection) -> ReleaseFiles:
    place = FolderWorkspace(collection.workspace)
    return ReleaseFiles.of(place, place.require_current())


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"')) for name in names}


def test_a_release_answers_near_queries_with_the_known_one_s_results(near_release: Collection) -> None:
    with SearchCache.open(near_release.workspace) as cache:
        exact = cache.get("black tea", near=True)
        assert exact is not None
        assert (exact.how, exact.from_query, exact.expected_overlap) == ("exact", None, 1.0)
        assert cache.get("the moon does what to the sea", near=True) is None
        assert cache.get("honey bees made comb") is None
        found = cache.get("Bees  make HONEY combs", near=True)
        assert found is not None
        assert (found.query, found.how, found.from_query) == (
            "bees make honey combs",
            "near",
            "the bees making honey combs",
        )
        assert 0.0 < found.expected_overlap <= 1.0
        known = cache.get("the bees making honey combs")
        assert known is not None
        assert found.results == known.results
        misspelt = cache.get("when is the last frost in the gaarden", near=True)
        assert misspelt is not None
        assert misspelt.from_query == "when is the last frost in the garden"
        # Filters never meet.
        assert cache.get("green teas leaf", near=True) is None
        filtered = cache.get("green teas leaf", filter_by=FILTER, near=True)
        assert filtered is not None
        assert filtered.condition == '{"letters":{"lt":7}}'
        assert cache.get("bees make honey combs", filter_by=FILTER, near=True) is None
    with FollowingCache.open(near_release.workspace) as following:
        followed = following.get("bees make honey combs", near=True)
        assert followed is not None
        assert followed.from_query == found.from_query


def test_the_night_tells_what_near_answers_may_lose_and_the_command_who_answers(
    near_release: Collection, nightrank: Command
) -> None:
    manifest = current_manifest(FolderWorkspace(near_release.workspace))
    assert manifest is not None
    [gate] = [gate for gate in manifest.gates if gate.name == "near_error"]
    assert "wording: on" in gate.reason
    page = files_of(near_release).report.path.read_text(encoding="utf-8")
    assert "Near answers" in page
    config = ("-c", str(near_release.settings_file))
    ended = nightrank("search", "bees make honey combs", "--near", "--json", *config)
    assert ended.code == 0, ended.err
    assert (ended.json["how"], bool(ended.json["from_query"])) == ("near", True)
    assert ended.json["expected_overlap"] <= 1.0
    shown = nightrank("search", "bees make honey combs", "--near", *config)
    assert f"near, as of {ended.json['from_query']}" in shown.out
    unknown = nightrank("search", "quite unknown", "--near", "--filter", '{"letters": 9}', "--json", *config)
    assert unknown.json["how"] == "live"  # no known query has this filter


def test_the_second_tier_rescores_what_was_found_for_the_nearest_queries(near_release: Collection) -> None:
    record = read_near(files_of(near_release).near)
    assert record is not None
    [pool] = [move for move in record.moves if move.move == POOL]
    assert pool.is_on
    assert pool.held_out > 5
    configuration = load_settings(near_release.settings_file)
    query = "wood and water for bread"
    found, live = search_pool(configuration, query), search_live(configuration, query)
    assert found is not None
    assert (found.how, found.query) == ("near", query)
    assert found.expected_overlap == pool.overlap
    # So few documents: all of them are in the pool, and what differs is the reranker, which was not asked.
    assert {result.document_id for result in found.results} & {result.document_id for result in live.results}
    with SearchCache.open(near_release.workspace) as cache:
        assert cache.get(query, near=True) is None
        assert cache.get(found.from_query or "") is not None
    assert search_pool(configuration, query, filter_by=FILTER) is None, "further off than any that was measured"
    filtered = search_pool(configuration, "green leaf tea", filter_by=FILTER)
    assert filtered is not None
    assert filtered.from_query == "green tea leaf"
    letters = {str(document["_id"]): document["letters"] for document in near_release.documents}
    assert all(int(str(letters[result.document_id])) < 7 for result in filtered.results)
    assert search_pool(configuration, query, filter_by={"letters": 9}) is None


@pytest.mark.long
def test_a_night_ends_where_a_rebuild_ends(near_release: Collection, tmp_path: Path) -> None:
    near_release.document("tea")["text"] = "Leaves of one bush make green tea and black tea."
    near_release.log += [("v7", "salts and suns", 1), ("v8", "tea leaf", 2)]
    near_release.write()
    refresh_plainly(near_release.settings_file)
    rebuild = Collection(
        tmp_path / "rebuild",
        near_release.settings,
        near_release.documents,
        near_release.log,
        near_release.qrels,
        near_release.filters,
    )
    rebuild.write()
    refresh_plainly(rebuild.settings_file)
    assert files_of(near_release).near.path.read_bytes() == files_of(rebuild).near.path.read_bytes()
    made, remade = (tables(files_of(one).results.path) for one in (near_release, rebuild))
    assert made.keys() == remade.keys() >= {"near", "near_forms", "near_terms", "near_words"}
    assert made == remade


@pytest.mark.long
def test_where_near_answers_are_off_a_release_has_nothing_of_them(near_release: Collection) -> None:
    with_near = tables(files_of(near_release).results.path)
    near_release.settings["near"] = {"tiers": []}
    near_release.write()
    assert refresh_plainly(near_release.settings_file).changed
    files = files_of(near_release)
    assert not files.near.is_there()
    assert tables(files.results.path) == {
        name: rows for name, rows in with_near.items() if name not in {"near", "near_forms", "near_terms", "near_words"}
    }
    bytes_without = files.results.path.read_bytes()
    del near_release.settings["near"]
    near_release.write()
    assert not refresh_plainly(near_release.settings_file).changed
    assert files_of(near_release).results.path.read_bytes() == bytes_without
    with (
        SearchCache.open(near_release.workspace) as cache,
        pytest.raises(InputError, match="without near answers") as told,
    ):
        cache.get("bees make honey combs", near=True)
    assert "[near].tiers" in (told.value.remedy or "")


@pytest.mark.long
def test_few_known_variants_say_too_little_and_required_near_answers_refuse_the_night(collection: Collection) -> None:
    collection.settings["near"] = {"tiers": ["same_answer"]}
    collection.write()
    summary = refresh_plainly(collection.settings_file)
    assert any("Near answers are not given" in warning for warning in summary.warnings)
    with SearchCache.open(collection.workspace) as cache:
        assert cache.get("black teas", near=True) is None
    collection.settings["near"] = {"tiers": ["same_answer"], "required": True}
    collection.write()
    with pytest.raises(Exception, match="near_error"):
        refresh_plainly(collection.settings_file)


def test_near_answers_of_another_reading_are_not_read(near_release: Collection) -> None:
    path = files_of(near_release).results.path
    path.chmod(0o644)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE near SET value = ? WHERE name = 'analysis'", (json.dumps("another"),))
    with SearchCache.open(near_release.workspace) as cache:
        assert cache.get("black tea", near=True) is not None
        with pytest.raises(MachineError, match="another version"):
            cache.get("black teass", near=True)
    with served(near_release) as (client, _):  # all others are answered
        assert client.get("/search", params={"q": "black tea"}).json()["how"] == "exact"
        answer = client.get("/search", params={"q": "bees make honey combs"}).json()
        assert (answer["how"], bool(answer["results"])) in {("near", True), ("live", True)}
        assert not answer["from_query"] or answer["how"] == "near"


def test_a_near_look_up_loads_no_model_and_a_plain_one_no_analysis(near_release: Collection) -> None:
    program = f"""
import sys
from nightrank import SearchCache
with SearchCache.open({str(near_release.workspace)!r}) as cache:
    cache.get("black tea")
    print(sorted({{"pyarrow", "numpy", "Stemmer", "prefect", "duckdb"}} & sys.modules.keys()))
    assert cache.get("bees make honey combs", near=True) is not None
    print(sorted({{"torch", "prefect", "duckdb", "lancedb", "transformers", "scipy"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"


def test_what_a_visitor_wrote_of_themselves_is_not_told_to_another(near_release: Collection) -> None:
    with SearchCache.open(near_release.workspace) as cache:
        assert cache.get(PERSONAL) is not None
        found = cache.get(f"the {PERSONAL}", near=True)
    assert found is not None
    assert (found.how, found.from_query) == ("near", None)
    pooled = search_pool(load_settings(near_release.settings_file), PERSONAL)
    assert pooled is not None
    assert (pooled.how, pooled.from_query) == ("near", None)


def test_the_server_gives_the_near_answer_that_loses_least_and_the_command_the_same(
    near_release: Collection, nightrank: Command
) -> None:
    record = read_near(files_of(near_release).near)
    assert record is not None
    overlaps = {move.move: move.overlap or 0.0 for move in record.moves}
    with served(near_release) as (client, _):
        query = "bees make honey combs"
        answer = client.get("/search", params={"q": query}).json()
        assert (answer["query"], answer["how"]) == (query, "near")
        with SearchCache.open(near_release.workspace) as cache:
            same = cache.get(query, near=True)
        assert same is not None
        assert answer["expected_overlap"] == pytest.approx(max(same.expected_overlap, overlaps["pool"]))
        for asked in (query, "wood and water for bread", "black tea"):
            mine, theirs = (
                nightrank("search", asked, "--near", "--json", "-c", str(near_release.settings_file)).json,
                client.get("/search", params={"q": asked}).json(),
            )
            assert mine["how"] == theirs["how"]
            if mine["how"] == "near":
                assert mine["from_query"] == theirs["from_query"]
                assert mine["expected_overlap"] == theirs["expected_overlap"]
            assert [(one["chunk_id"], one["score"]) for one in mine["results"]] == [
                (one["chunk_id"], one["score"]) for one in theirs["results"]
            ]
        pooled = client.get("/search", params={"q": "wood and water for bread"}).json()
        assert (pooled["how"], pooled["expected_overlap"]) == ("near", overlaps["pool"])
        exact = client.get("/search", params={"q": "black tea"}).json()
        assert (exact["how"], exact["from_query"], exact["expected_overlap"]) == ("exact", None, None)
        # No known query has this filter, so the answer is made now.
        live = client.get("/search", params={"q": "wood and water", "filter": '{"letters": 9}'}).json()
        assert live["how"] == "live"
