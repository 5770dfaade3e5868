"""Pruning on its own: each refresh prunes what is cheap to prune, and this all of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.flows.engine.abandoned import tell_of_abandoned, this_run
from nightrank.flows.engine.artifacts import show_pruned_in_prefect
from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from nightrank.storage.release.prune import Pruned
from nightrank.storage.release.prune import prune as prune_unreachable

if TYPE_CHECKING:
    from nightrank.flows.settings_file import Configuration


@nightrank_flow("prune")
def prune(settings_file: str = "nightrank.toml", *, keep: int | None = None, dry_run: bool = False) -> Pruned:
    """Remove what nothing reaches: old releases, and what only they needed.

    Args:
        settings_file: Path of the settings.
        keep: Accepted releases to keep; None for as many as the settings say.
        dry_run: Say what would go, and remove nothing.

    Returns:
        What went.

    Raises:
        InputError: The settings are wrong, or no release would be kept.
        WorkspaceBusy: Another run is at work.
    """
    pruned = prune_workspace(load_settings(Path(settings_file)), keep=keep, dry_run=dry_run, now=datetime.now(UTC))
    show_pruned_in_prefect(pruned, dry_run=dry_run)
    return pruned


def prune_workspace(configuration: Configuration, *, keep: int | None, dry_run: bool, now: datetime) -> Pruned:
    """Prune as the workspace's one writer; the arguments and errors of :func:`prune`."""
    if keep is not None and keep < 1:
        message = f"--keep {keep} would remove the current release."
        raise InputError(message, remedy="Keep at least 1.")
    workspace = configuration.workspace
    with workspace.writing(now=now, tidy=False, run=this_run()) as abandoned:
        tell_of_abandoned(abandoned, configuration.settings, base=configuration.base)
        wanted = configuration.settings.retention.keep if keep is None else keep
        return prune_unreachable(workspace, keep=wanted, now=now, thorough=True, dry_run=dry_run)
