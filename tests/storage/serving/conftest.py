"""The places that serve releases: real servers for the session, and a fresh place on one of them for a test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

from nightrank.storage.serving.address import parse_address
from nightrank.storage.serving.entries import release_to_serve
from nightrank.storage.serving.export import Exported, export
from nightrank.storage.serving.open import open_results, target_at
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.reported import NOW
from tests.support.servers import postgres_server, redis_server, with_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.serving.address import Address
    from nightrank.storage.serving.export import Target
    from nightrank.storage.serving.reader import ResultsReader
    from nightrank.storage.workspace.base import Workspace

FILES = ("parquet", "sqlite")
SERVERS = ("redis", "postgres")


@pytest.fixture(scope="session")
def redis_address() -> Iterator[str]:
    with redis_server() as address:
        yield with_password(address)


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    with postgres_server() as address:
        yield with_password(address, "night")


class Place(NamedTuple):
    """Where a test exports to."""

    where: str
    name: str = "nightrank"

    @property
    def address(self) -> Address:
        return parse_address(self.where, base=Path.cwd())

    def target(self, *, grace_seconds: int = 300) -> Target:
        token = uuid4().hex
        return target_at(self.address, name=self.name, grace_seconds=grace_seconds, now=NOW, token=token)

    def export(self, workspace: Workspace, release_id: str | None = None, **options: Any) -> Exported:  # noqa: ANN401
        with release_to_serve(workspace, release_id) as release:
            target = self.target(**options)
            return export(release, target, to=self.address.shown, on_entries=lambda _written: None)

    def open(self) -> ResultsReader:
        return open_results(self.where, name=self.name)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return FolderWorkspace(tmp_path / "workspace")


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A file, or a name of its own on a server of the session."""
    if request.param in FILES:
        return Place(str(tmp_path / "served" / f"release.{request.param}"))
    return Place(request.getfixturevalue(f"{request.param}_address"), f"t{uuid4().hex[:12]}")
