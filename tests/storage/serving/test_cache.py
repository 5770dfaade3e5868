from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.keys import normalise_query, query_key
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.file import write_results_file
from nightrank.storage.serving.cache import CachedResults, Result, SearchCache, Snippet, read_results
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.workspace.base import Workspace

Answers: TypeAlias = dict[str, list[dict[str, object]]]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # half a pair is no character
NOW = datetime(2026, 1, 2, tzinfo=UTC)
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


def rows(queries: Answers) -> Iterator[tuple[str, str, str]]:
    for query, results in queries.items():
        yield query_key(query), normalise_query(query), json.dumps(results)


def publish(place: Workspace, release_id: str, queries: Answers) -> None:
    place.release(release_id).mkdir(parents=True)
    write_results_file(ReleaseFiles(place.release(release_id)).results.path, rows(queries))
    place.publish(release_id, now=NOW)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return FolderWorkspace(tmp_path)


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


def test_a_result_has_its_snippet_cut_where_highlights_begin_and_end(place: Workspace) -> None:
    snippet = {"start": 1, "end": 11, "cut_start": True, "cut_end": False, "highlights": [[1, 4], [6, 10]]}
    publish(place, "r1", {"tea": [{**entry("d1"), "snippet": snippet}, {**entry("d2", rank=2), "snippet": None}]})
    with SearchCache.open(place.root) as cache:
        found = cache.get("tea")
    assert found is not None
    first, second = found.results
    assert first.snippet == Snippet(1, 11, cut_start=True, cut_end=False, highlights=((1, 4), (6, 10)))
    assert first.snippet_parts() == (("afé", True), (" '", False), ("text", True), ("'", False))
    assert second.snippet is None
    assert second.snippet_parts() == ()


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
    answers = {None: [entry("d1")], condition: [entry("d2")]}
    aliases = [(query_key("tea?", condition), query_key("tea", condition))]
    of_tea = [(query_key("tea", key), "tea", json.dumps(answer)) for key, answer in answers.items()]
    write_results_file(ReleaseFiles(folder).results.path, of_tea, aliases=aliases)
    place.publish("r1", now=NOW)
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


def test_a_query_comes_once(tmp_path: Path) -> None:
    assert write_results_file(ReleaseFiles(tmp_path).results.path, rows({"a": [], "b": [], "c": []})) == 3
    with SearchCache(tmp_path, release_id="r1") as cache:
        assert [cache.get(query) is not None for query in "abcd"] == [True, True, True, False]
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        write_results_file(tmp_path / "twice.sqlite", [*rows({"a": []}), *rows({"A": []})])


def test_a_near_identical_form_finds_the_results_of_its_query_and_is_no_query_of_its_own(tmp_path: Path) -> None:
    aliases = [(query_key("e-mail?"), query_key("e mail"))]
    assert (
        write_results_file(ReleaseFiles(tmp_path).results.path, rows({"e mail": [entry("d1")]}), aliases=aliases) == 1
    )
    with SearchCache(tmp_path, release_id="r1") as cache:
        assert len(cache) == 1
        assert cache.get(" E-Mail? ") == cache.get("e mail") is not None
        assert cache.get("e-mail") is None


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
    code = (
        "import sys; from nightrank.storage.serving.cache import SearchCache; print(len(SearchCache.open(sys.argv[1])))"
    )
    with SearchCache.open(place.root) as cache:
        command = [sys.executable, "-c", code, str(place.root)]
        other = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
        assert other.stdout == "1\n"
        assert cache.get("q") is not None


def test_threads_that_share_a_cache_get_the_answers_to_their_own_queries(tmp_path: Path) -> None:
    queries = [f"query {number}" for number in range(300)]
    write_results_file(ReleaseFiles(tmp_path).results.path, rows({query: [entry(query)] for query in queries}))
    with SearchCache(tmp_path, release_id="r1") as cache, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cache.get, queries))
    assert [None if hit is None else hit.results[0].document_id for hit in found] == queries


def test_before_the_first_release_there_is_nothing_to_open(place: Workspace) -> None:
    with pytest.raises(InputError, match="no published release"):
        SearchCache.open(place.root)


def test_processes_that_are_forked_from_a_reader_get_their_own_answers(tmp_path: Path) -> None:
    queries = [f"query {number}" for number in range(300)]
    write_results_file(ReleaseFiles(tmp_path).results.path, rows({query: [entry(query)] for query in queries}))
    with SearchCache(tmp_path, release_id="r1") as cache:
        assert cache.get("query 0") is not None  # so that there is a connection to be carried over
        children = [forked(lambda: asks_all(cache, queries)) for _ in range(2)]
        assert asks_all(cache, queries)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]


