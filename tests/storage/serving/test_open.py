"""What holds for every place that serves a release, file or server."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.keys import query_key
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.entries import release_to_serve
from tests.storage.serving.conftest import FILES, SERVERS, Place
from tests.storage.serving.releases import (
    CONDITION,
    FIRST,
    HOSTILE,
    QUERIES_OF_ALL_KINDS,
    SECOND,
    THIRD,
    Answered,
    publish,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.serving.reader import ResultsReader
    from nightrank.storage.workspace.base import Workspace

EVERYWHERE = pytest.mark.parametrize("place", [*FILES, *SERVERS], indirect=True)
ON_SERVERS = pytest.mark.parametrize("place", SERVERS, indirect=True)


@EVERYWHERE
def test_an_exported_release_answers_as_the_search_cache_does(workspace: Workspace, place: Place) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    done = place.export(workspace)
    assert (done.changed, done.before, done.queries, done.aliases) == (True, None, len(QUERIES_OF_ALL_KINDS), 4)
    with SearchCache.open(workspace.root) as cache, place.open() as reader:  # type: ignore[attr-defined]  # all have it
        assert (len(reader), reader.release_id) == (len(cache), FIRST)
        asked = [(query.text, query.condition) for query in QUERIES_OF_ALL_KINDS]
        asked += [(form, query.condition) for query in QUERIES_OF_ALL_KINDS for form in query.aliases]
        for text, condition in asked:
            assert reader.get(text, filter_by=condition) == cache.get(text, filter_by=condition) is not None
        assert reader.get("  TEA ") == reader.get("tea") == reader.get("tea?")
        assert reader.get("tea!", filter_by=CONDITION) == reader.get("tea", filter_by=CONDITION) is not None
        unknown: list[tuple[str, str | None]] = [
            *((text + "x", None) for text in HOSTILE),
            ("", None),
            ("tea!", None),
            ("\ud83d", None),
        ]
        unknown += [(query_key("tea"), None), ("tea", '{"type":"docs"}'), ("tea", '{"%s":"\'; --"}')]
        for text, condition in unknown:
            assert reader.get(text, filter_by=condition) is None
        with pytest.raises(InputError, match="the filter is no JSON"):
            reader.get("tea", filter_by="type = docs")


@EVERYWHERE
def test_a_second_export_of_the_same_release_writes_nothing(workspace: Workspace, place: Place) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    assert place.export(workspace).changed
    again = place.export(workspace)
    assert (again.changed, again.before, again.release_id) == (False, FIRST, FIRST)


@EVERYWHERE
def test_another_release_takes_the_place_of_the_one_before_and_an_older_one_can_come_back(
    workspace: Workspace, place: Place
) -> None:
    publish(workspace, FIRST, [Answered("tea"), Answered("only before", aliases=("only before?",))])
    publish(workspace, SECOND, [Answered("tea"), Answered("coffee")])
    for release_id, before in ((FIRST, None), (SECOND, FIRST), (FIRST, SECOND)):
        done = place.export(workspace, release_id)
        assert (done.changed, done.before) == (True, before)
        reader = place.open()
        found = reader.get("tea")
        assert found is not None
        assert (found.release_id, reader.release_id, len(reader)) == (release_id, release_id, 2)
        assert found.results[0].document_id == f"{release_id}/{query_key('tea')}"
        assert (reader.get("only before?") is None) == (release_id == SECOND)
        reader.close()


@EVERYWHERE
def test_an_export_that_fails_half_way_leaves_what_was_live(
    workspace: Workspace, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    place.export(workspace)
    publish(workspace, SECOND, [Answered(f"query {number}") for number in range(2000)])
    rows = ResultsFile.rows

    def torn(results: ResultsFile) -> Iterator[object]:
        for number, row in enumerate(rows(results)):
            if number == 1500:
                raise MachineError("The disk fell out.")
            yield row

    monkeypatch.setattr(ResultsFile, "rows", torn)
    with pytest.raises(MachineError, match="fell out"):
        place.export(workspace)
    reader = place.open()
    assert (reader.release_id, len(reader)) == (FIRST, len(QUERIES_OF_ALL_KINDS))
    assert reader.get("tea") is not None
    assert reader.get("query 1") is None
    reader.close()
    monkeypatch.undo()
    assert place.export(workspace).changed


KILLED = """
import os, signal, sys
from pathlib import Path
from nightrank.storage.serving.entries import release_to_serve
from nightrank.storage.serving.export import export
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.storage.serving.conftest import Place

