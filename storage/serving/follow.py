"""A search cache that follows what is published: for a front end that runs for longer than a release is live.

    from nightrank.storage.serving.follow import FollowingCache

    with FollowingCache.open("s3://bucket/prefix", look_every_seconds=30.0) as cache:
        found = cache.get("read a csv file")

Each look-up is answered from one release, as ``storage.serving.cache`` has it. What is published meanwhile is looked
for in a thread of its own, so that no look-up waits for a store; its results are copied here and checked before they
take the place of the others, in one step. So does what was taken down: it is gone from all answers with the next look,
``look_every_seconds`` after ``nightrank retract`` at the latest. ``storage.serving.follower`` says what happens while
that cannot be seen.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self, TypeVar

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.follower import Follower
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
        self._workspace = workspace
        self._cache = self._opened()
        self._follower = Follower(
            workspace,
            look_every_seconds=look_every_seconds,
            served=lambda: self._cache,
            switch=self._switch,
            log=_LOG,
        )
        self._follower.start()

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
        return self._follower.seconds_since_look

    @override
    def close(self) -> None:
        self._follower.close()
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
            MachineError: The workspace cannot be reached or has lost its pointer, or its results cannot be read.
        """
        return self._follower.look()

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

    def _switch(self) -> None:
        before, self._cache = self._cache, self._opened()
        before.close()
