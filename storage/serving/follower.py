"""Following a workspace: what is published and what is taken down is looked for in a thread, and switched to at once.

While the workspace cannot be reached, has lost its pointer, or what is published cannot be read, what is served goes
on being served, each look tells so in the log, and ``seconds_since_look`` says for how long nobody could see whether it
is current.
"""

from __future__ import annotations

import time
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import MachineError, NightrankError
from nightrank.storage.retracted.listed import read_retracted

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from nightrank.storage.serving.cache import SearchCache
    from nightrank.storage.workspace.base import Workspace


class Follower(Closing):
    """Keeps what is served the current release of a workspace.

    Args:
        workspace: That is followed.
        look_every_seconds: How often the pointer is looked at, which costs one small request in an object store.
        served: Says which answers are served; None where nothing has been published yet.
        switch: Serves what is current now, and lets go of what was served.
        log: Of what goes wrong.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        look_every_seconds: float,
        served: Callable[[], SearchCache | None],
        switch: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self.workspace = workspace
        self._seconds, self._served, self._switch, self._log = look_every_seconds, served, switch, log
        self._looking = Lock()
        self._looked = time.monotonic()
        self._closed = Event()
        self._thread = Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    @override
    def close(self) -> None:
        """End, when what is being switched to has been."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def seconds_since_look(self) -> float:
        """How long ago it was seen that what is served is current."""
        return time.monotonic() - self._looked

    def look(self) -> bool:
        """Look now.

        Returns:
            Whether something else is served than before.

        Raises:
            MachineError: The workspace cannot be reached, or what is current there cannot be read.
        """
        with self._looking:
            served, now = self._served(), time.monotonic()
            published = self.workspace.current_release_id()
            if published is None and served is not None:
                message = f"{self.workspace} has no current release any more."
                raise MachineError(message, remedy="Bring back its folder, or run `nightrank refresh`.")
            if published is None or (served is not None and self._is_current(served, published)):
                self._looked = now
                return False
            self._switch()
            self._looked = now
            self.workspace.forget_removed()
            return True

    def _is_current(self, served: SearchCache, published: str) -> bool:
        """Whether what is served is what a reader that opens now would read."""
        return served.release_id == published and read_retracted(self.workspace).state == served.listed

    def _follow(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                self.look()
            except NightrankError as error:
                self._tell(error)
            except Exception as error:
                self._tell(f"{type(error).__name__}: {error}")

    def _tell(self, what: object) -> None:
        seconds, answers = round(self.seconds_since_look), self._served()
        served = "nothing" if answers is None else f"the release {answers.release_id}"
        self._log.warning("Still serving %s, last looked up %d s ago: %s", served, seconds, what)