def test_what_is_open_goes_on_being_read_after_its_release_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [f"query {number}" for number in range(300)]
    folder, temporary = tmp_path / "r1", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    write_results_file(ReleaseFiles(folder).results.path, rows({query: [entry(query)] for query in queries}))
    with SearchCache(folder, release_id="r1") as cache:
        shutil.rmtree(folder)
        child = forked(lambda: asks_all(cache, queries))
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: asks_all(cache, queries), range(8)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(temporary.iterdir())) <= 1  # the child's, which ends without closing anything


def test_another_file_under_its_name_is_not_read(tmp_path: Path) -> None:
    path = ReleaseFiles(tmp_path).results.path
    write_results_file(path, rows({"tea": [entry("old")]}))
    with SearchCache(tmp_path, release_id="r1") as cache:
        path.unlink()
        write_results_file(path, rows({"tea": [entry("new")]}))
        child = forked(lambda: found_in(cache, "tea") == "old")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert found_in(cache, "tea") == "old"


@pytest.mark.parametrize("results", ["[{", '[{"rank": "first"}]', "7", "[" * 100_000])
def test_a_damaged_row_is_told(tmp_path: Path, results: str) -> None:
    write_results_file(ReleaseFiles(tmp_path).results.path, [(query_key("tea"), "tea", results)])
    with SearchCache(tmp_path, release_id="r1") as cache, pytest.raises(MachineError, match="cannot be read"):
        cache.get("tea")


def found_in(cache: SearchCache, query: str) -> str | None:
    found = cache.get(query)
    return None if found is None else found.results[0].document_id


def asks_all(cache: SearchCache, queries: list[str]) -> bool:
    found = [cache.get(query) for query in queries]
    return [None if hit is None else hit.results[0].document_id for hit in found] == queries


def forked(succeeds: Callable[[], bool]) -> int:
    if child := os.fork():
        return child
    os._exit(not succeeds())


def test_a_cache_that_has_been_closed_says_so(place: Workspace) -> None:
    publish(place, "r1", {"q": [entry("d1")]})
    cache = SearchCache.open(place.root)
    cache.close()
    with pytest.raises(ValueError, match="have been closed"):
        cache.get("q")


def test_results_are_read_from_a_folder_that_nobody_may_write(place: Workspace) -> None:
    publish(place, "r1", {"q": [entry("d1")]})
    with SearchCache.open(place.root) as cache:
        assert cache.get("q") is not None
    assert [path.name for path in place.release("r1").iterdir()] == [
        ReleaseFiles.results.name
    ]  # no lock, no journal beside it


@pytest.mark.parametrize("content", [b"torn", b"x" * 5000])
def test_a_file_that_is_no_cache_is_told_when_it_is_opened(place: Workspace, content: bytes) -> None:
    publish(place, "r1", {"q": [entry("d1")]})
    ReleaseFiles(place.release("r1")).results.path.write_bytes(content)
    with pytest.raises(MachineError, match=r"r1/results\.sqlite cannot be read"):
        SearchCache.open(place.root)


def test_a_file_that_was_cut_short_is_told_when_what_is_missing_is_asked_for(place: Workspace) -> None:
    queries = [f"query {number}" for number in range(100)]
    publish(place, "r1", {query: [entry("d1")] for query in queries})
    path = ReleaseFiles(place.release("r1")).results.path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 8192 * 4096])
    with pytest.raises(MachineError, match="malformed"), SearchCache.open(place.root) as cache:  # noqa: PT012
        for query in queries:
            cache.get(query)


def test_a_release_that_has_lost_its_results_is_an_error(place: Workspace) -> None:
    place.publish("r1", now=NOW)
    with pytest.raises(MachineError, match=r"release r1 has no file results\.sqlite\. "):
        SearchCache.open(place.root)
    assert not place.releases.exists()


def test_a_release_of_an_earlier_version_is_told_as_one(place: Workspace) -> None:
    place.release("r1").mkdir(parents=True)
    (place.release("r1") / "results.duckdb").write_bytes(b"results")
    place.publish("r1", now=NOW)
    with pytest.raises(MachineError, match=r"no file results\.sqlite, for an earlier version made it") as reported:
        SearchCache.open(place.root)
    assert reported.value.remedy == "Run `nightrank refresh` to build a new release."


@pytest.mark.long
@given(
    st.dictionaries(
        TEXTS,
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
            lambda values: st.lists(values) | st.dictionaries(TEXTS, values),
        ),
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_metadata_and_scores_come_back_to_the_bit(metadata: dict[str, object], score: float) -> None:
    reported = {**entry("d1"), "metadata": metadata, "score": score, "snippet": None}
    [result] = read_results(json.dumps([reported], ensure_ascii=False).encode())
    assert json.dumps(asdict(result), sort_keys=True) == json.dumps(reported, sort_keys=True)


def test_a_look_up_loads_no_model_and_no_orchestrator() -> None:
    heavy = {"torch", "prefect", "lancedb", "transformers", "duckdb", "pyarrow", "numpy", "pydantic"}
    code = f"import sys, nightrank.storage.serving.cache; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
