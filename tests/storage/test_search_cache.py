from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from storage.duck import connect
from storage.errors import InputError, MachineError
from storage.keys import normalise_query, query_key
from storage.search_cache import FORMS, RESULTS, CachedResults, Result, SearchCache, write_search_cache
from storage.workspace import Workspace

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NO_FORMS = FORMS.empty_table()
HOSTILE = ["'; DROP TABLE results; --", '" OR 1=1', "%", "_", "?", "$1", "\x00", "\\", "results", "\ud83d"]


def entry(document_id: str, *, rank: int = 1) -> dict[str, object]:
    return {
        "rank": rank,
        "document_id": document_id,
        "chunk_id": f"{document_id}#0",
        "score": 1.5,
        "title": "Title",
        "text": "Caf\u00e9 'text'",
        "metadata": {"year": 1999, "tags": ["a"]},
    }


def block(queries: dict[str, list[dict[str, object]]]) -> pa.Table:
    texts = [normalise_query(query) for query in queries]
    return pa.table(
        [[query_key(query) for query in queries], texts, [*map(json.dumps, queries.values())]], schema=RESULTS
    )


def publish(place: Workspace, release_id: str, queries: dict[str, list[dict[str, object]]]) -> None:
    place.release(release_id).mkdir(parents=True)
    write_search_cache(place.release(release_id) / "results.duckdb", [block(queries)], forms=NO_FORMS)
    place.point_at(release_id, now=NOW)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_results_are_read_back_as_they_were_written(place: Workspace) -> None:
    publish(place, "r1", {"read a csv": [entry("d2"), entry("d1", rank=2)], "nothing fits": []})
    with SearchCache.open(place.root) as cache:
        assert len(cache) == 2
        found = cache.get("read a csv")
        metadata = {"year": 1999, "tags": ["a"]}
        expected = [
            Result(1, "d2", "d2#0", 1.5, "Title", "Caf\u00e9 'text'", metadata),  # type: ignore[arg-type]  # it is JSON
            Result(2, "d1", "d1#0", 1.5, "Title", "Caf\u00e9 'text'", metadata),  # type: ignore[arg-type]  # it is JSON
        ]
        assert found == CachedResults("read a csv", "r1", tuple(expected))
        assert cache.get("nothing fits") == CachedResults("nothing fits", "r1", ())


def test_another_spelling_finds_the_same_and_an_unknown_query_nothing(place: Workspace) -> None:
    publish(place, "r1", {"read a csv": [entry("d1")]})
    with SearchCache.open(str(place.root)) as cache:
        assert cache.get("  READ\u00a0a \uff23SV") == cache.get("read a csv") is not None
        assert cache.get("read a cs") is None
        assert cache.get("") is None
        assert cache.get(query_key("read a csv")) is None


def test_the_same_text_with_another_filter_is_another_query(place: Workspace) -> None:
    folder = place.release("r1")
    folder.mkdir(parents=True)
    condition = '{"and":[{"type":"docs"},{"weight":{"lt":2000}}]}'
    rows = {None: [entry("d1")], condition: [entry("d2")]}
    columns = [[query_key("tea", key) for key in rows], ["tea"] * 2, [json.dumps(row) for row in rows.values()]]
    forms = pa.table([[query_key("tea?", condition)], [query_key("tea", condition)]], schema=FORMS)
    write_search_cache(folder / "results.duckdb", [pa.table(columns, schema=RESULTS)], forms=forms)
    place.point_at("r1", now=NOW)
    with SearchCache.open(place.root) as cache:
        found = cache.get("Tea", filter_by={"weight": {"lt": 2000.0}, "type": ["docs"]})
        assert found is not None
        assert ([result.document_id for result in found.results], found.condition) == (["d2"], condition)
        assert cache.get("tea?", filter_by=condition) == found
        assert cache.get("tea?") is None
        plain = cache.get("tea", filter_by={})
        assert plain is not None
        assert ([result.document_id for result in plain.results], plain.condition) == (["d1"], None)
        assert cache.get("tea", filter_by={"type": "docs"}) is None
        for hostile in HOSTILE[:-1]:
            assert cache.get("tea", filter_by={hostile: hostile}) is None
        with pytest.raises(InputError, match="the filter is no JSON"):
            cache.get("tea", filter_by="type = docs")


