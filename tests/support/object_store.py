"""An object store to test against: moto's server, which keeps S3's rules of conditional writes."""

from __future__ import annotations

import itertools
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

import httpx
from moto.server import ThreadedMotoServer

from nightrank.storage.bucket.store import Remote, StoreOptions
from nightrank.storage.workspace.bucket import BucketWorkspace
from nightrank.storage.workspace.open import open_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.parts.settings_files import Value
    from nightrank.storage.workspace.base import Workspace

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}

_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of its own for each test.

    Attributes:
        endpoint: The store's address.
        name: The bucket's.
    """

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        """The address of the workspace in it."""
        return f"s3://{self.name}/search/nights"

    def options(self, *, lease_seconds: float = 60.0, retry_seconds: float = 5.0) -> StoreOptions:
        """How it is reached."""
        return StoreOptions(
            endpoint=self.endpoint, allow_http=True, lease_seconds=lease_seconds, retry_seconds=retry_seconds
        )

    def remote(self, *, lease_seconds: float = 60.0) -> Remote:
        """The workspace's prefix."""
        return Remote(self.url, self.options(lease_seconds=lease_seconds))

    def machine(self, cache: Path, *, lease_seconds: float = 60.0) -> Workspace:
        """The workspace as a machine with this cache sees it."""
        return open_workspace(self.url, cache=cache, options=self.options(lease_seconds=lease_seconds))

    def settings(self, cache: Path) -> dict[str, Value]:
        """The section ``[storage]`` of a machine with this cache; no lease is renewed while a test counts writes."""
        return {
            "endpoint": self.endpoint,
            "allow_http": True,
            "cache": str(cache),
            "retry_seconds": 5.0,
            "lease_seconds": 3600.0,
        }

    def listed(self) -> list[str]:
        """All keys of the workspace."""
        return list(self.remote().sizes())


def in_bucket(workspace: Workspace) -> BucketWorkspace:
    """A workspace that is known to be in an object store."""
    assert isinstance(workspace, BucketWorkspace)
    return workspace


@contextmanager
def object_store() -> Iterator[str]:
    """A store at a free port; its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it has a line for each request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    with patch.dict(os.environ, CREDENTIALS):
        server.start()
        try:
            _, port = server.get_host_and_port()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop()


def copy_of(bucket: Bucket) -> Bucket:
    """Another bucket with the same objects."""
    copy = new_bucket(bucket.endpoint)
    for key in bucket.remote().sizes():
        found = bucket.remote().read(key)
        assert found is not None
        copy.remote().write(key, found[0])
    return copy


def new_bucket(endpoint: str) -> Bucket:
    """A fresh bucket in a store."""
    bucket = Bucket(endpoint, f"nightrank-{next(_NUMBERS)}")
    httpx.put(f"{endpoint}/{bucket.name}", timeout=300.0).raise_for_status()
    return bucket
