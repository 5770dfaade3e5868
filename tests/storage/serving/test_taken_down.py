"""What was taken down is in no place that serves a release, once that was exported again; nor by a race."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import ChangedMeanwhile, MachineError
from nightrank.storage.files.atomic import write_text
from nightrank.storage.keys import query_key, sha256_of_file
from nightrank.storage.release.results.file import ResultsFile, write_results_file
from nightrank.storage.retracted.listed import LIST, Replaced, Retracted, Retraction
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.entries import release_to_serve
from nightrank.storage.workspace.base import ANSWERS
from tests.storage.serving.conftest import FILES, SERVERS, Place
from tests.storage.serving.releases import FIRST, Answered, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.serving.reader import ResultsReader
    from nightrank.storage.workspace.base import Workspace

EVERYWHERE = pytest.mark.parametrize("place", [*FILES, *SERVERS], indirect=True)
QUERIES = (Answered("tea", aliases=("tea?",)), Answered("coffee"), Answered("milk"))
GONE = f"{FIRST}/{query_key('tea')}"
OTHER = [{"rank": 1, "document_id": "other", "chunk_id": "o#0", "score": 1.0, "title": "", "text": "", "metadata": {}}]


def take_down(place: Workspace, *documents: str, name: str = "answers.sqlite") -> None:
    """List documents, with the answer to "tea" as it is without them."""
    path = place.root / ANSWERS / name
    path.parent.mkdir(exist_ok=True)
    rows = [(query_key("tea"), "tea", json.dumps(OTHER))]
    write_results_file(path, rows, aliases=[(query_key("tea?"), query_key("tea"))])
    releases = {FIRST: Replaced(name, sha256_of_file(path), 1)} if documents else {}
    said = Retraction("2026-01-02T03:04:05+00:00", "somebody")
    write_text(place.root / LIST, Retracted(dict.fromkeys(documents, said), releases).to_json())


def shown(reader: ResultsReader, query: str) -> list[str]:
    found = reader.get(query)
    assert found is not None
    return [result.document_id for result in found.results]


@EVERYWHERE
def test_an_export_is_written_anew_when_something_was_taken_down_or_brought_back(
    workspace: Workspace, place: Place
) -> None:
    publish(workspace, FIRST, QUERIES)
    assert place.export(workspace).changed
    take_down(workspace, GONE)
    assert place.export(workspace).changed
    assert not place.export(workspace).changed
    reader = place.open()
    with SearchCache.open(workspace.root) as cache:
        for query in ("tea", "tea?"):
            assert shown(reader, query) == shown(cache, query) == ["other"]
        assert reader.get("coffee") == cache.get("coffee")
        assert (len(reader), reader.release_id) == (len(cache), FIRST)
    reader.close()
    take_down(workspace, name="unused.sqlite")
    assert place.export(workspace).changed
    reader = place.open()
    assert GONE in shown(reader, "tea?")
    reader.close()


@EVERYWHERE
def test_what_is_taken_down_while_it_is_being_exported_is_not_switched_to(
    workspace: Workspace, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(workspace, FIRST, QUERIES)
    rows = ResultsFile.rows

    def meanwhile(results: ResultsFile) -> Iterator[tuple[str, str, bytes]]:
        yield from rows(results)
        take_down(workspace, GONE)

    monkeypatch.setattr(ResultsFile, "rows", meanwhile)
    with pytest.raises(ChangedMeanwhile, match="taken down while it was being exported"):
        place.export(workspace)
    monkeypatch.undo()
    assert place.export(workspace).before is None
    reader = place.open()
    assert shown(reader, "tea") == ["other"]
    reader.close()


def test_rows_come_by_key_with_the_replaced_ones_in_their_places(workspace: Workspace) -> None:
    publish(workspace, FIRST, QUERIES)
    take_down(workspace, GONE)
    with release_to_serve(workspace, None) as release:
        entries = list(release.entries())
    assert [entry.key for entry in entries] == sorted(entry.key for entry in entries)
    by_key = {entry.key: entry for entry in entries}
    assert json.loads(by_key[query_key("tea")].results or "") == OTHER
    assert by_key[query_key("tea?")].alias_of == query_key("tea")


def test_a_reader_that_finds_its_replaced_answers_gone_looks_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(workspace, FIRST, QUERIES)
    take_down(workspace, GONE, name="first.sqlite")
    bring = type(workspace).bring

    def too_late(place: Workspace, name: str, *, sha256: str) -> object:
        if name.endswith("first.sqlite"):
            take_down(place, GONE, name="second.sqlite")
            (place.root / name).unlink()
        return bring(place, name, sha256=sha256)

    monkeypatch.setattr(type(workspace), "bring", too_late)
    with SearchCache.open(workspace.root) as cache:
        assert shown(cache, "tea") == ["other"]


def test_replaced_answers_that_are_gone_for_good_are_an_error_and_not_the_old_answers(workspace: Workspace) -> None:
    publish(workspace, FIRST, QUERIES)
    take_down(workspace, GONE)
    (workspace.root / ANSWERS / "answers.sqlite").unlink()
    with pytest.raises(MachineError, match="missing or damaged"):
        SearchCache.open(workspace.root)


@pytest.mark.parametrize("name", ["../current.json", "/etc/passwd", "", "a/b.sqlite", ".hidden.sqlite"])
def test_a_list_that_names_another_place_is_refused(workspace: Workspace, name: str) -> None:
    publish(workspace, FIRST, QUERIES)
    stored = {"documents": {"d": {"at": "", "by": ""}}, "releases": {FIRST: {"file": name}}}
    write_text(workspace.root / LIST, json.dumps(stored))
    with pytest.raises(MachineError, match="no file of replaced answers"):
        SearchCache.open(workspace.root)
