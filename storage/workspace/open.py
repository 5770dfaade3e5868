"""Opening a workspace by its name: a folder, or an address in an object store with a local copy."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.atomic import write_text
from nightrank.storage.files.paths import require_usable
from nightrank.storage.foreign import machine_error, passing_failure
from nightrank.storage.places import naming, read_bytes
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from nightrank.storage.bucket.store import StoreOptions
    from nightrank.storage.workspace.base import Workspace

ORIGIN_FILE = "nightrank-origin.json"  # in a local copy: what it is a copy of, and how that is reached

SCHEMES = ("s3://", "gs://", "az://")


def is_address(name: str) -> bool:
    """Whether a workspace's name is an address in an object store.

    >>> [is_address(name) for name in ("s3://bucket/prefix", "workspace", "file:///tmp")]
    [True, False, False]
    """
    return name.startswith(SCHEMES)


def open_workspace(
    name: str | Path, *, base: Path = Path(), cache: Path | None = None, options: StoreOptions | None = None
) -> Workspace:
    """The workspace of a name.

    Args:
        name: A folder, or an address such as ``s3://bucket/prefix``.
        base: What a folder is relative to.
        cache: The folder of local copies; None for the user's own cache.
        options: How an object store is reached; None for what the environment says.

    Raises:
        InputError: The local copy cannot be written, or a path has a character that cannot be used.
    """
    if not is_address(str(name)):
        require_usable(base / name)
        return FolderWorkspace(base / name)
    from nightrank.storage.bucket.store import StoreOptions

    url = str(name).rstrip("/")
    folder = (user_cache() if cache is None else base / cache.expanduser()).resolve()
    root = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
    require_usable(root)
    reached = {"url": url, "options": asdict(StoreOptions() if options is None else options)}
    text = json.dumps(reached, indent=2) + "\n"
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not (root / ORIGIN_FILE).is_file() or (root / ORIGIN_FILE).read_text(encoding="utf-8") != text:
            write_text(root / ORIGIN_FILE, text)
    except OSError as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        message = f"The local copy of {url} cannot be written to {root}: {error.strerror}."
        raise InputError(message, remedy="Choose another folder as `cache` in [storage].") from error
    return workspace_at(root)


def workspace_at(root: Path) -> Workspace:
    """The workspace in a folder, or whose local copy that is."""
    path = root / ORIGIN_FILE
    if not path.is_file():
        return FolderWorkspace(root)
    from nightrank.storage.bucket.store import Remote, StoreOptions
    from nightrank.storage.workspace.bucket import BucketWorkspace

    try:
        with naming(path):
            reached = json.loads(read_bytes(path))
        remote = Remote(reached["url"], StoreOptions(**reached["options"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if (told := machine_error(error)) is not None:
            raise told from error
        message = f"{path} does not say what this folder is a copy of."
        raise MachineError(message, remedy="Remove it: it is written anew where it is needed.") from error
    return BucketWorkspace(remote, root)


def user_cache() -> Path:
    """Where this user's programs keep what they can get again."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightrank"
    except RuntimeError as error:
        message = "This user has no home folder in which the local copy of a workspace could be kept."
        raise InputError(message, remedy="Set HOME, or name a folder as `cache` in [storage].") from error
