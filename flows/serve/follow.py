"""Following what is published and what is taken down: looked for and loaded in a thread, switched to in one step."""

from __future__ import annotations

import logging
import time
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from typing_extensions import override

from nightrank.flows.serve.release import ServedRelease
from nightrank.storage.closing import Closing
from nightrank.storage.errors import MachineError, NightrankError
from nightrank.storage.retracted.listed import read_retracted

if TYPE_CHECKING:
    from nightrank.flows.serve.current import Current
    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.workspace.base import Workspace

LOG = logging.getLogger("nightrank.serve")


class Follower(Closing):
    """Keeps what is served the current release of a workspace.

    While that cannot be reached, or what is published cannot be loaded, the last release goes on being served.

    Args:
        current: What is served.
        configuration: Of the server.
    """

    def __init__(self, current: Current, configuration: Configuration) -> None:
        self._current, self._configuration = current, configuration
        self._looking = Lock()
        self._looked = time.monotonic()
        self._closed = Event()
        self._thread = Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    @override
    def close(self) -> None:
        """End; what is being loaded is loaded to its end, and not served."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def workspace(self) -> Workspace:
        """That is followed."""
        return self._configuration.workspace

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
            before, now = self._current.peek(), time.monotonic()
            workspace = self.workspace
            published = workspace.current_release_id()
            if published is None and before is not None:
                message = f"{workspace} has no current release any more."
                raise MachineError(message, remedy="Bring back its folder, or run `nightrank refresh`.")
            if published is None or (before is not None and _is_current(before, published, workspace)):
                self._looked = now
                return False
            release = ServedRelease.load(self._configuration, before=before)
            self._current.switch_to(release)
            self._looked = now
            workspace.forget_removed()
        LOG.info("Serving the release %s.", release.release_id)
        if release.why_not_live:
            LOG.warning("Only what was answered in advance is answered: %s", release.why_not_live)
        return True

    def _follow(self) -> None:
        while not self._closed.wait(self._configuration.settings.serve.look_every_seconds):
            try:
                self.look()
            except NightrankError as error:
                self._tell(error)
            except Exception as error:
                self._tell(f"{type(error).__name__}: {error}")

    def _tell(self, what: object) -> None:
        seconds, release = round(self.seconds_since_look), self._current.peek()
        served = "nothing" if release is None else f"the release {release.release_id}"
        LOG.warning("Still serving %s, last looked up %d s ago: %s", served, seconds, what)


def _is_current(release: ServedRelease, published: str, workspace: Workspace) -> bool:
    """Whether a release, as it is served, is what a reader that opens now would read."""
    return release.release_id == published and read_retracted(workspace).state == release.cache.listed
