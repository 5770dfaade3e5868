"""What every place that serves a release answers: the same question, in the same way."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from nightrank.storage.closing import Closing
from nightrank.storage.keys import query_key
from nightrank.storage.serving.cache import CachedResults, Result, condition_of, read_results

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue


class ResultsReader(Protocol):
    """A reader of published results; ``SearchCache`` and ``FollowingCache`` are two. Threads may share one.

    Readers of files keep to the release that they opened. Readers of a server follow it: each answer comes whole from
    the release that is live at that moment, and says which that is.
    """

    @property
    def release_id(self) -> str:
        """The release that is read; of a server, the one that is live now."""

    def get(self, query: str, *, filter_by: JsonValue = None) -> CachedResults | None:
        """The results of a query as typed, or None where it was not answered in advance."""

    def __len__(self) -> int:
        """How many queries it answers, aliases not counted."""

    def close(self) -> None:
        """Let go of the file or the connections; later look-ups fail."""


class Served(NamedTuple):
    """What a place serves: the release, how many queries, how many aliases of them, and which answers are others.

    Attributes:
        answers: Which answers are not those of the release, since documents were taken down: a digest; empty where none
            is.
    """

    release_id: str
    queries: int
    aliases: int
    answers: str = ""


class StoredAnswer(NamedTuple):
    """What is stored of a query: its release, its normalised text, its ranking."""

    release_id: str
    query: str
    results: tuple[Result, ...]


class KeyedReader(Closing):
    """What readers of exported releases share; a kind of store says how a key is found."""

    def __len__(self) -> int:
        return self.served().queries

    @property
    def release_id(self) -> str:
        """The release that is read."""
        return self.served().release_id

    def get(self, query: str, *, filter_by: JsonValue = None) -> CachedResults | None:
        """The results of a query, or None where it was not answered in advance.

        Args:
            query: As typed; it is normalised here.
            filter_by: Its filter, as ``storage.filters.language`` has it.

        Raises:
            InputError: The filter is none.
            TargetUnreachable: The server does not answer.
        """
        condition = condition_of(filter_by)
        found = self.find(query_key(query, condition))
        return None if found is None else CachedResults(found.query, found.release_id, found.results, condition)

    @abstractmethod
    def served(self) -> Served:
        """What is served."""

    @abstractmethod
    def find(self, key: str) -> StoredAnswer | None:
        """What is stored for the key of a query, or of one of its aliases."""


class Row(NamedTuple):
    """A row of an exported file: a query, or an alias, which has the key of its query alone."""

    alias_of: str | None
    query: str | None
    results: str | None


class FileReader(KeyedReader):
    """A reader of a file with one row a key; it keeps to the file that it opened, also when that is replaced."""

    _served: Served

    def served(self) -> Served:
        """What the file holds."""
        return self._served

    def find(self, key: str) -> StoredAnswer | None:
        """What is stored for the key of a query, or of one of its aliases."""
        row = self._row(key)
        if row is not None and row.alias_of is not None:
            row = self._row(row.alias_of)
        if row is None:
            return None
        assert row.query is not None
        assert row.results is not None
        return StoredAnswer(self._served.release_id, row.query, read_results(row.results))

    @abstractmethod
    def _row(self, key: str) -> Row | None:
        """The row of a key."""


class _Document(msgspec.Struct):
    release_id: str
    alias_of: str | None = None
    query: str = ""
    results: tuple[Result, ...] = ()


_DOCUMENT = msgspec.json.Decoder(_Document)


def read_document(document: str | bytes) -> StoredAnswer | str:
    """What a stored document says: an answer, or the key of the query whose alias it stands for."""
    stored = _DOCUMENT.decode(document)
    return StoredAnswer(stored.release_id, stored.query, stored.results) if stored.alias_of is None else stored.alias_of
