"""The release that is served: replaced in one step, and closed when the last request that it answers has ended."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from typing_extensions import override

from nightrank.flows.serve.http.faults import RequestFault
from nightrank.storage.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.flows.serve.release import ServedRelease

NOTHING = "Nothing has been published yet."


class Current(Closing):
    """What is served now. Threads may share one.

    Args:
        release: The first; None where nothing has been published yet.
    """

    def __init__(self, release: ServedRelease | None) -> None:
        self._lock = Lock()
        self._now = release
        self._held: dict[int, int] = {}  # by identity: how many hold it
        self._switches = 0

    @property
    def switches(self) -> int:
        """How often another release took the place of one."""
        return self._switches

    @property
    def held(self) -> int:
        """Releases in memory: that which is served, and those before it that some request still needs."""
        with self._lock:
            return len(self._held.keys() | ({id(self._now)} if self._now is not None else set()))

    def peek(self) -> ServedRelease | None:
        """What is served, to be looked at alone: it may be closed at any moment. None where nothing is."""
        return self._now

    @contextmanager
    def lent(self) -> Iterator[ServedRelease]:
        """What is served, kept open for the length of a block, whatever takes its place meanwhile.

        Raises:
            RequestFault: Nothing is.
        """
        with self._lock:
            release = self._now
            if release is None:
                raise RequestFault(503, NOTHING, remedy="Run `nightrank refresh`.", headers={"Retry-After": "60"})
            self._held[id(release)] = self._held.get(id(release), 0) + 1
        try:
            yield release
        finally:
            with self._lock:
                left = self._held[id(release)] = self._held[id(release)] - 1
                if left == 0:
                    del self._held[id(release)]
                is_over = left == 0 and release is not self._now
            if is_over:
                release.close()

    def switch_to(self, release: ServedRelease) -> None:
        """Serve another release from now on; who was answered from the one before goes on with it."""
        with self._lock:
            before, self._now = self._now, release
            self._switches += before is None or before.release_id != release.release_id
            is_over = id(before) not in self._held
        if before is not None and is_over:
            before.close()

    @override
    def close(self) -> None:
        """Close what is served; no request may be under way."""
        if self._now is not None:
            self._now.close()
