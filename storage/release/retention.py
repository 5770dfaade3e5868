"""Which releases are kept: the current one, the newest accepted ones, and as many rejected ones, to be looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.storage.release.manifest import Manifest


def kept_releases(releases: Sequence[Manifest], *, current: str | None, keep: int) -> list[Manifest]:
    """The releases that stay, oldest first.

    Args:
        releases: All of them, oldest first.
        current: The id of the one that readers see, or None where nothing is published.
        keep: Accepted ones that stay, at least 1: the current one, those that were live before it, the newest others.
            Of rejected ones that are newer than the current one, as many stay.

    Raises:
        MachineError: The current one is not among them.
    """
    if current is not None and current not in {manifest.release_id for manifest in releases}:
        message = f"The current release {current} is not there; nothing is removed."
        raise MachineError(message, remedy="Restore it, or make another one current with `nightrank rollback`.")
    accepted = [manifest.release_id for manifest in releases if manifest.status == "accepted"]
    rejected = [manifest.release_id for manifest in releases if manifest.status == "rejected"]
    # What was rolled away is newer than what was good, so the line of what was live comes first.
    lived = live_line(releases, current=current)
    wanted = dict.fromkeys([*lived, *reversed(accepted)])
    unseen = [release_id for release_id in rejected if current is None or release_id > current]
    ids = {*list(wanted)[:keep], *unseen[max(0, len(unseen) - keep) :]}
    return [manifest for manifest in releases if manifest.release_id in ids]


def live_line(releases: Sequence[Manifest], *, current: str | None) -> list[str]:
    """The current release and those that were live before it, newest first, as far as they are there."""
    by_id = {manifest.release_id: manifest for manifest in releases}
    line = []
    while current in by_id and current not in line:
        line.append(current)
        current = by_id[current].previous
    return line
