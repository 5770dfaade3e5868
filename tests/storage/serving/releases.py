"""Small releases to export, with everything in them that is hard to store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from nightrank.storage.files.atomic import write_text
from nightrank.storage.keys import normalise_query, query_key
from nightrank.storage.records import QUERIES
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import digests_of
from nightrank.storage.release.results.file import write_results_file
from tests.support.reported import NOW, manifest_of, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.storage.workspace.base import Workspace

FIRST, SECOND, THIRD = (f"2026010{day}T030405-000Z" for day in (1, 2, 3))
HOSTILE = (
    "'; DROP TABLE answers; --",
    '" or 1=1',
    "%",
    "_",
    "?",
    "%s",
    "{0}",
    "$1",
    "\x00",
    "a\x00b",
    "\\",
    "\\N",
    "\t",
)
WRITABLE = tuple(text for text in HOSTILE if normalise_query(text))
CONDITION = '{"and":[{"type":"doc\'s \\"\\u0000%s"},{"weight":{"lt":2000}}]}'


class Answered(NamedTuple):
    """A query, its filter, and aliases of it."""

    text: str
    condition: str | None = None
    aliases: Sequence[str] = ()


QUERIES_OF_ALL_KINDS = (
    *(Answered(text) for text in WRITABLE),
    Answered("tea", aliases=("tea?", "t-e-a", "'; DROP TABLE answers; --?")),
    Answered("tea", CONDITION, ("tea!",)),
    Answered("caf\u00e9 \U0001f375 \u0627\u0644\u0634\u0627\u064a"),
    Answered("nothing fits"),
)


def publish(place: Workspace, release_id: str, queries: Sequence[Answered], *, live: bool = True) -> None:
    """A release whose results say which release they are of."""
    folder = place.release(release_id)
    folder.mkdir(parents=True)
    texts = [normalise_query(query.text) for query in queries]
    keys = [query_key(query.text, query.condition) for query in queries]
    results = [
        json.dumps([] if text == "nothing fits" else _entries(release_id, key), ensure_ascii=False)
        for text, key in zip(texts, keys, strict=True)
    ]
    aliases = [
        (query_key(form, query.condition), key)
        for query, key in zip(queries, keys, strict=True)
        for form in query.aliases
    ]
    write_results_file(ReleaseFiles(folder).results.path, zip(keys, texts, results, strict=True), aliases=aliases)
    rows: list[tuple[Any, ...]] = [
        (key, text, 1, [], list(query.aliases), query.condition, "log")
        for key, text, query in zip(keys, texts, queries, strict=True)
    ]
    write_rows(ReleaseFiles(folder).queries.path, QUERIES, rows)
    manifest = manifest_of(release_id, files=digests_of(folder))
    write_text(folder / "manifest.json", manifest.model_dump_json())
    if live:
        place.publish(release_id, now=NOW)


def _entries(release_id: str, key: str) -> list[dict[str, object]]:
    hostile = {"rank": 2, "document_id": "'; --\x00\\", "chunk_id": "#0", "score": -1e-17, "title": "\x00</script>"}
    return [
        {
            "rank": 1,
            "document_id": f"{release_id}/{key}",
            "chunk_id": "c#0",
            "score": 0.1 + 0.2,
            "title": "\u00dcber \u2028 \U0001f600",
            "text": "line\nline\r\n\ttab \\N \"quotes\" 'quotes'",
            "metadata": {"year": 1999, "tags": ["a", None, {"\x00": 1e300}]},
        },
        {**hostile, "text": "", "metadata": {}},
    ]
