"""Which releases are kept: the current one, the newest accepted ones, and rejected ones newer than the current one."""

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
        keep: Accepted ones that stay, the current one among them; at least 1.

    Raises:
        MachineError: The current one is not among them.
    """
    if current is not None and current not in {manifest.release_id for manifest in releases}:
        message = f"The current release {current} is not there; nothing is removed."
        raise MachineError(message, remedy="Restore it, or make another one current with `nightrank rollback`.")
    others = [manifest for manifest in releases if manifest.release_id != current and manifest.status == "accepted"]
    wanted = keep if current is None else keep - 1
    ids = {current, *(manifest.release_id for manifest in others[len(others) - min(wanted, len(others)) :])}
    return [
        manifest
        for manifest in releases
        if manifest.release_id in ids
        or (manifest.status == "rejected" and (current is None or manifest.release_id > current))
    ]
