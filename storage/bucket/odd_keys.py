"""Listing a bucket in which somebody's key is none that we would make: with ``..``, or nothing between two slashes.

obstore ends a whole listing at such a key; Arrow's client of S3 lists it like any other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ODD = {"", ".", ".."}  # segments of a key


def is_odd(key: str) -> bool:
    """Whether obstore can have no object of a key.

    >>> is_odd("a/b.md"), is_odd("a//b.md"), is_odd("a/../b.md")
    (False, True, True)
    """
    return bool(_ODD & set(key.split("/")))


class OddlyListed(NamedTuple):
    """An object as Arrow lists it: without an ETag.

    Attributes:
        key: Below the folder.
        size_bytes: Its size.
        modified: When, in seconds since the epoch; None where the store does not say.
        is_odd: Whether obstore can have no object of this key.
    """

    key: str
    size_bytes: int
    modified: float | None
    is_odd: bool


def sizes_among_odd_keys(
    url: str, prefix: str, *, endpoint: str | None, region: str | None, fault: str
) -> dict[str, int]:
    """The keys below a folder and their sizes in bytes, without the odd ones.

    Args:
        url: Of what the keys are relative to, such as ``s3://bucket/prefix``.
        prefix: Of the folder; empty for all.
        endpoint: Of the store; None for what the environment says.
        region: Likewise.
        fault: What obstore said of the odd key.

    Raises:
        MachineError: The store is not one of S3's kind.
    """
    listed = listed_among_odd_keys(url, prefix, endpoint=endpoint, region=region, fault=fault)
    return {one.key: one.size_bytes for one in listed if not one.is_odd}


def listed_among_odd_keys(
    url: str, prefix: str, *, endpoint: str | None, region: str | None, fault: str
) -> Iterator[OddlyListed]:
    """All objects below a folder, the odd ones too, by key.

    Args:
        url: Of what the keys are relative to, such as ``s3://bucket/prefix``.
        prefix: Of the folder; empty for all.
        endpoint: Of the store; None for what the environment says.
        region: Likewise.
        fault: What obstore said of the odd key.

    Raises:
        MachineError: The store is not one of S3's kind.
    """
    scheme, _, place = url.partition("://")
    if scheme != "s3":
        message = f"{url}/{prefix} cannot be listed: {fault}."
        raise MachineError(message, remedy="Remove that object with the store's own tools, then run again.")
    from pyarrow import fs

    # What the settings leave open is taken from the environment, as obstore does.
    options: dict[str, Any] = {"region": region or os.environ.get("AWS_REGION")}
    address = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if address is not None:
        options["scheme"], _, options["endpoint_override"] = address.rstrip("/").partition("://")
    folder = fs.FileSelector(f"{place}/{prefix}".rstrip("/"), allow_not_found=True, recursive=True)
    listed = fs.S3FileSystem(**options).get_file_info(folder)
    files = {info.path: info for info in listed if info.is_file}  # Arrow takes slashes at the end away
    for _, info in sorted(files.items()):
        key = info.path.removeprefix(f"{place}/")
        modified = None if info.mtime is None else info.mtime.timestamp()
        yield OddlyListed(key, info.size, modified, is_odd(key))
