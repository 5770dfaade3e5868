"""A source's listing taken, and what has changed since the last one fetched: the steps by which nothing gets lost.

A listing counts as a whole or not at all: where it fails, nothing has changed. What was there before and is not in it
is asked for by name: if the source still gives it, the listing was short, and the source is listed again. An item that
is gone between listing and fetching makes the source be listed again, too, and is removed where that one does not have
it either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from nightrank.storage.errors import InputError, MachineError, NightrankError
from nightrank.storage.foreign import machine_error
from nightrank.storage.sources.source import Listed, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from nightrank.storage.sources.kept import Brought, Kept
    from nightrank.storage.sources.source import Source

LISTINGS = 3  # that are taken before a source is called short
ASKED_FOR = 1_000  # of what is missing from a listing; of more some from all over
GONE = "it is listed, and the source has no such item"
_KEPT_AT_ONCE = 100  # items: to keep them one by one would cost more than to fetch them
_LISTED_FOR_A_SAMPLE = 50  # for each item of it

_Answer: TypeAlias = "tuple[list[Brought], list[tuple[str, str]]]"


class Gathered(NamedTuple):
    """What a gathering came to.

    Attributes:
        fetched: Items that were fetched; the others were kept.
        went: Keys of items that were listed at first, and were gone before they were read.
    """

    fetched: int
    went: tuple[str, ...]


def gather(
    source: Source,
    kept: Kept,
    *,
    name: str,
    choose: Callable[[Iterator[str]], Iterable[str]] | None = None,
    suffix: Callable[[str], str] = lambda _key: "",
    sample: int | None = None,
) -> Gathered:
    """Bring what is kept of a source up to what the source has.

    Args:
        source: It.
        kept: What was kept of it; afterwards its ``contents`` are those of the source.
        name: What the user calls the source, for messages.
        choose: Which keys of a listing, in the order of a walk, are read; None for all.
        suffix: Of the file of a key, by which its reader is found.
        sample: Look at the beginning alone: so many items are read, and nothing is said of the others.

    Raises:
        InputError: A key is listed twice, or the source does not let us in.
        MachineError: The source failed, or its listing is short; what was fetched so far is kept.
    """
    fetch = _Fetch(source, kept, name, suffix)
    went: dict[str, None] = {}
    for attempt in range(1, LISTINGS + 1):
        _list(source, kept, name=name, choose=choose, sample=sample)
        if sample is None and (short := fetch.still_there()):
            if attempt < LISTINGS:
                continue
            raise MachineError(
                f"The listing of {name} is short: {short[0]!r} is there and is not in it"
                + (f", nor are {len(short) - 1:,} others that were asked for." if len(short) > 1 else "."),
                remedy="Nothing has changed. Check the source, and what stands between it and here; then run again.",
            )
        gone = fetch.lacking()
        if not gone:
            break
        went |= dict.fromkeys(gone)
        if attempt == LISTINGS or sample is not None:
            kept.cannot_read((key, GONE) for key in gone)
    if sample is None:
        kept.forget_unlisted()
    return Gathered(fetch.count, tuple(key for key in went if not kept.is_listed(key)))


def _list(
    source: Source,
    kept: Kept,
    *,
    name: str,
    choose: Callable[[Iterator[str]], Iterable[str]] | None,
    sample: int | None,
) -> None:
    with translating(name):
        items = _checked(source.listing(), name=name)
        twice = kept.take_listing(items if sample is None else islice(items, sample * _LISTED_FOR_A_SAMPLE))
    if twice and source.gives == "records":  # of files one of a name is meant, and the other a folder's marker
        raise InputError(
            f"{name} lists {twice:,} keys more than once.", remedy="See that each item has a key of its own."
        )
    if choose is not None or sample is not None:
        keys = kept.keys() if choose is None else choose(kept.keys())
        kept.want_only(islice(keys, sample))


def _checked(items: Iterable[Listed], *, name: str) -> Iterator[Listed]:
    for item in items:
        _require_texts(item.key, item.version, name=name, done="lists")
        if not isinstance(item.modified, float | int | None):
            raise InputError(
                f"{name} lists {item.key[:100]!r} with a time that is no number, but {type(item.modified).__name__}.",
                remedy="Have its source give seconds since the epoch: modified=time.timestamp().",
            )
        yield item


def _require_texts(key: object, version: object, *, name: str, done: str) -> None:
    """See that a key and a version are texts: others compare as SQLite sees fit."""
    for what, value in (("key", key), ("version", version)):
        if not isinstance(value, str) and (value is not None or what == "key"):
            raise InputError(
                f"{name} {done} a {what} that is no text, but of the type {type(value).__name__}.",
                remedy="Have its source give texts: str(...).",
            )


class _Fetch:
    """Fetches items, several at once, and keeps what has come as it comes."""

    def __init__(self, source: Source, kept: Kept, name: str, suffix: Callable[[str], str]) -> None:
        self._source, self._kept, self._name, self._suffix = source, kept, name, suffix
        self._gone: set[str] = set()  # at most some thousand: what was asked for since it is missing from a listing
        self.count = 0

    def lacking(self) -> list[str]:
        """Fetch what is listed and not kept.

        Returns:
            The keys of what is not there any more.
        """
        wanted = (Listed(key, version, None, modified) for key, version, modified in self._kept.lacking())
        gone: list[str] = []
        come: list[Brought] = []
        try:
            for asked, (brought, unreadable) in self._fetched(wanted):
                come += brought
                if len(come) >= _KEPT_AT_ONCE:
                    self._kept.keep(come)
                    come.clear()
                self._kept.cannot_read(unreadable)
                self.count += len(brought)
                given = {one.key for one in brought} | {key for key, _ in unreadable}
                gone += [one.key for one in asked if one.key not in given]
        finally:
            self._kept.keep(come)  # also what came before a failure
        return gone

    def still_there(self) -> list[str]:
        """What was kept, is not in the listing, and is there all the same."""
        missing = [one for one in self._kept.missing(most=ASKED_FOR) if one[0] not in self._gone]
        found: list[str] = []
        for asked, (brought, unreadable) in self._fetched(Listed(*one) for one in missing):
            self._kept.keep(brought)
            there = [*(one.key for one in brought), *(key for key, _ in unreadable)]
            self._gone |= {one.key for one in asked} - set(there)
            found += there
        return found

    def _fetched(self, wanted: Iterator[Listed]) -> Iterator[tuple[list[Listed], _Answer]]:
        batches = iter(lambda: list(islice(wanted, self._source.at_once)), [])
        if self._source.calls == 1:
            for batch in batches:
                yield batch, self._call(batch)
            return
        with ThreadPoolExecutor(self._source.calls, thread_name_prefix="source") as pool:
            waiting: deque[tuple[list[Listed], Future[_Answer]]] = deque()
            try:
                for batch in batches:
                    waiting.append((batch, pool.submit(self._call, batch)))
                    if len(waiting) > 2 * self._source.calls:
                        asked, answer = waiting.popleft()
                        yield asked, answer.result()
                while waiting:
                    asked, answer = waiting.popleft()
                    yield asked, answer.result()
            finally:
                for _, answer in waiting:
                    answer.cancel()
                for _, answer in waiting:  # what has come all the same need not be fetched again
                    if not answer.cancelled() and answer.exception() is None:
                        self._kept.keep(answer.result()[0])

    def _call(self, batch: list[Listed]) -> _Answer:
        brought: list[Brought] = []
        unreadable: list[tuple[str, str]] = []
        asked = {one.key for one in batch}
        with translating(self._name):
            for found in self._source.fetch(batch):
                if found.key not in asked:  # it says nothing of whether a listing was whole
                    continue
                if isinstance(found, Unreadable):
                    unreadable.append((found.key, found.reason))
                    continue
                key, version, content = found
                _require_texts(key, version, name=self._name, done="gives")
                if not isinstance(content, Mapping):
                    brought.append(self._kept.of_pieces(key, version, content, suffix=self._suffix(key)))
                    continue
                try:
                    brought.append(self._kept.of_record(key, version, content))
                except ValueError as error:
                    unreadable.append((key, str(error)))
        return brought, unreadable


@contextmanager
def translating(name: str) -> Iterator[None]:
    """Have whatever a source raises told as ours: of others' code nobody knows what it raises.

    Raises:
        MachineError: In place of an error that is none of ours.
    """
    try:
        yield
    except NightrankError:
        raise
    except Exception as error:
        if (told := machine_error(error)) is not None:
            raise MachineError(f"{name}: {told.message}", remedy=told.remedy) from error
        raise MachineError(
            f"{name}: its source failed ({type(error).__name__}: {' '.join(str(error)[:300].split())}).",
            remedy="Nothing has changed. See what it says, and run again.",
        ) from error
