"""The export of a release to a place that serves it, as a task that is tried again where the place does not answer."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from nightrank.storage.errors import ChangedMeanwhile, InputError, TargetUnreachable, WorkspaceBusy
from nightrank.storage.serving.entries import release_to_serve
from nightrank.storage.serving.export import Exported, export
from nightrank.storage.serving.open import target_at
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import Retry
from nightrank.tasks.runtime.stage_task import stage_task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from nightrank.storage.serving.address import Address
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.settings.operation import ExportSettings


ATTEMPTS = 5  # while documents are taken down


def may_pass(error: BaseException) -> bool:
    """Whether a failure may be gone in a moment: a server that does not answer, another export at work."""
    return isinstance(error, TargetUnreachable | WorkspaceBusy)


@stage_task("export", task_run_name="export to {address.shown}", retry=Retry((2.0, 10.0, 30.0), may_pass))
def export_release(
    workspace: Workspace, release_id: str | None, address: Address, settings: ExportSettings, *, now: datetime
) -> Exported:
    """Make a place serve a release; nothing is written where it does already.

    Args:
        workspace: Where the release is.
        release_id: Its id; None for the current one.
        address: Of the place.
        settings: The name of its key space or view, and how long what it replaces stays.
        now: When the export began.

    Raises:
        InputError: There is no such release, or the place cannot be used.
        MachineError: The release is damaged, or the place failed; it serves what it served before.
    """
    target = target_at(
        address, name=settings.name, grace_seconds=settings.grace_seconds, now=now, token=secrets.token_hex(4)
    )
    for _ in range(ATTEMPTS):
        with suppress(ChangedMeanwhile), release_to_serve(workspace, release_id) as release:
            served = release.served
            with progress(f"export to {address.kind}", served.queries + served.aliases) as advance:
                return export(release, target, to=address.shown, on_entries=advance)
    message = f"Documents were taken down during each of {ATTEMPTS} exports to {address.shown}."
    raise ChangedMeanwhile(message, remedy="Export again once that has ended.")


def keep_out_of(workspace: Workspace, addresses: Sequence[Address]) -> None:
    """See that no place is a file in the workspace, where none is changed.

    Raises:
        InputError: One is.
    """
    root = workspace.root.resolve()
    for address in addresses:
        if address.is_file and address.path.resolve().is_relative_to(root):
            message = f"{address.shown} is inside the workspace, which holds only files of its own."
            raise InputError(message, remedy="Export to another folder.")