def on_entries(written):
    os.kill(os.getpid(), signal.SIGKILL)

place = Place(sys.argv[2], sys.argv[3])
with release_to_serve(FolderWorkspace(Path(sys.argv[1])), None) as release:
    export(release, place.target(), to="", on_entries=on_entries)
"""


@pytest.mark.long
@EVERYWHERE
def test_an_export_that_is_killed_leaves_what_was_live_and_the_next_one_completes(
    workspace: Workspace, place: Place
) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    place.export(workspace)
    publish(workspace, SECOND, [Answered(f"query {number}") for number in range(2000)])
    command = [sys.executable, "-c", KILLED, str(workspace.root), place.where, place.name]
    ended = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    reader = place.open()
    assert (reader.release_id, len(reader)) == (FIRST, len(QUERIES_OF_ALL_KINDS))
    assert reader.get("tea") is not None
    reader.close()

    assert place.export(workspace).changed
    reader = place.open()
    assert (reader.release_id, len(reader)) == (SECOND, 2000)
    reader.close()
    if place.address.is_file:
        assert [path.name for path in place.address.path.parent.iterdir()] == [place.address.path.name]


@ON_SERVERS
def test_ten_thousand_look_ups_during_switches_miss_nothing_and_mix_nothing(workspace: Workspace, place: Place) -> None:
    queries = [Answered(f"query {number}", aliases=(f"query {number}?",)) for number in range(400)]
    publish(workspace, FIRST, queries)
    publish(workspace, SECOND, queries)
    publish(workspace, THIRD, queries)
    place.export(workspace, FIRST, grace_seconds=1)
    threads, reader, stop, start = 4, place.open(), Event(), Barrier(5)
    keys = [query_key(query.text) for query in queries]

    def look_up(thread: int) -> list[str]:
        seen: list[str] = []
        start.wait()
        while not stop.is_set() or len(seen) < 10_000 // threads:
            number = (len(seen) * 7 + thread) % len(queries)
            found = reader.get(f"Query {number}{'?' if len(seen) % 2 else ''}")
            assert found is not None
            assert found.query == f"query {number}"
            assert found.results[0].document_id == f"{found.release_id}/{keys[number]}"
            seen.append(found.release_id)
        return seen

    with ThreadPoolExecutor(threads) as pool:
        looking = [pool.submit(look_up, thread) for thread in range(threads)]
        start.wait()
        try:
            for release_id in (SECOND, THIRD, FIRST):
                assert place.export(workspace, release_id, grace_seconds=1).changed
        finally:
            stop.set()
        seen = [look.result() for look in looking]
    reader.close()
    assert sum(map(len, seen)) >= 10_000
    for releases in seen:
        assert {*releases} == {FIRST, SECOND, THIRD}
        switches = sum(before != after for before, after in pairwise(releases))
        assert switches <= 3, "a reader went back to a release that had been replaced"


@pytest.mark.parametrize("place", FILES, indirect=True)
def test_a_reader_of_a_file_keeps_its_release_when_the_file_is_replaced(workspace: Workspace, place: Place) -> None:
    queries = [Answered(f"query {number}") for number in range(300)]
    publish(workspace, FIRST, queries)
    publish(workspace, SECOND, queries)
    place.export(workspace, FIRST)
    reader = place.open()
    place.export(workspace, SECOND)
    later = place.open()
    with ThreadPoolExecutor(4) as pool:
        for one, release_id in ((reader, FIRST), (later, SECOND)):
            found = list(pool.map(one.get, (query.text for query in queries)))
            assert [answer and answer.results[0].document_id for answer in found] == [
                f"{release_id}/{query_key(query.text)}" for query in queries
            ]
    reader.close()
    later.close()


@pytest.mark.parametrize("place", FILES, indirect=True)
@pytest.mark.parametrize("content", [b"", b"\n", b"{}", b"PAR1", b"SQLite format 3\x00" + bytes(100)])
def test_a_file_that_no_export_has_written_is_never_replaced(
    workspace: Workspace, place: Place, content: bytes
) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    path = place.address.path
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match="was not written by an export"):
        place.export(workspace)
    assert path.read_bytes() == content
    with pytest.raises(InputError, match="was not written by an export"):
        place.open()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_damaged_file_is_not_taken_for_somebody_elses(workspace: Workspace, place: Place) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    place.export(workspace)
    path = place.address.path
    damaged = path.read_bytes()[:100] + bytes(path.stat().st_size - 100)
    path.write_bytes(damaged)
    for act in (lambda: place.export(workspace), place.open):
        with pytest.raises(MachineError, match="malformed") as told:
            act()
        assert str(path) in str(told.value)
    assert path.read_bytes() == damaged


@EVERYWHERE
def test_before_the_first_export_there_is_nothing_to_open(place: Place) -> None:
    with pytest.raises(InputError, match=r"There is no file|Nothing has been exported"):
        place.open()


@EVERYWHERE
def test_a_release_that_is_damaged_is_not_exported(workspace: Workspace, place: Place) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    path = ReleaseFiles(workspace.release(FIRST)).results.path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(MachineError, match="is damaged"):
        place.export(workspace)
    with pytest.raises(InputError):
        place.open()


def test_the_search_cache_and_every_reader_answer_one_protocol(workspace: Workspace) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)

    def titles(reader: ResultsReader) -> list[str]:
        found = reader.get("tea", filter_by=None)
        assert found is not None
        return [result.title for result in found.results]

    place = Place(str(workspace.root))
    reader = place.open()
    assert isinstance(reader, SearchCache)
    assert len(titles(reader)) == 2
    reader.close()


def test_a_reader_of_one_kind_loads_nothing_that_others_need(workspace: Workspace) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    served = workspace.root.parent / "release.sqlite"
    Place(str(served)).export(workspace)
    code = f"""
