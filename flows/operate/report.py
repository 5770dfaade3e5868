"""``nightrank report``: where the report of a release is, and showing it."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.storage.workspace.base import Workspace


def find_report(workspace: Workspace, *, release_id: str | None) -> tuple[str, Path]:
    """The id of a release and the path of its report.

    Args:
        workspace: Where the release is.
        release_id: Of the release, or None for the current one.

    Raises:
        InputError: There is no such release, or it has no report.
    """
    release_id = workspace.require_current() if release_id is None else release_id
    manifest = read_manifest(workspace, release_id)
    path = ReleaseFiles.of(workspace, manifest.release_id, only=[ReleaseFiles.report]).report.path.resolve()
    if not path.is_file():
        message = f"The release {release_id} has no report."
        raise InputError(message, remedy="`nightrank refresh` writes one into each release that it builds.")
    return release_id, path


def gaps_of(workspace: Workspace, *, release_id: str) -> list[dict[str, JsonValue]]:
    """The queries of a release that nothing answered well, those most in demand first; none in earlier versions'.

    Args:
        workspace: Where the release is.
        release_id: Its id.
    """
    file = ReleaseFiles.of(workspace, release_id, only=[ReleaseFiles.gaps]).gaps
    return file.read().to_pylist() if file.is_there() else []


def open_in_browser(path: Path) -> bool:
    """Show a page to the person at this machine.

    Returns:
        Whether a browser was asked to; False where there is no display to show it on.
    """
    needs_display = sys.platform not in {"darwin", "win32"}
    if needs_display and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(path.as_uri())
