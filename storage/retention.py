"""Which releases are kept: the current one, the newest accepted ones, and as many rejected ones, to be looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.releases import Manifest


def kept_releases(releases: Sequence[Manifest], *, current: str | None, keep: int) -> list[Manifest]:
    """The releases that stay, oldest first.

    Args:
        releases: All of them, oldest first.
        current: The id of the one that readers see, or None where nothing is published.
        keep: Accepted ones that stay, the current one among them; at least 1. Of rejected ones that are newer than
            the current one, as many stay.

    Raises:
        MachineError: The current one is not among them.
    """
    if current is not None and current not in {manifest.release_id for manifest in releases}:
        message = f"The current release {current} is not there; nothing is removed."
        raise MachineError(message, remedy="Restore it, or make another one current with `nightrank rollback`.")
    accepted = [manifest.release_id for manifest in releases if manifest.status == "accepted"]
    rejected = [manifest.release_id for manifest in releases if manifest.status == "rejected"]
    others = [release_id for release_id in accepted if release_id != current]
    unseen = [release_id for release_id in rejected if current is None or release_id > current]
    ids = {current, *_last(others, keep if current is None else keep - 1), *_last(unseen, keep)}
    return [manifest for manifest in releases if manifest.release_id in ids]


def _last(release_ids: Sequence[str], count: int) -> Sequence[str]:
    return release_ids[max(0, len(release_ids) - count) :]
