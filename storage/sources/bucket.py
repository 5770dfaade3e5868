"""Files in an object store: ``s3://bucket/prefix/``, ``gs://``, ``az://``, by obstore.

Objects are listed with their ETags, and each is asked for as it was listed (``If-Match``); one that was written anew
meanwhile comes as it is then. Nothing is ever written. Credentials come from the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from typing_extensions import override

from nightrank.storage.bucket.odd_keys import is_odd, listed_among_odd_keys
from nightrank.storage.bucket.store import NO_BUCKET, Remote
from nightrank.storage.errors import InputError
from nightrank.storage.sources.source import Fetched, Listed, Source, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from obstore import GetResult, ObjectMeta

    from nightrank.storage.bucket.store import StoreOptions

_PIECE_BYTES = 8 * 1024 * 1024
_PAGE = 1_000  # objects that are taken from a listing at once
_TAILS = 100  # times that is asked what comes behind the last key
ARCHIVED = "InvalidObjectState"  # said of an object in an archive, such as Glacier, which must be brought back first


class _OddKey(Exception):
    """A listing has a key that obstore refuses."""


class BucketSource(Source):
    """The objects below a prefix, or one.

    Args:
        url: Of the prefix, without a slash at its end.
        options: How the store is reached.
        only: The key below the prefix of the one object that is meant; None for all.
        without: What begins with this, below the prefix, is none of the source: a workspace in the same bucket.
    """

    gives: ClassVar[Literal["files", "records"]] = "files"
    calls: ClassVar[int] = 16

    def __init__(self, url: str, options: StoreOptions, *, only: str | None = None, without: str | None = None) -> None:
        self._remote = Remote(url, options, named="[documents].source", section="[documents.store]")
        self._only, self._without = only, without

    @override
    def listing(self) -> Iterator[Listed]:
        if self._only is not None:
            yield self._listed(self._head(self._only))
            return
        last = ""
        for _ in range(_TAILS):
            before = last
            try:
                for entry in _without_markers(self._listed_behind(before or None)):
                    if entry["path"] <= before:  # there are stores that list from the beginning whatever is asked
                        continue
                    last = max(last, entry["path"])
                    if self._is_meant(entry["path"], entry["size"]):
                        yield self._listed(entry)
            except _OddKey as error:
                yield from self._listed_with_odd_keys(behind=last, fault=str(error))
                return
            # Stores have been seen to end a listing early and call it whole. Behind its last key there must be nothing.
            if last == before or not self._remote.url.startswith("s3://"):
                return

    @override
    def fetch(self, wanted: Sequence[Listed]) -> Iterable[Fetched | Unreadable]:
        from obstore.exceptions import PermissionDeniedError, PreconditionError

        for one in wanted:
            if is_odd(one.key):
                yield Unreadable(one.key, "its key is no path: it has `..` or `//` in it")
                continue
            with self._remote.translating_errors(one.key):
                try:
                    try:
                        found = self._get(one.key, as_listed=one.version)
                    except PreconditionError:  # it was written anew since it was listed
                        found = self._get(one.key)
                except FileNotFoundError as error:
                    if NO_BUCKET in str(error):
                        raise
                    continue
                except PermissionDeniedError as error:
                    if ARCHIVED not in str(error):
                        raise
                    yield Unreadable(one.key, "it is in an archive of the store, and must be restored first")
                    continue
                yield Fetched(one.key, found.meta["e_tag"], self._pieces(one.key, found))

    def _get(self, key: str, *, as_listed: str | None = None) -> GetResult:
        import obstore

        if as_listed is None:
            return obstore.get(self._remote.store, key)
        return obstore.get(self._remote.store, key, options={"if_match": as_listed})

    def _pieces(self, key: str, found: GetResult) -> Iterator[bytes]:
        with self._remote.translating_errors(key):
            for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)

    def _listed_behind(self, last: str | None) -> Iterator[ObjectMeta]:
        import obstore
        from obstore.exceptions import InvalidPathError

        with self._remote.translating_errors(""):
            try:
                for page in obstore.list(self._remote.store, offset=last, chunk_size=_PAGE):
                    yield from page
            except InvalidPathError as error:
                raise _OddKey(str(error).partition("\n")[0].rstrip(".")) from error

    def _listed_with_odd_keys(self, *, behind: str, fault: str) -> Iterator[Listed]:
        """What comes behind a key, as Arrow lists it: without ETags, so that it is fetched each night."""
        url, options = self._remote.url, self._remote.options
        for one in listed_among_odd_keys(url, "", endpoint=options.endpoint, region=options.region, fault=fault):
            if one.key > behind and self._is_meant(one.key, one.size_bytes):
                yield Listed(one.key, None, modified=one.modified)

    def _head(self, key: str) -> ObjectMeta:
        import obstore

        with self._remote.translating_errors(key):
            try:
                return obstore.head(self._remote.store, key)
            except FileNotFoundError as error:
                if NO_BUCKET in str(error):
                    raise
                raise InputError(
                    f"{self._remote.url}/{key} does not exist.",
                    remedy="Correct [documents].source; for all that is below a prefix, end it with a slash.",
                ) from error

    def _is_meant(self, path: str, size_bytes: int) -> bool:
        """Whether it is an object that somebody put there, and no marker of a folder."""
        if self._without is not None and (path == self._without or path.startswith(f"{self._without}/")):
            return False
        is_marker = size_bytes == 0 and "." not in path.rpartition("/")[2]
        return not is_marker

    @staticmethod
    def _listed(entry: ObjectMeta) -> Listed:
        return Listed(entry["path"], entry["e_tag"], modified=entry["last_modified"].timestamp())


def _without_markers(entries: Iterable[ObjectMeta]) -> Iterator[ObjectMeta]:
    """Objects without the empty ones that stand for a folder: what comes next is in it, whatever it is called."""
    held: ObjectMeta | None = None
    for entry in entries:
        if held is not None and not entry["path"].startswith(f"{held['path']}/"):
            yield held
        held = entry if entry["size"] == 0 else None
        if held is None:
            yield entry
    if held is not None:
        yield held
