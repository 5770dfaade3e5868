"""What a source is: all that somebody writes who connects Nightrank to a system of their own is a class like this.

A source says what there is (``listing``) and gives what is asked for (``fetch``). What was given is kept in the
workspace by key and version, so that a night asks for what has changed and no more. A listing that fails, or that
leaves out what is there, never reads as deletions: see `storage.sources.gather`.

A package makes its source known as an entry point of the group ``nightrank.sources``: a function or class that takes
what stands behind the colon, so that ``source = "tracker:https://example.org/acme/shop"`` calls the entry point
``tracker`` with ``"https://example.org/acme/shop"``. Secrets it takes from the environment. Code is thus run from
packages that somebody installed, and never because a settings file names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from nightrank.storage.closing import Closing
from nightrank.storage.keys import unordered_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Content: TypeAlias = "Mapping[str, object] | Iterable[bytes]"
"""A record's fields by name, or the pieces of a file."""


class Listed(NamedTuple):
    """What a listing says of one item.

    Attributes:
        key: By which it is known to the source: of a file its path with ``/``, of a record its id as text.
        version: Another one whenever its content is another one; None where nothing tells: then it is always fetched.
        content: The fields of a record, where a listing has them already; then it is not fetched.
        modified: When, in seconds since the epoch; None where nothing tells.
    """

    key: str
    version: str | None
    content: Mapping[str, object] | None = None
    modified: float | None = None


class Fetched(NamedTuple):
    """An item as it is now.

    Attributes:
        key: As it was listed.
        version: Of this content, which may be later than the one that was listed.
        content: The fields of a record, or the pieces of a file.
    """

    key: str
    version: str | None
    content: Content


class Unreadable(NamedTuple):
    """An item that is there and cannot be given; it becomes a bad row, and the others go on.

    Attributes:
        key: As it was listed.
        reason: Why, in a few words.
    """

    key: str
    reason: str


class Source(Closing, ABC):
    """Items that can be listed and fetched.

    Errors that `storage.errors` knows are told as they are; any other that a method raises ends the night, in words,
    and changes nothing.
    """

    gives: ClassVar[Literal["files", "records"]] = "records"
    """Files are read by their suffix, as those of a folder; records as rows of a table."""
    at_once: ClassVar[int] = 1
    """Items that are given to one call of ``fetch``."""
    calls: ClassVar[int] = 1
    """Calls of ``fetch`` at the same time, each in a thread of its own; with 1 there are no threads."""

    @abstractmethod
    def listing(self) -> Iterator[Listed]:
        """Every item that there is, each once, in whatever order.

        It raises where it cannot know that it is whole; it may also leave out what went meanwhile.
        """

    @abstractmethod
    def fetch(self, wanted: Sequence[Listed]) -> Iterable[Fetched | Unreadable]:
        """The content of items, in whatever order.

        What is not there any more is left out of the answer: an item that a listing would not have must not be given,
        for by that it is known whether a listing was whole.
        """

    def signature(self) -> str:
        """Another text whenever something has changed: by it a watcher knows that it is worth reading the source.

        Here it is made from a listing. Overridden where the system has a cheaper answer.
        """
        return unordered_digest(f"{len(key)} {key} {version}" for key, version, *_ in self.listing())

    def close(self) -> None:
        """Let go of what is open."""
