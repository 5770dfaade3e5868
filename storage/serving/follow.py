"""A search cache that follows what is published: for a front end that runs for longer than a release is live.

    from nightrank.storage.serving.follow import FollowingCache

    with FollowingCache.open("s3://bucket/prefix", look_every_seconds=30.0) as cache:
        found = cache.get("read a csv file")

Each look-up is answered from one release, as ``storage.serving.cache`` has it. What is published meanwhile is looked
for in a thread of its own, so that no look-up waits for a store; its results are copied here and checked before they
take the place of the others, in one step. So does what was taken down: it is gone from all answers with the next look,
``look_every_seconds`` after ``nightrank retract`` at the latest. While the workspace cannot be reached, or what is
published cannot be read, the last release goes on being served, and ``seconds_since_look`` says for how long nobody
could see whether it is live.
"""

from __future__ import annotations

import logging
import time
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import NightrankError
from nightrank.storage.retracted.listed import read_retracted
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.open import open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightrank.storage.bucket.store import StoreOptions
    from nightrank.storage.records import JsonValue
    from nightrank.storage.serving.cache import CachedResults
    from nightrank.storage.workspace.base import Workspace
else:
    JsonValue = Any  # as in nightrank.storage.serving.cache

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class FollowingCache(Closing):
    """A reader of the results of whatever release is current. Threads may share one; each process opens its own.

    Args:
        workspace: Where releases are published.
        look_every_seconds: How often the pointer is looked at, which costs one small request in an object store.

    Raises:
        InputError: Nothing has been published there yet.
        MachineError: The results are not there, or cannot be read; or the store cannot be reached.
    """

    def __init__(self, workspace: Workspace, *, look_every_seconds: float = 30.0) -> None:
        self._workspace, self._seconds = workspace, look_every_seconds
        self._cache = self._opened()
        self._looking = Lock()
        self._looked = time.monotonic()
        self._closed = Event()
        self._thread = Thread(target=self._follow, name="following cache", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        workspace: str | Path,
        *,
        look_every_seconds: float = 30.0,
        cache: Path | None = None,
        options: StoreOptions | None = None,
    ) -> Self:
        """Open the results of a workspace by its name, with the arguments of ``SearchCache.open`` and the class."""
        place = open_workspace(workspace, cache=cache, options=options)
        return cls(place, look_every_seconds=look_every_seconds)

    def __len__(self) -> int:
        return len(self._cache)

    @property
    def release_id(self) -> str:
        """The release that is served now."""
        return self._cache.release_id

    @property
    def seconds_since_look(self) -> float:
        """How long ago it was seen that the release that is served is the current one."""
        return time.monotonic() - self._looked

    @override
    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._cache.close()

    def get(self, query: str, *, filter_by: JsonValue = None) -> CachedResults | None:
        """The results of a query, as ``SearchCache.get`` has them."""
        return self._asked(lambda cache: cache.get(query, filter_by=filter_by))

    def suggest(self, typed: str, limit: int = 8) -> tuple[str, ...]:
        """The queries that what is being typed may become, as ``SearchCache.suggest`` has them."""
        return self._asked(lambda cache: cache.suggest(typed, limit))

    def look(self) -> bool:
        """Look now for what has been published or taken down meanwhile.

        Returns:
            Whether other answers are served than before.

        Raises:
            MachineError: The workspace cannot be reached, or its results cannot be read.
        """
        with self._looking:
            before, now = self._cache, time.monotonic()
            if self._is_live(before):
                self._looked = now
                return False
            self._cache = self._opened()
            self._looked = now
            before.close()
            self._workspace.forget_removed()
            return True

    def _is_live(self, cache: SearchCache) -> bool:
        """Whether it is what a reader that opens now would read."""
        if self._workspace.current_release_id() in {None, cache.release_id}:
            return read_retracted(self._workspace).state == cache.listed
        return False

    def _asked(self, question: Callable[[SearchCache], T]) -> T:
        """What the release that is served answers."""
        while True:
            cache = self._cache
            try:
                return question(cache)
            except ValueError:  # it was closed in between, for another release took its place
                if cache is self._cache:
                    raise

    def _opened(self) -> SearchCache:
        """The results of the release that is current now."""
        return SearchCache.of(self._workspace)

    def _follow(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                self.look()
            except NightrankError as error:
                self._tell(error)
            except Exception as error:
                self._tell(f"{type(error).__name__}: {error}")

    def _tell(self, what: object) -> None:
        seconds = round(self.seconds_since_look)
        _LOG.warning("Still serving the release %s, last looked up %d s ago: %s", self.release_id, seconds, what)