def test_a_query_is_only_ever_a_key(place: Workspace) -> None:
    writable = [query for query in HOSTILE if query != "\ud83d"]  # half a pair cannot be stored, and may be asked for
    publish(place, "r1", {"a": [entry("a")]} | {query: [entry(f"d{row}")] for row, query in enumerate(writable)})
    with SearchCache.open(place.root) as cache:
        found = [cache.get(query) for query in HOSTILE]
        assert [None if hit is None else hit.results[0].document_id for hit in found] == [
            *(f"d{row}" for row in range(len(writable))),
            None,
        ]
        assert len(cache) == len(writable) + 1


def test_several_blocks_make_one_cache_and_a_query_comes_once(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    assert write_search_cache(path, [block({"a": []}), block({"b": [], "c": []})], forms=NO_FORMS) == 3
    with SearchCache(path, release_id="r1") as cache:
        assert [cache.get(query) is not None for query in "abcd"] == [True, True, True, False]
    with pytest.raises(Exception, match=r"[Dd]uplicate key"):
        write_search_cache(tmp_path / "twice.duckdb", [block({"a": []}), block({"A": []})], forms=NO_FORMS)


def test_a_near_identical_form_finds_the_results_of_its_query_and_is_no_query_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    forms = pa.table([[query_key("e-mail?")], [query_key("e mail")]], schema=FORMS)
    assert write_search_cache(path, [block({"e mail": [entry("d1")]})], forms=forms) == 1
    with SearchCache(path, release_id="r1") as cache:
        assert len(cache) == 1
        assert cache.get(" E-Mail? ") == cache.get("e mail") is not None
        assert cache.get("e-mail") is None


def test_a_release_from_before_there_were_forms_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    write_search_cache(path, [block({"q": [entry("d1")]})], forms=NO_FORMS)
    with connect(path) as connection:
        connection.execute("DROP TABLE forms")
    with SearchCache(path, release_id="r1") as cache:
        assert cache.get("q") is not None
        assert cache.get("q?") is None


def test_a_reader_keeps_its_release_while_a_new_one_is_published(place: Workspace) -> None:
    publish(place, "r1", {"q": [entry("old")]})
    with SearchCache.open(place.root) as reader:
        publish(place, "r2", {"q": [entry("new")]})
        before = reader.get("q")
        with SearchCache.open(place.root) as later:
            after = later.get("q")
        assert before is not None
        assert after is not None
        assert (before.release_id, before.results[0].document_id) == ("r1", "old")
        assert (after.release_id, after.results[0].document_id) == ("r2", "new")


def test_several_processes_read_one_release_at_the_same_time(place: Workspace) -> None:
    publish(place, "r1", {"q": [entry("d1")]})
    code = "import sys; from storage.search_cache import SearchCache; print(len(SearchCache.open(sys.argv[1])))"
    with SearchCache.open(place.root) as cache:
        command = [sys.executable, "-c", code, str(place.root)]
        other = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
        assert other.stdout == "1\n"
        assert cache.get("q") is not None


def test_threads_that_share_a_cache_get_the_answers_to_their_own_queries(tmp_path: Path) -> None:
    queries = [f"query {number}" for number in range(300)]
    write_search_cache(tmp_path / "r.duckdb", [block({query: [entry(query)] for query in queries})], forms=NO_FORMS)
    with SearchCache(tmp_path / "r.duckdb", release_id="r1") as cache, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cache.get, queries))
    assert [None if hit is None else hit.results[0].document_id for hit in found] == queries


def test_before_the_first_release_there_is_nothing_to_open(place: Workspace) -> None:
    with pytest.raises(InputError, match="no published release"):
        SearchCache.open(place.root)


def test_a_release_that_has_lost_its_results_is_an_error(place: Workspace) -> None:
    place.point_at("r1", now=NOW)
    with pytest.raises(MachineError, match=r"release r1 has no file results\.duckdb"):
        SearchCache.open(place.root)
    assert not place.releases.exists()


def test_a_look_up_loads_no_model_and_no_orchestrator() -> None:
    heavy = {"torch", "prefect", "lancedb", "transformers"}
    code = f"import sys, storage.search_cache; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
