"""Listing a bucket in which somebody's key is none that we would make: with ``..``, or nothing between two slashes.

obstore ends a whole listing at such a key; Arrow's client of S3 lists it like any other.
"""

from __future__ import annotations

import os
from typing import Any

from nightrank.storage.errors import MachineError

_ODD = {"", ".", ".."}  # segments of a key


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
    files = {info.path.removeprefix(f"{place}/"): info.size for info in listed if info.is_file}
    return {key: files[key] for key in sorted(files) if not _ODD & set(key.split("/"))}
