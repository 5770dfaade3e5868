"""What the tests of whole runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from flows.refresh import refresh as refresh_flow

if TYPE_CHECKING:
    from flows.summary import Summary
    from tests.collection import Collection


class Refresh(Protocol):
    """A night, as ``refresh(collection)``."""

    def __call__(self, collection: Collection) -> Summary: ...


@pytest.fixture
def refresh(prefect_api: str) -> Refresh:
    """Write what the collection holds now and run a night on it, in this process."""

    def run(collection: Collection) -> Summary:
        collection.write()
        return refresh_flow(str(collection.settings_file))

    return run