import sys
from nightrank.storage.serving.open import open_results
assert open_results({str(served)!r}).get("tea") is not None
heavy = "torch prefect lancedb transformers redis psycopg".split()
heavy += ["duckdb", "pyarrow", "nightrank.storage.serving.entries"]
print(*sorted(set(heavy) & set(sys.modules)))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_stream_of_a_release_is_by_key_with_filters_and_forms(workspace: Workspace) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    with release_to_serve(workspace, None) as release:
        entries = list(release.entries())
    assert [entry.key for entry in entries] == sorted(entry.key for entry in entries)
    filtered = [entry for entry in entries if entry.condition]
    assert [(entry.key, entry.condition) for entry in filtered] == [(query_key("tea", CONDITION), CONDITION)]
    assert {entry.key: entry.alias_of for entry in entries if entry.alias_of} == {
        query_key(form, query.condition): query_key(query.text, query.condition)
        for query in QUERIES_OF_ALL_KINDS
        for form in query.aliases
    }


def test_an_empty_or_rejected_or_unknown_release_is_not_for_readers(workspace: Workspace) -> None:
    publish(workspace, FIRST, [])
    publish(workspace, SECOND, [Answered("tea")])
    manifest = workspace.release(SECOND) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"accepted"', '"rejected"', 1))
    for release_id, reason in ((FIRST, "answers no query"), (SECOND, "rejected"), (THIRD, "no release")):
        with pytest.raises(InputError, match=reason), release_to_serve(workspace, release_id):
            pass
