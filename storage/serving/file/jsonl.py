"""Results as JSONL: a line a key, sorted by key, so that a reader finds one by halves, without an index.

    {"key":"...","release_id":"...","query":"black tea","filter":null,"results":[{"rank": 1, ...}, ...]}
    {"key":"...","release_id":"...","alias_of":"<the key of the query whose results this alias gets>"}

The key of a query is ``storage.keys.query_key``.
"""

from __future__ import annotations

import json
import mmap
from typing import TYPE_CHECKING

from nightrank.storage.keys import KEY_LENGTH
from nightrank.storage.serving.file.target import NotOurs
from nightrank.storage.serving.reader import KeyedReader, Served, StoredAnswer, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.serving.entries import Entry

_HEAD = b'{"key":"'
_KEY = slice(len(_HEAD), len(_HEAD) + KEY_LENGTH)
_LEAST_LINE = len(_HEAD) + KEY_LENGTH


def write(path: Path, served: Served, entries: Iterator[Entry]) -> None:
    """Write the entries of a release, which come by key."""
    with path.open("x", encoding="utf-8", newline="\n") as file:
        for entry in entries:
            file.write(f'{{"key":"{entry.key}",{entry.document(served.release_id)[1:]}\n')


class JsonlReader(KeyedReader):
    """A reader of such a file. Threads may share one.

    Raises:
        NotOurs: The file was not written by an export.
        FileNotFoundError: It is not there.
    """

    def __init__(self, path: Path) -> None:
        self._served: Served | None = None
        with path.open("rb") as file:
            head = file.readline()
            try:
                first = json.loads(head)
                self._release_id = str(first["release_id"])
                ours = head.startswith(_HEAD) and len(first["key"]) == KEY_LENGTH
            except (ValueError, KeyError, TypeError):
                ours = False
            if not ours:
                raise NotOurs(str(path))
            self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def served(self) -> Served:
        """What the file holds; the first time all of it is read."""
        if self._served is None:
            queries = aliases = start = 0
            while start < len(self._lines):
                end = self._end_of_line(start)
                if isinstance(read_document(self._lines[start:end]), str):
                    aliases += 1
                else:
                    queries += 1
                start = end
            self._served = Served(self._release_id, queries, aliases)
        return self._served

    @property
    def release_id(self) -> str:
        """The release that is read."""
        return self._release_id

    def find(self, key: str) -> StoredAnswer | None:
        """What is stored for the key of a query, or of one of its aliases."""
        line = self._line(key.encode())
        if line is None:
            return None
        found = read_document(line)
        return self.find(found) if isinstance(found, str) else found

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def _line(self, key: bytes) -> bytes | None:
        low, high = 0, len(self._lines)  # both are always where a line begins, or the end
        while low < high:
            start = self._lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self._end_of_line(start)
            found = self._lines[start + _KEY.start : start + _KEY.stop]
            if found == key:
                return self._lines[start:end]
            if found < key:
                low = end
            else:
                high = start
        return None

    def _end_of_line(self, start: int) -> int:
        """Where the next line begins."""
        return self._lines.find(b"\n", start + _LEAST_LINE) + 1 or len(self._lines)
