"""A night from a bucket or a database ends where one from a folder or a file ends, and where a rebuild ends."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.operate.check import check_inputs
from nightrank.flows.operate.retract import take_down
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import MachineError
from nightrank.storage.release.manifest import current_manifest
from nightrank.storage.sources.kept import FOLDER
from tests.support.takedown import NOW, answers, night
from tests.support.watched_store import EXPIRED, watched_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.records import JsonValue
    from tests.support.collection import Collection, TomlValue
    from tests.support.watched_store import Watched

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stores() -> Iterator[Callable[[], Watched]]:
    with watched_store(page=10) as make:
        yield make


def page_of(document: dict[str, JsonValue]) -> str:
    return f"---\nletters: {document['letters']}\n---\n# {document['title']}\n\n{document['text']}\n"


def inputs_key(collection: Collection) -> str:
    manifest = current_manifest(load_settings(collection.settings_file, anew=True).workspace)
    assert manifest is not None
    return manifest.inputs.documents


def rebuilt(collection: Collection) -> tuple[str, dict[str, list[str]]]:
    """What a night from nothing ends with."""
    aside = collection.workspace.rename(collection.folder / "aside")
    night(collection)
    found = inputs_key(collection), answers(collection)
    shutil.rmtree(collection.workspace)
    aside.rename(collection.workspace)
    return found


def test_nights_from_a_bucket_equal_those_from_a_folder_and_rebuilds(
    collection: Collection, stores: Callable[[], Watched]
) -> None:
    bucket = stores()
    folder = collection.folder / "pages"
    folder.mkdir()

    def write(name: str, text: str | None) -> None:
        if text is None:
            (folder / name).unlink()
            bucket.delete(f"docs/{name}")
        else:
            (folder / name).write_text(text)
            bucket.put(f"docs/{name}", text)

    documents = {f"{document['_id']}.md": document for document in collection.documents}
    for name, document in documents.items():
        write(name, page_of(document))
    del collection.settings["judgments"]
    in_bucket: dict[str, TomlValue] = {"source": f"s3://{bucket.name}/docs/"}
    collection.settings["documents.store"] = {"endpoint": bucket.endpoint, "allow_http": True, "retry_seconds": 1.0}
    for number in range(2):
        collection.settings["documents"] = in_bucket
        collection.write()
        bucket.counts.clear()
        night(collection)
        assert bucket.counts["get"] == (len(documents) if number == 0 else 2)
        after = inputs_key(collection), answers(collection)
        assert rebuilt(collection) == after
        collection.settings["documents"] = {"source": "pages"}
        assert rebuilt(collection) == after
        if number == 0:
            write("tea.md", "# Tea\n\nAnother text about bees and honey.")
            write("salt.md", None)
    # An expired token changes nothing, and says so.
    collection.settings["documents"] = in_bucket
    collection.write()
    before = answers(collection)
    bucket.answer = lambda asked: EXPIRED if asked.what == "list" and asked.page == 2 else None
    with pytest.raises(MachineError, match="these credentials no more"):
        night(collection)
    assert answers(collection) == before
    bucket.answer = lambda _asked: None
    bucket.counts.clear()
    checked = check_inputs(load_settings(collection.settings_file, anew=True))
    assert bucket.counts["get"] == 0  # what is kept is used
    assert checked.exit_code == 0
    assert checked.inputs is not None
    assert checked.inputs.counts.documents == len(documents) - 1


def test_nights_from_a_database_equal_those_from_a_file_and_an_erasure_leaves_nothing_of_it(
    collection: Collection,
) -> None:
    del collection.settings["judgments"]
    path = collection.folder / "pages.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE pages (id TEXT PRIMARY KEY, title TEXT, text TEXT, letters INTEGER, at INTEGER)"
        )
        rows = [(one["_id"], one["title"], one["text"], one["letters"], 1) for one in collection.documents]
        connection.executemany("INSERT INTO pages VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()

    query = "SELECT id, title, text, letters, at FROM pages"
    by_cursor: dict[str, TomlValue] = {"source": "pages.db", "query": query, "cursor": "at"}
    collection.settings["documents"] = by_cursor
    collection.write()
    night(collection)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE pages SET text = 'Bees and honey again.', at = 2 WHERE id = 'tea'")
        connection.execute("DELETE FROM pages WHERE id = 'salt'")
        connection.commit()
        rows = connection.execute(query).fetchall()
    night(collection)
    after = inputs_key(collection), answers(collection)
    names = ("_id", "title", "text", "letters", "at")
    lines = (json.dumps(dict(zip(names, row, strict=True))) for row in rows)
    (collection.folder / "pages.jsonl").write_text("\n".join(lines))
    collection.settings["documents"] = {"source": "pages.jsonl"}
    assert rebuilt(collection) == after

    collection.settings["documents"] = by_cursor
    collection.write()
    configuration = load_settings(collection.settings_file, anew=True)
    kept = configuration.workspace.root / FOLDER
    assert b"Bees carry nectar home" in next(kept.rglob("index.sqlite")).read_bytes()
    done = take_down(configuration, ["bees"], erasing=True, now=NOW)
    assert not done.failed
    night(collection)
    assert "bees" not in {found for listed in answers(collection).values() for found in listed}
    held = b"".join(file.read_bytes() for file in kept.rglob("*") if file.is_file())
    assert b"Bees and honey again" in held
    assert b"Bees carry nectar home" not in held
