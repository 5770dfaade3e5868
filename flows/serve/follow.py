"""Following what is published and what is taken down: a release is loaded beside the one that is served."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nightrank.flows.serve.release import ServedRelease
from nightrank.storage.serving.follower import Follower

if TYPE_CHECKING:
    from nightrank.flows.serve.current import Current
    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.serving.cache import SearchCache

LOG = logging.getLogger("nightrank.serve")


def following(current: Current, configuration: Configuration) -> Follower:
    """What keeps what is served the current release; it does not look yet.

    Args:
        current: What is served.
        configuration: Of the server.
    """

    def served() -> SearchCache | None:
        release = current.peek()
        return None if release is None else release.cache

    def switch() -> None:
        release = ServedRelease.load(configuration, before=current.peek())
        current.switch_to(release)
        LOG.info("Serving the release %s.", release.release_id)
        if release.why_not_live:
            LOG.warning("Only what was answered in advance is answered: %s", release.why_not_live)

    seconds = configuration.settings.serve.look_every_seconds
    return Follower(configuration.workspace, look_every_seconds=seconds, served=served, switch=switch, log=LOG)
