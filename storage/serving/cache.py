"""The search cache: the results of every query that was answered in advance, at the price of a key look-up.

A search front end needs this module alone; it loads neither a model nor an orchestrator.

    from nightrank.storage.serving.cache import SearchCache

    with SearchCache.open("workspace") as cache:
        found = cache.get("read a csv file")
        found = cache.get("read a csv file", filter_by={"type": "docs"})  # another query, where the log had it
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import msgspec
from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.filters.language import canonical, parse_filter
from nightrank.storage.keys import query_key
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.release.results.suggestions import MOST
from nightrank.storage.retracted.answers import open_answers
from nightrank.storage.retracted.listed import read_retracted
from nightrank.storage.workspace.open import open_workspace

if TYPE_CHECKING:
    from nightrank.storage.bucket.store import StoreOptions
    from nightrank.storage.records import JsonValue
    from nightrank.storage.retracted.listed import Retracted
    from nightrank.storage.workspace.base import Workspace
else:
    JsonValue = Any  # where results are read from JSON; the ground floor's own would load Arrow for a look-up


@dataclass(frozen=True, slots=True)
class Snippet:
    """What of a result's text is shown: the sentences that answer the query best.

    All places count characters (Unicode code points, as Python does) of the result's ``text``, from 0.

    Attributes:
        start: Its first character.
        end: One past its last: it is ``text[start:end]``.
        cut_start: Whether it begins within a sentence.
        cut_end: Whether it ends within one.
        highlights: Where the query's terms are in it, each a first character and one past a last; in order, none
            touching another.
    """

    start: int
    end: int
    cut_start: bool
    cut_end: bool
    highlights: tuple[tuple[int, int], ...]


class SnippetPart(NamedTuple):
    """A piece of a snippet, and whether it is highlighted."""

    text: str
    is_highlighted: bool


@dataclass(frozen=True, slots=True)
class Result:
    """One entry of a final ranking.

    Attributes:
        snippet: None where the text is blank, snippets are off, or an earlier version made the release.
    """

    rank: int
    document_id: str
    chunk_id: str
    score: float
    title: str
    text: str
    metadata: dict[str, JsonValue]
    snippet: Snippet | None = None

    def snippet_parts(self) -> tuple[SnippetPart, ...]:
        """The snippet cut where highlights begin and end; put together, it is the snippet. Empty without one.

        >>> Result(1, "a", "a#0", 0.0, "", "A big dog.", {}, Snippet(2, 10, True, False, ((6, 9),))).snippet_parts()
        (SnippetPart(text='big ', is_highlighted=False), SnippetPart(text='dog', is_highlighted=True), \
SnippetPart(text='.', is_highlighted=False))
        """
        if self.snippet is None:
            return ()
        parts, at = [], self.snippet.start
        for start, end in self.snippet.highlights:
            parts += [SnippetPart(self.text[at:start], False), SnippetPart(self.text[start:end], True)]
            at = end
        parts.append(SnippetPart(self.text[at : self.snippet.end], False))
        return tuple(part for part in parts if part.text)


@dataclass(frozen=True, slots=True)
class CachedResults:
    """The final ranking of one query, as a release holds it.

    Attributes:
        query: Its text, normalised.
        condition: The canonical text of its filter; None without one.
        how: Whether it was answered in advance, by what another query was answered with, or now.
        from_query: Of a near answer the known query that was answered in advance, normalised; None where it holds
            personal data.
        expected_overlap: How alike a near answer and the query's own are, by the rank-biased overlap of such answers
            that the release measured in the mean; 1 of others.
    """

    query: str
    release_id: str
    results: tuple[Result, ...]
    condition: str | None = None
    how: Literal["exact", "near", "live"] = "exact"
    from_query: str | None = None
    expected_overlap: float = 1.0


_RESULTS = msgspec.json.Decoder(tuple[Result, ...])


def read_results(text: str | bytes) -> tuple[Result, ...]:
    """The results that a row of a results file holds as JSON, best first."""
    return _RESULTS.decode(text)


class SearchCache(Closing):
    """A reader of one release's results; it keeps to that release until it is opened again.

    Threads may share one, and processes that are forked from its own.

    Args:
        folder: Of the release.
        release_id: Its id.
        answers: Its results as readers get them, where documents may have been taken down; None: as it holds them.
        listed: The state of the list of these documents.

    Raises:
        MachineError: Its results are not there, or cannot be read.
    """

    def __init__(self, folder: Path, *, release_id: str, answers: ResultsFile | None = None, listed: str = "") -> None:
        self.release_id = release_id
        self.listed = listed
        self._file = ResultsFile(ReleaseFiles(folder).results.path) if answers is None else answers

    @classmethod
    def open(
        cls, workspace: str | Path, *, cache: str | Path | None = None, options: StoreOptions | None = None
    ) -> Self:
        """Open the results of the current release.

        Args:
            workspace: The workspace's folder, or its address in an object store, whose results are copied here once.
            cache: The folder of such copies; None for the user's own cache.
            options: How an object store is reached; None for what the environment says.

        Raises:
            InputError: Nothing has been published there yet.
            MachineError: The results are not there, or cannot be read.
        """
        return cls.of(open_workspace(workspace, cache=None if cache is None else Path(cache), options=options))

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """As ``open``, of a workspace that is open already."""
        seen = seen_by_readers(workspace)
        while True:
            release_id, retracted = seen
            try:
                answers = open_answers(workspace, release_id, retracted)
                folder = ReleaseFiles.of(workspace, release_id, only=[ReleaseFiles.results]).folder
                return cls(folder, release_id=release_id, answers=answers, listed=retracted.state)
            except MachineError:
                if (now := seen_by_readers(workspace)) == seen:
                    raise
                seen = now  # another release was published, or a document taken down, meanwhile

    def __len__(self) -> int:
        return len(self._file)

    @override
    def close(self) -> None:
        self._file.close()

    def get(self, query: str, *, filter_by: JsonValue = None) -> CachedResults | None:
        """The results of a query, or None where it was not answered in advance.

        Args:
            query: As typed; it is normalised here.
            filter_by: Its filter, as ``storage.filters.language`` has it; the order in which it is written does not
            matter.

        Returns:
            Its results; for an alias of a query those of that query, whose text they name.

        Raises:
            InputError: The filter is none.
            MachineError: The file is damaged.
        """
        condition = condition_of(filter_by)
        return self._answer(query_key(query, condition), condition)

    def _answer(self, key: str, condition: str | None) -> CachedResults | None:
        """The results of a query or an alias, by its key."""
        found = self._file.get(key)
        if found is None:
            return None
        text, results = found
        try:
            return CachedResults(text, self.release_id, read_results(results), condition)
        except (msgspec.DecodeError, RecursionError) as error:
            message = f"The results of a query in the release {self.release_id} cannot be read: {error}."
            raise MachineError(message, remedy="Roll back to another release, or run `nightrank refresh`.") from error

    def suggest(self, typed: str, limit: int = 8) -> tuple[str, ...]:
        """The queries that what is being typed may become, those most in demand first.

        They are queries that the release answers with at least one result, as enough users sent them
        (``[queries].min_users``); none with personal data in it.

        Args:
            typed: As it is, in whatever case; the first of all where it is empty.
            limit: How many, 1 to 50.

        Returns:
            Normalised texts; none where the release has no suggestions.

        Raises:
            InputError: The limit is another.
            MachineError: The file is damaged.
        """
        if not 1 <= limit <= MOST:
            raise InputError(f"{limit} suggestions were asked for.", remedy=f"Ask for 1 to {MOST}.")
        return self._file.suggest(typed, limit=limit)


def seen_by_readers(workspace: Workspace) -> tuple[str, Retracted]:
    """The release that is live, and what was taken down, asked for in the one order that never shows too much.

    Raises:
        InputError: Nothing has been published there yet.
        MachineError: One of them cannot be read.
    """
    release_id = workspace.require_current()
    return release_id, read_retracted(workspace)


def condition_of(value: JsonValue) -> str | None:
    """The canonical text of a filter as it was given; None for an empty one.

    Raises:
        InputError: It is none.
    """
    try:
        found = parse_filter(value)
    except ValueError as error:
        raise InputError(f"The filter cannot be used: {error}.", remedy='Write it as {"field": value}.') from error
    return None if found is None else canonical(found)
